"""The same as `octavo_ops.py` in PyTorch, in its default dtype."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from place import DEVICE
from torch.nn import functional as F

Call = Callable[[], Any]
torch.set_default_device(DEVICE)


def product(rows: int, inputs: int, outputs: int) -> list[Call]:
    x, weight, dz = torch.randn(rows, inputs), torch.randn(outputs, inputs), torch.randn(rows, outputs)
    return [lambda: F.linear(x, weight), lambda: torch.mm(dz, weight), lambda: torch.mm(dz.t(), x)]


def attention(batch: int, time: int, heads: int, size: int) -> list[Call]:
    """On views of (B, T, H, D), as a model has them."""
    q, k, v, dout = (torch.randn(batch, time, heads, size).transpose(1, 2) for _ in range(4))
    inputs = [x.requires_grad_() for x in (q, k, v)]
    return [lambda: torch.autograd.grad(F.scaled_dot_product_attention(*inputs, is_causal=True), inputs, dout)]


def loss(rows: int, width: int, vocabulary: int) -> Call:
    x, weight = torch.randn(rows, width, requires_grad=True), torch.randn(vocabulary, width, requires_grad=True)
    targets = torch.arange(rows) % vocabulary
    return lambda: torch.autograd.grad(F.cross_entropy(F.linear(x, weight), targets), (x, weight))


def recurrent(batch: int, time: int, inputs: int, width: int) -> list[Call]:
    x, dout = torch.randn(batch, time, inputs, requires_grad=True), torch.randn(batch, time, width)

    def train(layer: torch.nn.Module) -> None:
        torch.autograd.grad(layer(x)[0], [x, *layer.parameters()], dout)

    kinds = (torch.nn.GRU, torch.nn.LSTM)
    return [partial(train, kind(inputs, width, batch_first=True)) for kind in kinds]
