"""Copies between arrays of any strides: floats by a kernel, other dtypes and conversions by NumPy."""

from math import prod

import numpy as np
from numba import prange

from ..device import contiguous, empty
from .kernel import kernel
from .pointwise import elementwise
from .rows import bits

_BLOCK = 16384  # elements of a task


@elementwise
def copy(x):
    return x


def assign(out: np.ndarray, x: np.ndarray) -> None:
    """out[...] = x, of the same shape."""
    if x.dtype == out.dtype and x.dtype.kind == "f":
        copy(x, out=out)
    else:
        np.copyto(out, x)


def fill(out: np.ndarray, value: float) -> None:
    """out[...] = value."""
    out[...] = value


def band(x: np.ndarray, low: int | None = None, high: int | None = None) -> np.ndarray:
    """x_ij where low <= j - i <= high (one of them), else 0."""
    if low is None:
        return masked(x, ~np.tri(*x.shape[-2:], high, np.bool_), 0)
    return masked(x, np.tri(*x.shape[-2:], low - 1, np.bool_), 0)


def masked(x: np.ndarray, mask: np.ndarray, value: float) -> np.ndarray:
    """`value` where the mask is true, else x; axes that lead, and along which the mask is broadcast, are rows."""
    shape = np.broadcast_shapes(x.shape, mask.shape)
    own = (1,) * (len(shape) - mask.ndim) + mask.shape
    lead = next((a for a, n in enumerate(own) if n != 1), len(own))
    line = contiguous(np.broadcast_to(mask.reshape(own[lead:]), shape[lead:])).reshape(-1)
    flat = prod(shape[:lead]), line.size
    out = empty(shape, x.dtype)
    if out.size:
        x = contiguous(np.broadcast_to(x, shape)).reshape(flat)
        _fill_kernel(bits(out.reshape(flat)), bits(x), line, bits(np.asarray(value, x.dtype)).item())
    return out


@kernel("T[2] <- T[2] b1[1] T")
def _fill_kernel(out, x, mask, value):
    rows, size = x.shape
    blocks = -(-size // _BLOCK)
    for task in prange(rows * blocks):
        row, first = task // blocks, task % blocks * _BLOCK
        to, of, marks = out[row, first : first + _BLOCK], x[row, first : first + _BLOCK], mask[first : first + _BLOCK]
        for i in range(to.size):
            to[i] = value if marks[i] else of[i]
