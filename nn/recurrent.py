"""Recurrent layers, stacked; their parameters have PyTorch's names, shapes and order of gates."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..kernels import device
from . import functional as F
from . import random
from .layers import Dropout
from .module import Module, Parameter
from .tensor import Tensor

__all__ = ["GRU", "LSTM"]


class _Recurrent(Module):
    gates: int
    bias_ih_l0: Parameter | None

    def __init__(self, inputs: int, width: int, layers: int = 1, bias: bool = True, dropout: float = 0.0):
        if min(inputs, width, layers) < 1:
            name, sizes = type(self).__name__, f"{inputs}, {width}, {layers}"
            raise ValueError(f"{name}: expected inputs, width and layers of at least 1, got {sizes}")
        self.inputs, self.width, self.layers = inputs, width, layers
        self.dropout = Dropout(dropout)
        for layer in range(layers):
            for name, columns in (("ih", width if layer else inputs), ("hh", width)):
                weight = Parameter(random.normal((self.gates * width, columns), columns**-0.5))
                zeros = Parameter(device.zeros((self.gates * width,), np.float32)) if bias else None
                setattr(self, f"weight_{name}_l{layer}", weight)
                setattr(self, f"bias_{name}_l{layer}", zeros)

    def forward(self, x: Tensor, state: Sequence[Any] | None = None) -> tuple[Tensor, list[Any]]:
        """The last layer's states after all steps (B, T, width), and every layer's after the last one, to go on from.

        Args:
            x: (B, T, inputs), at least one step.
            state: of every layer, as returned; None: zeros.
        """
        name = type(self).__name__
        if x.ndim != 3 or x.shape[2] != self.inputs or not x.shape[1]:
            raise ValueError(f"{name}: x: expected (B, T, {self.inputs}), at least one step, got {x.shape}")
        if state is not None and len(state) != self.layers:
            raise ValueError(f"{name}: state: expected one for each of {self.layers} layers, got {len(state)}")
        after = []
        for layer in range(self.layers):
            own = [getattr(self, f"{kind}_{name}_l{layer}") for name in ("ih", "hh") for kind in ("weight", "bias")]
            projected = F.linear(self.dropout(x) if layer else x, *own[:2])
            x, last = self.run(projected, own[2], own[3], None if state is None else state[layer])
            after.append(last)
        return x, after

    def run(self, x: Tensor, weight: Parameter, bias: Parameter | None, state: Any) -> tuple[Tensor, Any]:
        """A layer's states after all steps, and what the next step needs."""
        raise NotImplementedError

    def describe(self) -> str:
        bias = ", bias=False" if self.bias_ih_l0 is None else ""
        return f"{self.inputs}, {self.width}, layers={self.layers}{bias}"


class GRU(_Recurrent):
    """Gated recurrent units: (B, T, inputs) -> (B, T, width) and a state (B, width) of every layer.

    Args:
        inputs, width: sizes of the last axis.
        layers: one on top of the other.
        dropout: probability, on what goes from a layer to the next.

    Source: Cho et al., Learning Phrase Representations using RNN Encoder–Decoder (2014); see `kernels.gru`.
    """

    gates = 3

    def run(self, x: Tensor, weight: Parameter, bias: Parameter | None, state: Any) -> tuple[Tensor, Any]:
        out = F.gru(x, weight, bias, state)
        return out, out[:, -1]


class LSTM(_Recurrent):
    """Long short-term memory: (B, T, inputs) -> (B, T, width) and a state and a cell (B, width) of every layer.

    Takes what `GRU` does.

    Source: Hochreiter and Schmidhuber, Long Short-Term Memory (1997); see `kernels.lstm`.
    """

    gates = 4

    def run(self, x: Tensor, weight: Parameter, bias: Parameter | None, state: Any) -> tuple[Tensor, Any]:
        out, cell = F.lstm(x, weight, bias, *(state or (None, None)))
        return out, (out[:, -1], cell)
