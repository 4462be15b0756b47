"""What a model consists of and what it costs, module by module."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..kernels import Op
from ..kernels.dispatch import watching
from ..kernels.ops.convolution import conv2d_shape
from .module import Module
from .tape import current_call, no_grad
from .tensor import Tensor

__all__ = ["Row", "Summary", "summary"]


def _of_matrices(a: Any, b: Any, *_: Any) -> int:
    return 2 * math.prod(np.broadcast_shapes(a.shape[:-2], b.shape[:-2])) * a.shape[-2] * a.shape[-1] * b.shape[-1]


def _of_linear(x: Any, weight: Any, *_: Any) -> int:
    return 2 * x.size * len(weight)


def _of_attention(q: Any, k: Any, v: Any, causal: bool, *_: Any) -> int:
    """Two products for each pair of a query and a key that it sees."""
    queries, keys = q.shape[1], k.shape[1]
    seen = queries * keys - (queries * (queries - 1) // 2 if causal else 0)
    return 4 * q.shape[0] * q.shape[2] * q.shape[3] * seen


def _of_convolution(x: Any, weight: Any, *_: Any) -> int:
    return 2 * x.shape[0] * x.shape[1] * weight.size


def _of_images(x: Any, weight: Any, bias: Any, stride: int, padding: int) -> int:
    batch, _, high, wide = conv2d_shape(x, weight, stride, padding)
    return 2 * batch * high * wide * weight.size


def _of_recurrence(x: Any, weight: Any, *_: Any) -> int:
    return 2 * x.size * weight.shape[1]


_FLOPS: dict[str, Callable[..., int]] = {
    "matmul": _of_matrices,
    "linear": _of_linear,
    "linear_quantized": _of_linear,
    "linear_cross_entropy": _of_linear,
    "attention": _of_attention,
    "attention_bf16": _of_attention,
    "causal_conv1d": _of_convolution,
    "conv2d": _of_images,
    "gru": _of_recurrence,
    "lstm": _of_recurrence,
}


class Row(NamedTuple):
    """A module with all that is below it.

    Attributes:
        name: its path, "" for the model.
        kind: its class.
        shape: of what it returned last, the first of several; None if it was not called.
        parameters: how many numbers training changes; what modules share counts in each, once.
        bytes: that they take.
        flops: additions and multiplications of its products (of linear and recurrent layers, attention, convolutions).
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    parameters: int
    bytes: int
    flops: int


class Summary(list[Row]):
    """Rows, the model first; as text a table."""

    def __str__(self) -> str:
        cells: list[tuple[str, ...]] = [("module", "output", "parameters", "bytes", "FLOPs")]
        above: list[str] = []
        for row in self:
            while above and not row.name.startswith(above[-1]):
                above.pop()
            own = row.name.removeprefix(above[-1] if above else "")
            label = "  " * len(above) + f"{own} {row.kind}".strip()
            above.append(f"{row.name}." if row.name else "")
            shape = "" if row.shape is None else f"({', '.join(map(str, row.shape))})"
            cells.append((label, shape, *(f"{n:,}" if n else "" for n in (row.parameters, row.bytes, row.flops))))
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        sides = "<<>>>"
        return "\n".join(
            "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=True)).rstrip()
            for line in cells
        )


def summary(model: Module, *inputs: Any, **options: Any) -> Summary:
    """A row for each module: output shape, parameters, bytes, and the products of one call of the model.

    Args:
        inputs, options: of that call, as for `model(*inputs, **options)`, where arrays of floats may stand for tensors.
            It leaves no tape and applies no dropout. Without them the model is not called, and there are no shapes and
            FLOPs.

    >>> from octavo import nn
    >>> print(nn.summary(nn.MLP(4, 16), np.ones((2, 4), np.float32)))
    module             output   parameters  bytes  FLOPs
    MLP                (2, 4)          148    592    512
      fc Linear        (2, 16)          80    320    256
      proj Linear      (2, 4)           68    272    256
      dropout Dropout  (2, 4)
    """
    shapes: dict[int, tuple[int, ...]] = {}
    flops: dict[int, int] = {}
    if inputs or options:
        _watch_call(model, inputs, options, shapes, flops)
    rows = Summary()
    for name, module in model.named_modules():
        below = list(module.modules())
        parameters = list(module.parameters())
        rows.append(
            Row(
                name,
                type(module).__name__,
                shapes.get(id(module)),
                sum(p.size for p in parameters),
                sum(p.data.nbytes for p in parameters),
                sum(flops.get(id(m), 0) for m in {id(m): m for m in below}.values()),
            )
        )
    return rows


def _watch_call(model: Module, inputs: Any, options: Any, shapes: dict[int, Any], flops: dict[int, int]) -> None:
    """Call the model, and note the shape of what each module returns and the FLOPs of the ops that it runs itself."""

    def watch(op: Op, run: Callable[..., Any], *args: Any) -> Any:
        if op.name in _FLOPS:
            module = id(current_call()[0])
            flops[module] = flops.get(module, 0) + _FLOPS[op.name](*args)
        return run(*args)

    def ready(x: Any) -> Any:
        return Tensor(place.here(x)) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x

    def note(module: Module, args: Any, output: Any) -> None:
        output = output[0] if isinstance(output, tuple) else output
        if isinstance(output, Tensor):
            shapes[id(module)] = output.shape

    place = next(model.parameters(), Tensor(0))
    hooks = [module.register_forward_hook(note) for module in model.modules()]
    training = [(module, module.training) for module in model.modules()]
    try:
        with no_grad(), watching(watch):
            model.eval()(
                *(Tensor(x) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in inputs), **options
            )
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in training:
            module.training = mode
