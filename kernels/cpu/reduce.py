"""Reductions: every one is (outer, rows, inner) -> (outer, inner), over the rows.

Blocks of rows whose size is fixed give partial results, which are reduced in the same way, so that sums do
not depend on threads; they are accumulated in float64. With inner = 1 the rows lie side by side in vectors;
otherwise the columns do, and rows are added to them in order.
"""

from collections.abc import Callable
from functools import lru_cache
from math import inf, nan, prod

import numpy as np
from numba import prange

from ..device import contiguous, empty
from .kernel import Kernel, kernel, primitive
from .simd import row_max

_ALONG = 16384  # rows of a partial result when inner is 1
_ACROSS = 256  # and otherwise
_COLUMNS = 1024  # at most in a task, so that their sums stay in the first cache
_TASK = 32768  # elements


def sum(x, dim, keepdim):
    return _reduce_dim(_SUM, x, dim, keepdim)


def mean(x, dim, keepdim):
    count = prod(x.shape[a] for a in axes_of(x.ndim, dim))
    return _reduce_dim(_SUM, x, dim, keepdim, 1 / count if count else nan)


def max(x, dim, keepdim):
    return _reduce_dim(_MAX, x, dim, keepdim)


def mean_backward(dout, x_shape, dim, keepdim):
    axes = axes_of(len(x_shape), dim)
    count = prod(x_shape[a] for a in axes)
    share = _reduce(_SUM, contiguous(dout).reshape(1, 1, -1), 1 / count if count else nan)
    return np.broadcast_to(share.reshape(_kept(x_shape, axes, True)), x_shape)


def max_backward(dout, x, out, dim, keepdim):
    rows, order = _as_rows(x, axes_of(x.ndim, dim))
    dx = empty(rows.shape, x.dtype)
    outer, count, inner = rows.shape
    if inner == 1:
        along = (outer, count)
        _max_backward_along(
            dx.reshape(along), contiguous(dout).reshape(-1), rows.reshape(along), contiguous(out).reshape(-1)
        )
    elif x.size:
        across = (outer, inner)
        dout, out = contiguous(dout).reshape(across), contiguous(out).reshape(across)
        _max_backward_across(dx, dout, rows, out, *_tasks(outer, 1, inner, count))
    if order is None:
        return dx.reshape(x.shape)
    return dx.reshape([x.shape[a] for a in order]).transpose(np.argsort(order))


def sum_to(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The sum over the axes along which `shape` was broadcast to x's; x itself if there are none."""
    if x.shape == shape:
        return x
    return _reduce_axes(_SUM, x, _broadcast_axes(x.shape, shape)).reshape(shape)


@lru_cache(4096)
def axes_of(ndim: int, dim: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """The axes that `dim` names, in order."""
    if dim is None:
        return tuple(range(ndim))
    return tuple(sorted(d % ndim for d in ((dim,) if isinstance(dim, int) else dim)))


@lru_cache(4096)
def _broadcast_axes(shape: tuple[int, ...], own: tuple[int, ...]) -> tuple[int, ...]:
    new = len(shape) - len(own)
    return tuple(a for a, n in enumerate(shape) if a < new or own[a - new] != n)


def _kept(shape: tuple[int, ...], axes: tuple[int, ...], keepdim: bool) -> tuple[int, ...]:
    if keepdim:
        return tuple(1 if a in axes else n for a, n in enumerate(shape))
    return tuple(n for a, n in enumerate(shape) if a not in axes)


def _as_rows(x: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, list[int] | None]:
    """x as (outer, rows, inner), and the order of x's axes in it if it had to be permuted."""
    first, last = (axes[0], axes[-1]) if axes else (0, -1)
    order = None
    if last - first >= len(axes):
        order = [a for a in range(x.ndim) if a not in axes] + list(axes)
        x = x.transpose(order)
        first, last = x.ndim - len(axes), x.ndim - 1
    shape = prod(x.shape[:first]), prod(x.shape[first : last + 1]), prod(x.shape[last + 1 :])
    return contiguous(x).reshape(shape), order


def _reduce_dim(kind, x, dim, keepdim, scale=1.0):
    axes = axes_of(x.ndim, dim)
    return _reduce_axes(kind, x, axes, scale).reshape(_kept(x.shape, axes, keepdim))


def _reduce_axes(kind, x, axes, scale=1.0):
    return _reduce(kind, _as_rows(x, axes)[0], scale)


def _reduce(kind: "tuple[Kernel, Kernel]", x: np.ndarray, scale: float) -> np.ndarray:
    outer, rows, inner = x.shape
    if not x.size:
        out = empty((outer, inner), x.dtype)
        out.fill(0 * scale)
        return out
    along, across = kind
    most = _ALONG if inner == 1 else _ACROSS
    splits = -(-rows // most)
    out = empty((outer, splits, inner), x.dtype)
    run = along if inner == 1 else across
    x = x.reshape(outer, 1, rows) if inner == 1 else x
    run(out, x, *_tasks(outer, splits, inner, min(rows, most)), most, scale if splits == 1 else 1.0)
    return out.reshape(outer, inner) if splits == 1 else _reduce(kind, out, scale)


@lru_cache(1024)
def _tasks(outer: int, splits: int, inner: int, rows: int) -> tuple[np.ndarray, int, int]:
    """(first outer index, block of rows, first column) of each task; outer indices and columns of a task."""
    columns = min(inner, _COLUMNS)
    group = -(-_TASK // (rows * columns))
    starts = np.meshgrid(np.arange(0, outer, group), np.arange(splits), np.arange(0, inner, columns), indexing="ij")
    return np.stack([s.ravel() for s in starts], 1).astype(np.int64), group, columns


@kernel("T[3] <- T[3] i8[2] i8 i8 i8 f8")
def _sum_along(out, x, tasks, group, columns, most, scale):
    outer, _, rows = x.shape
    for task in prange(tasks.shape[0]):
        start, split = tasks[task, 0], tasks[task, 1]
        end = min((split + 1) * most, rows)
        for o in range(start, min(start + group, outer)):
            total = 0.0
            run = x[o, 0, split * most : end]
            for k in range(run.size):
                total += run[k]
            out[o, split, 0] = total * scale


@kernel("T[3] <- T[3] i8[2] i8 i8 i8 f8")
def _max_along(out, x, tasks, group, columns, most, scale):
    outer, _, rows = x.shape
    for task in prange(tasks.shape[0]):
        start, split = tasks[task, 0], tasks[task, 1]
        first = split * most
        end = min(first + most, rows)
        for o in range(start, min(start + group, outer)):
            run = x[o, 0, first:end]
            strange = 0
            for k in range(run.size):
                strange += run[k] != run[k]
            top = row_max(x, o * rows + first, run.size)
            out[o, split, 0] = x.dtype.type(nan) if strange > 0 else top


def _across(name: str, combine: Callable[[float, float], float], neutral: float) -> Kernel:
    combine = primitive(combine)

    @kernel("T[3] <- T[3] i8[2] i8 i8 i8 f8", name=name)
    def run(out, x, tasks, group, columns, most, scale):
        outer, rows, inner = x.shape
        for task in prange(tasks.shape[0]):
            start, split, first = tasks[task, 0], tasks[task, 1], tasks[task, 2]
            end, last = min((split + 1) * most, rows), min(first + columns, inner)
            total = np.empty(columns, np.float64)
            for o in range(start, min(start + group, outer)):
                total[:] = neutral
                for r in range(split * most, end):
                    row = x[o, r, first:last]
                    for c in range(last - first):
                        total[c] = combine(total[c], np.float64(row[c]))
                sums = out[o, split, first:last]
                for c in range(last - first):
                    sums[c] = total[c] * scale

    return run


def _larger(a, b):
    return b if (b > a) | (b != b) else a


_SUM = _sum_along, _across("_sum_across", lambda a, b: a + b, 0.0)
_MAX = _max_along, _across("_max_across", _larger, -inf)


@kernel("T[2] <- T[1] T[2] T[1]")
def _max_backward_along(dx, dout, x, out):
    outer, rows = x.shape
    zero = x.dtype.type(0)
    for o in prange(outer):
        top = out[o]
        ties = 0
        for r in range(rows):
            ties += x[o, r] == top
        share = dout[o] / x.dtype.type(ties)
        for r in range(rows):
            dx[o, r] = share if x[o, r] == top else zero


@kernel("T[3] <- T[2] T[3] T[2] i8[2] i8 i8")
def _max_backward_across(dx, dout, x, out, tasks, group, columns):
    outer, rows, inner = x.shape
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for task in prange(tasks.shape[0]):
        start, first = tasks[task, 0], tasks[task, 2]
        last = min(first + columns, inner)
        share = np.empty(columns, x.dtype)
        for o in range(start, min(start + group, outer)):
            top = out[o, first:last]
            share[:] = zero
            for r in range(rows):
                row = x[o, r, first:last]
                for c in range(last - first):
                    share[c] += one if row[c] == top[c] else zero
            for c in range(last - first):
                share[c] = dout[o, first + c] / share[c]
            for r in range(rows):
                row, drow = x[o, r, first:last], dx[o, r, first:last]
                for c in range(last - first):
                    drow[c] = share[c] if row[c] == top[c] else zero
