"""Copies between arrays of any strides: as bits where the dtypes are one, so that a NaN stays as it is."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import int32

from ..ops.indexing import pieces
from . import pointwise
from .kernel import kernel
from .pointwise import contiguous, elementwise, empty
from .ptx import load, store
from .threads import THREADS, blocks, thread

_MOST = 1 << 31  # elements of a launch


def bits(x: Any) -> Any:
    """The same memory as signed integers: bits of 16 are no bfloat16 then."""
    return x.view(f"i{x.dtype.itemsize}")


def assign(out: Any, x: Any) -> None:
    """out[...] = x, of the same shape."""
    if x.dtype == out.dtype:
        out, x = bits(out), bits(x)
    pointwise.copy(x, out)


def join(out: Any, xs: Sequence[Any], dim: int) -> None:
    """Write arrays one after another along an axis."""
    for x, place in pieces(xs, dim):
        assign(out[place], x)


def fill(out: Any, value: float) -> None:
    """out[...] = value."""
    _constant(bits(out), _bits_of(value, out.dtype), out=bits(out))


@elementwise
def _constant(x, value):
    return value


def masked(x: Any, mask: Any, value: float) -> Any:
    """`value` where the mask is true, else x."""
    return _masked(mask, _bits_of(value, x.dtype), bits(x)).view(x.dtype)


@elementwise
def _masked(mask, value, x):
    return value if mask else x


def _bits_of(value: float, dtype: np.dtype) -> int:
    """Those of a bfloat16's NaN in uint16."""
    return 0x7FC0 if value != value and dtype == np.uint16 else bits(np.asarray(value, dtype)).item()


def lower(x: Any, last: int) -> Any:
    """x up to a diagonal, 0 above it."""
    return _band(x, -x.shape[-2], last)


def upper(x: Any, first: int) -> Any:
    """x from a diagonal on, 0 below it."""
    return _band(x, first, x.shape[-1])


def _band(x, low, high):
    """x_ij where low <= j - i <= high, else 0."""
    rows, columns = x.shape[-2:]
    out = empty(x.shape, x.dtype)
    to, of = bits(out).reshape(-1), bits(contiguous(x)).reshape(-1)
    low, high = (min(max(diagonal, -rows), columns) for diagonal in (low, high))
    part = max(1, _MOST // max(1, rows * columns)) * rows * columns
    for start in range(0, x.size, part or 1):
        some = to[start : start + part]
        _band_kernel(blocks(some.size), some, of[start : start + part], some.size, rows, columns, low, high)
    return out


@kernel("T* <- T* u4 u4 u4 i4 i4", threads=THREADS)
def _band_kernel(out, x, count, rows, columns, low, high):
    i = thread()
    if i < count:
        row = i // columns
        beyond = int32(i - row * columns) - int32(row % rows)
        if (beyond >= low) & (beyond <= high):
            store(out, i, load(x, i))
        else:
            store(out, i, int32(0))
