"""Products, attention, the last layer's loss and recurrent layers in Octavo, forward and backward, in float32."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from place import DEVICE, placed

from octavo import kernels, nn

Call = Callable[[], Any]
_random = np.random.default_rng(0)


def product(rows: int, inputs: int, outputs: int) -> list[Call]:
    """A linear layer, and the gradients of its input and of its weight."""
    x, weight, dz = _normal(rows, inputs), _normal(outputs, inputs), _normal(rows, outputs)
    return [
        lambda: kernels.linear(x, weight),
        lambda: kernels.matmul(dz, weight),
        lambda: kernels.matmul(dz.T, x),
    ]


def attention(batch: int, time: int, heads: int, size: int) -> list[Call]:
    """Causal attention and its gradients."""
    q, k, v, dout = (_normal(batch, time, heads, size) for _ in range(4))
    return [lambda: kernels.attention.backward(dout, *kernels.attention.forward(q, k, v)[1])]


def loss(rows: int, width: int, vocabulary: int) -> Call:
    """The mean cross-entropy of a linear layer, and its gradients."""
    x, weight = _normal(rows, width), _normal(vocabulary, width)
    targets, op = placed(np.arange(rows) % vocabulary), kernels.linear_cross_entropy
    return lambda: op.backward(kernels.ONE, *op.forward(x, weight, targets)[1])


def recurrent(batch: int, time: int, inputs: int, width: int) -> list[Call]:
    """A GRU and an LSTM, with the gradients of their inputs and parameters."""
    x, dout = nn.Tensor(_normal(batch, time, inputs), requires_grad=True), _normal(batch, time, width)

    def train(layer: nn.Module) -> None:
        x.grad = None
        layer.zero_grad()
        layer(x)[0].backward(dout)

    return [partial(train, layer.to(DEVICE)) for layer in (nn.GRU(inputs, width), nn.LSTM(inputs, width))]


def _normal(*shape: int) -> Any:
    return placed(_random.standard_normal(shape, np.float32))
