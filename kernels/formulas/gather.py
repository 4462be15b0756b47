"""Elements and rows by id: every op is `rows` on a flattened array, or on its advanced axes merged into one."""

from math import prod

import numpy as np

from ..device import cast
from ..ops.gather import spread
from .copies import assign, fill
from .elementwise import add
from .ids import joined, positions, wrapped
from .pointwise import contiguous, empty
from .rows import add_rows, put, put_backward, take_rows


def gather(x, index, dim):
    return _take(x, positions("gather: index", index, x.shape, dim), index.shape)


def gather_backward(dout, index, x_shape, dim):
    return _add(dout, positions("gather_backward: index", index, x_shape, dim), x_shape)


def scatter(x, index, src, dim):
    at = positions("scatter: index", index, x.shape, dim)
    return put(_flat(x), at, _flat(cast(src, x.dtype))).reshape(x.shape)


def scatter_backward(dout, index, dim):
    at = positions("scatter_backward: index", index, dout.shape, dim)
    dx, dsrc = put_backward(_flat(dout), at)
    return dx.reshape(dout.shape), dsrc.reshape(index.shape)


def scatter_add(x, index, src, dim):
    return add(x, _add(src, positions("scatter_add: index", index, x.shape, dim), x.shape))


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
        fill(dx, 0)
    assign(view, sums.reshape(view.shape))
    return dx


def _plan(x, indices):
    """The view of x in which the axes that ids choose from stand together, from `first` to `last`; the ids of these
    axes merged into one, flat; and the shape in which they came."""
    entries = spread(x.shape, indices)
    among = [k for k, i in enumerate(entries) if _is_id(i)]
    apart = among[-1] - among[0] >= len(among)
    entries = [i for i in entries if i is not ...]
    axes = [a for a, i in enumerate(entries) if _is_id(i)]
    view = x[tuple(slice(None) if a in axes else i for a, i in enumerate(entries))]
    ids = joined([entries[a] for a in axes], [view.shape[a] for a in axes])
    first = axes[0]
    if apart:
        view, first = np.moveaxis(view, axes, range(len(axes))), 0
    return view, first, first + len(axes), ids.reshape(-1), ids.shape


def _is_id(entry):
    return not (entry is None or entry is ... or isinstance(entry, slice))


def _three(shape, first, last):
    return prod(shape[:first]), prod(shape[first:last]), prod(shape[last:])


def _flat(x):
    return contiguous(x).reshape(-1)


def _take(x, at, shape):
    return take_rows(contiguous(x).reshape(1, x.size, 1), at).reshape(shape)


def _add(values, at, shape):
    return add_rows(contiguous(values).reshape(1, at.size, 1), at, prod(shape)).reshape(shape)
