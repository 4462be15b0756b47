"""Copies between arrays of any strides: floats by a kernel, other dtypes and conversions by NumPy."""

from builtins import slice as span
from itertools import product
from math import prod

import numpy as np
from numba import prange

from ..device import contiguous, empty
from ..ops.indexing import back, bordered, listed
from .elementwise import elementwise
from .kernel import kernel, subroutine
from .reduce import sum_to
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


def cat(xs, dim):
    dim %= xs[0].ndim
    shape = list(xs[0].shape)
    shape[dim] = sum(x.shape[dim] for x in xs)
    out = empty(tuple(shape), np.result_type(*xs))
    outer, inner = prod(shape[:dim]), prod(shape[dim:])
    alike = out.dtype.kind == "f" and all(x.dtype == out.dtype and x.flags.c_contiguous for x in xs)
    if outer > 1 and alike and _SHORT * len(xs) <= inner <= _BLOCK:
        edges = np.cumsum([0, *(prod(x.shape[dim:]) for x in xs)])
        addresses = np.array([x.__array_interface__["data"][0] for x in xs], np.uint64)
        _cat_kernel(out.reshape(outer, inner), addresses, edges, _BLOCK // inner)
        return out
    start = 0
    for x in xs:
        end = start + x.shape[dim]
        assign(out[(span(None),) * dim + (span(start, end),)], x)
        start = end
    return out


def stack(xs, dim):
    return cat([np.expand_dims(x, dim) for x in xs], dim)


@kernel("T[2] <- u8[1] i8[1] i8")
def _cat_kernel(out, addresses, edges, group):
    """Rows made of a piece of each array, in one go, so that memory is written in order."""
    rows = out.shape[0]
    if rows <= group:  # does not pay for waking a thread
        _cat(out, addresses, edges, np.int64(0), rows)
    else:
        for task in prange((rows + group - 1) // group):
            _cat(out, addresses, edges, task * group, min(rows, (task + 1) * group))


@subroutine
def _cat(out, addresses, edges, first, last):
    for i in range(first, last):
        for k in range(addresses.size):
            start, end = edges[k], edges[k + 1]
            piece, to = array_at(addresses[k], i * (end - start), end - start, out), out[i, start:end]
            for j in range(to.size):
                to[j] = piece[j]


def pad(x, pad, value):
    shape, inside = bordered(x.shape, pad)
    out = empty(shape, x.dtype)
    surround(out, inside, value)
    assign(out[inside], x)
    return out


def surround(out: np.ndarray, index: tuple, value: float) -> None:
    """A value everywhere but in out[index], written once; everywhere, if that skips elements."""
    index = tuple(i for i in index if i is not None)
    at = index.index(...)
    index = index[:at] + (span(None),) * (out.ndim - len(index) + 1) + index[at + 1 :]
    bounds = [
        i.indices(n) if isinstance(i, span) else (i % n, i % n + 1, 1) for i, n in zip(index, out.shape, strict=True)
    ]
    if any(step != 1 or end <= start for start, end, step in bounds):
        out.fill(value)
        return
    box: tuple[span, ...] = ()
    for start, end, _ in bounds:
        for rest in (span(0, start), span(end, None)):
            beside = (*box, rest)
            out[beside] = value
        box = (*box, span(start, end))


def roll(x, shifts, dims):
    if dims is None:
        return roll(contiguous(x).reshape(-1), shifts, 0).reshape(x.shape)
    moved = [0] * x.ndim
    for dim, shift in zip(listed(dims), listed(shifts), strict=True):
        moved[dim] += shift
    out = empty(x.shape, x.dtype)
    if x.size:
        for parts in product(*(_halves(n, shift % n) for n, shift in zip(x.shape, moved, strict=True))):
            to, of = zip(*parts, (..., ...), strict=True)
            assign(out[to], x[of])
    return out


def _halves(n: int, shift: int) -> list[tuple[span, span]]:
    """(where to, where from) of the parts of an axis of size n that move as one."""
    whole = span(None)
    return [(span(shift, n), span(0, n - shift)), (span(0, shift), span(n - shift, n))] if shift else [(whole, whole)]


def roll_backward(dout, shifts, dims):
    return roll(dout, back(shifts), dims)


def tril(x, diagonal):
    return _fill(x, ~np.tri(*x.shape[-2:], diagonal, np.bool_), 0)


def triu(x, diagonal):
    return _fill(x, np.tri(*x.shape[-2:], diagonal - 1, np.bool_), 0)


def tril_backward(dout, diagonal):
    return tril(dout, diagonal)


def triu_backward(dout, diagonal):
    return triu(dout, diagonal)


def masked_fill(x, mask, value):
    return _fill(x, mask, value)


def masked_fill_backward(dout, mask, x_shape):
    return sum_to(_fill(dout, mask, 0), x_shape)


def _fill(x: np.ndarray, mask: np.ndarray, value: float) -> np.ndarray:
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
