"""Elements and rows by id: every op is `rows` on a flattened array, or on its advanced axes merged into one."""

from math import prod

import numpy as np

from ..device import contiguous, empty, zeros
from ..ops.gather import positions, spread, wrapped
from .elementwise import add
from .ids import checked
from .indexing import assign
from .rows import add_rows, put, take_rows

_IDS = (int, np.integer, np.ndarray)


def gather(x, index, dim):
    checked("gather: index", index, x.shape[dim])
    return _take(x, positions(index, x.shape, dim), index.shape)


def gather_backward(dout, index, x_shape, dim):
    return _add(dout, positions(index, x_shape, dim), x_shape)


def scatter(x, index, src, dim):
    checked("scatter: index", index, x.shape[dim])
    src = src.astype(x.dtype, copy=False)
    return _put(x, positions(index, x.shape, dim), contiguous(src).reshape(-1))


def scatter_backward(dout, index, dim):
    at = positions(index, dout.shape, dim)
    order = np.arange(at.size)
    last = empty(dout.shape, np.int64)
    put(last.reshape(-1), at, order)
    dsrc = _take(dout, at, index.shape)
    dsrc[_take(last, at, index.shape) != order.reshape(index.shape)] = 0
    return _put(dout, at, zeros(at.size, dout.dtype)), dsrc


def scatter_add(x, index, src, dim):
    checked("scatter_add: index", index, x.shape[dim])
    return add(x, _add(src, positions(index, x.shape, dim), x.shape))


def scatter_add_backward(dout, index, dim):
    return dout, gather(dout, index, dim)


def take(x, index):
    return _take(x, wrapped("take: index", index, x.size).reshape(-1), index.shape)


def take_backward(dout, index, x_shape):
    return _add(dout, wrapped("take_backward: index", index, prod(x_shape)).reshape(-1), x_shape)


def index(x, indices):
    view, first, last, ids, shape = _plan(x, indices)
    out = take_rows(contiguous(view).reshape(_three(view.shape, first, last)), ids)
    return out.reshape((*view.shape[:first], *shape, *view.shape[last:]))


def index_backward(dout, x_shape, indices):
    dx = empty(x_shape, dout.dtype)
    view, first, last, ids, _ = _plan(dx, indices)
    before, rows, after = _three(view.shape, first, last)
    sums = add_rows(contiguous(dout).reshape(before, ids.size, after), ids, rows)
    if view.size == dx.size and view.flags.c_contiguous:
        return sums.reshape(x_shape)
    if view.size < dx.size:
        dx.fill(0)
    assign(view, sums.reshape(view.shape))
    return dx


def _plan(x, indices):
    """The view of x in which the axes that ids choose from stand together, from `first` to `last`; the ids of these
    axes merged into one, flat; and the shape in which they came."""
    entries = spread(x.shape, indices)
    among = [k for k, i in enumerate(entries) if isinstance(i, _IDS)]
    apart = among[-1] - among[0] >= len(among)
    entries = [i for i in entries if i is not ...]
    axes = [a for a, i in enumerate(entries) if isinstance(i, _IDS)]
    view = x[tuple(slice(None) if a in axes else i for a, i in enumerate(entries))]
    ids = np.int64(0)
    for a in axes:
        ids = ids * view.shape[a] + entries[a] % max(view.shape[a], 1)
    first = axes[0]
    if apart:
        view, first = np.moveaxis(view, axes, range(len(axes))), 0
    return view, first, first + len(axes), np.asarray(ids).reshape(-1), np.shape(ids)


def _three(shape, first, last):
    return prod(shape[:first]), prod(shape[first:last]), prod(shape[last:])


def _take(x, at, shape):
    return take_rows(contiguous(x).reshape(1, x.size, 1), at).reshape(shape)


def _add(values, at, shape):
    return add_rows(contiguous(values).reshape(1, at.size, 1), at, prod(shape)).reshape(shape)


def _put(x, at, values):
    out = empty(x.shape, x.dtype)
    np.copyto(out, x)
    put(out.reshape(-1), at, values)
    return out
