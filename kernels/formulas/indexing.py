"""Copies between arrays of any strides: arrays joined, padded, rolled, or masked."""

from builtins import slice as span
from itertools import product

import numpy as np

from ..ops.indexing import back, bordered, listed
from .copies import assign, fill, join, lower, masked, upper
from .pointwise import contiguous, empty
from .reduce import sum_to

WIDENED = "masked_fill", "pad"  # which write a number among bits


def cat(xs, dim):
    dim %= xs[0].ndim
    shape = list(xs[0].shape)
    shape[dim] = sum(x.shape[dim] for x in xs)
    out = empty(tuple(shape), np.result_type(*(x.dtype for x in xs)))
    join(out, xs, dim)
    return out


def stack(xs, dim):
    return cat([np.expand_dims(x, dim) for x in xs], dim)


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
        fill(out, value)
        return
    box: tuple[span, ...] = ()
    for start, end, _ in bounds:
        for rest in (span(0, start), span(end, None)):
            beside = (*box, rest)
            fill(out[beside], value)
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
    return lower(x, diagonal)


def triu(x, diagonal):
    return upper(x, diagonal)


def tril_backward(dout, diagonal):
    return tril(dout, diagonal)


def triu_backward(dout, diagonal):
    return triu(dout, diagonal)


def masked_fill(x, mask, value):
    return masked(x, mask, value)


def masked_fill_backward(dout, mask, x_shape):
    return sum_to(masked(dout, mask, 0), x_shape)
