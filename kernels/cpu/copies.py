"""Copies between arrays of any strides: floats by a kernel, other dtypes and conversions by NumPy."""

from collections.abc import Sequence
from math import prod

import numpy as np
from numba import prange

from ..device import contiguous, empty
from ..ops.indexing import pieces
from .kernel import kernel, subroutine
from .pointwise import elementwise
from .rows import bits
from .simd import array_at

_BLOCK = 16384  # elements of a task
_SHORT = 16  # elements: shorter pieces of a row are not worth a loop of their own


@elementwise
def copy(x):
    return x


def assign(out: np.ndarray, x: np.ndarray) -> None:
    """out[...] = x, of the same shape."""
    if x.dtype == out.dtype and x.dtype.kind == "f":
        copy(x, out=out)
    else:
        np.copyto(out, x)


def join(out: np.ndarray, xs: Sequence[np.ndarray], dim: int) -> None:
    """Write arrays one after another along an axis."""
    outer, inner = prod(out.shape[:dim]), prod(out.shape[dim:])
    alike = out.dtype.kind == "f" and all(x.dtype == out.dtype and x.flags.c_contiguous for x in xs)
    if outer > 1 and alike and _SHORT * len(xs) <= inner <= _BLOCK:
        edges = np.cumsum([0, *(prod(x.shape[dim:]) for x in xs)])
        addresses = np.array([x.__array_interface__["data"][0] for x in xs], np.uint64)
        _join_kernel(out.reshape(outer, inner), addresses, edges, _BLOCK // inner)
        return
    for x, place in pieces(xs, dim):
        assign(out[place], x)


@kernel("T[2] <- u8[1] i8[1] i8")
def _join_kernel(out, addresses, edges, group):
    """Rows made of a piece of each array, in one go, so that memory is written in order."""
    rows = out.shape[0]
    if rows <= group:  # does not pay for waking a thread
        _join(out, addresses, edges, np.int64(0), rows)
    else:
        for task in prange((rows + group - 1) // group):
            _join(out, addresses, edges, task * group, min(rows, (task + 1) * group))


@subroutine
def _join(out, addresses, edges, first, last):
    for i in range(first, last):
        for k in range(addresses.size):
            start, end = edges[k], edges[k + 1]
            piece, to = array_at(addresses[k], i * (end - start), end - start, out), out[i, start:end]
            for j in range(to.size):
                to[j] = piece[j]


def fill(out: np.ndarray, value: float) -> None:
    """out[...] = value."""
    out[...] = value


def lower(x: np.ndarray, last: int) -> np.ndarray:
    """x up to a diagonal, 0 above it."""
    rows, columns = x.shape[-2:]
    return masked(x, ~np.tri(rows, columns, last, np.bool_), 0)


def upper(x: np.ndarray, first: int) -> np.ndarray:
    """x from a diagonal on, 0 below it."""
    rows, columns = x.shape[-2:]
    return masked(x, np.tri(rows, columns, first - 1, np.bool_), 0)


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
