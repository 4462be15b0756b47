"""Ops on arrays of bfloat16: kernels of a GPU take its bits, others copies in float32."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import device
from .device import BFLOAT16, is_float

if TYPE_CHECKING:
    from .dispatch import Op


def run_in_bfloat16(op: "Op", run: Callable[..., Any], backend: str, *args: Any) -> Any:
    """`run` on an op's arguments as the backend takes them; its results as the op returns them."""
    take = device.bits if backend == "cuda" and not op.widened else _widened
    count = len(op.arrays)
    taken = [_each(take, x) for x in args[:count]]
    results = run(*taken, *args[count:])
    if op.in_place:
        for k, (own, changed) in enumerate(zip(args, taken, strict=False)):
            if k != 1:  # gradients, or what is added
                _write_back(own, changed)
        return results
    if not isinstance(results, tuple):
        return results if op.wide[0] else _each(_rounded, results)
    return tuple(x if wide else _each(_rounded, x) for x, wide in zip(results, op.wide, strict=True))


def accumulator(dtype: np.dtype) -> np.dtype:
    """The dtype in which sums of a dtype are made."""
    return np.dtype(np.float32) if dtype == BFLOAT16 else dtype


def cast_floats(x: Any, dtype: np.dtype) -> Any:
    """An array, or each in a list, in a dtype if it is of floats."""
    return _each(lambda y: device.cast(y, dtype) if is_float(y.dtype) else y, x)


def _each(change: Callable[[Any], Any], x: Any) -> Any:
    """`change` of an array, or of each in a list; anything else as it is."""
    if isinstance(x, (list, tuple)):
        return [_each(change, y) for y in x] if x and device.is_array(x[0]) else x
    return change(x) if device.is_array(x) else x


def _widened(x: Any) -> Any:
    return device.cast(x, accumulator(x.dtype))


def _rounded(x: Any) -> Any:
    """A result in bfloat16: of its bits, or of float32."""
    if x.dtype == np.uint16:
        return x.view(BFLOAT16)
    return device.cast(x, BFLOAT16) if x.dtype == np.float32 else x


def _write_back(own: Any, changed: Any) -> None:
    """What an op in place did to a list that it was given copies of."""
    for x, y in zip(own, changed, strict=True) if isinstance(own, (list, tuple)) else ():
        if y is not x and y.dtype != np.uint16 and getattr(x.flags, "writeable", True):
            device.copy(y, x)
