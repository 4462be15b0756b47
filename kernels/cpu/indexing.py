"""Copies between arrays of any strides; the views of this family need no kernels."""

from builtins import slice as span

import numpy as np

from ..device import empty
from .elementwise import elementwise
from .reduce import sum_to


@elementwise
def copy(x):
    return x


def cat(xs, dim):
    dtype = np.result_type(*xs)
    dim %= xs[0].ndim
    shape = list(xs[0].shape)
    shape[dim] = sum(x.shape[dim] for x in xs)
    out = empty(tuple(shape), dtype)
    start = 0
    for x in xs:
        end = start + x.shape[dim]
        copy(x.astype(dtype, copy=False), out=out[(span(None),) * dim + (span(start, end),)])
        start = end
    return out


def expand_backward(dout, x_shape):
    return sum_to(dout, x_shape)


def unbind_backward(dout, dim):
    shape = list(dout[0].shape)
    dim %= len(shape) + 1
    dx = empty((*shape[:dim], len(dout), *shape[dim:]), dout[0].dtype)
    for i, piece in enumerate(dout):
        copy(piece, out=dx[(span(None),) * dim + (i, ...)])
    return dx


def slice_backward(dout, x_shape, index):
    dx = empty(x_shape, dout.dtype)
    index = index if isinstance(index, tuple) else (index,)
    index = index if ... in index else (*index, ...)
    _clear_around(dx, index)
    copy(dout, out=dx[index])
    return dx


def _clear_around(dx: np.ndarray, index: tuple) -> None:
    """Zeros everywhere but in dx[index], written once; everywhere, if that skips elements."""
    index = tuple(i for i in index if i is not None)
    at = index.index(...)
    index = index[:at] + (span(None),) * (dx.ndim - len(index) + 1) + index[at + 1 :]
    bounds = [
        i.indices(n) if isinstance(i, span) else (i % n, i % n + 1, 1) for i, n in zip(index, dx.shape, strict=True)
    ]
    if any(step != 1 or end <= start for start, end, step in bounds):
        dx.fill(0)
        return
    box: tuple[span, ...] = ()
    for start, end, _ in bounds:
        for rest in (span(0, start), span(end, None)):
            beside = (*box, rest)
            dx[beside] = 0
        box = (*box, span(start, end))
