"""Rows by id: taken, written in order, or added up in order. What is only copied is copied as bits."""

import numpy as np
from numba import prange

from ..device import contiguous, empty, zeros
from .kernel import kernel, subroutine

_BLOCK = 16384  # elements of a task
_TASKS = 256  # of the sum, dealt out in turn: frequent ids lie side by side


def bits(x: np.ndarray) -> np.ndarray:
    """The same memory as unsigned integers, so that one kernel copies every dtype of a size."""
    return x.view(f"u{x.itemsize}")


def take_rows(x: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """out (A, N, C) = x[:, ids] of x (A, R, C), for ids (N,) in [0, R)."""
    out = empty((x.shape[0], ids.size, x.shape[2]), x.dtype)
    if out.size:
        _take_kernel(bits(out), bits(contiguous(x)), ids, -(-_BLOCK // x.shape[2]))
    return out


def put(x: np.ndarray, at: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A copy of x with `values` at `at`, all of one axis, in order: of several for one place the last stays."""
    out = empty(x.shape, x.dtype)
    np.copyto(out, x)
    _put_kernel(bits(out), at, bits(values))
    return out


def put_backward(dout: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The gradients of `put`: dout but for 0 at `at`, and for each value dout at its place, or 0 if it did not stay."""
    order = np.arange(at.size)
    last = empty(dout.size, np.int64)
    _put_kernel(bits(last), at, bits(order))
    dvalues = take_rows(dout.reshape(1, -1, 1), at).reshape(-1)
    dvalues[last[at] != order] = 0
    return put(dout, at, zeros(at.size, dout.dtype)), dvalues


def add_rows(rows: np.ndarray, ids: np.ndarray, size: int) -> np.ndarray:
    """out (A, R, C): the sums of those of `rows` (A, N, C) that have the same id, in order, in float64; R is `size`."""
    outer, count, inner = rows.shape
    if outer * inner < 16 and size > 4 * count + _TASKS:  # tables of this size would outweigh the sums
        named, ids = np.unique(ids, return_inverse=True)
        out = zeros((outer, size, inner), rows.dtype)
        out[:, named] = add_rows(rows, ids.reshape(-1), named.size)
        return out
    out = empty((outer, size, inner), rows.dtype)
    if outer * inner == 1:
        _add_elements(out.reshape(size), empty(size, np.float64), contiguous(rows).reshape(count), ids)
    elif out.size:
        start, order = empty(size + 2, np.int64), empty(count, np.int64)
        _sort_kernel(start, order, ids)
        _add_kernel(out, contiguous(rows), start, order, -(-64 // inner))
    return out


@kernel("T[3] <- T[3] i8[1] i8")
def _take_kernel(out, x, ids, rows):
    count = out.shape[0] * out.shape[1]
    if count <= rows:
        _take(out, x, ids, np.int64(0), count)
    else:
        for task in prange(-(-count // rows)):
            _take(out, x, ids, task * rows, min(count, (task + 1) * rows))


@subroutine
def _take(out, x, ids, first, last):
    o, i = first // ids.size, first % ids.size
    for _ in range(last - first):
        row = ids[i]
        for j in range(out.shape[2]):
            out[o, i, j] = x[o, row, j]
        i += 1
        if i == ids.size:
            i = 0
            o += 1


@kernel("T[1] <- i8[1] T[1]", parallel=False)
def _put_kernel(out, at, values):
    for i in range(at.size):
        out[at[i]] = values[i]


@kernel("T[1] f8[1] <- T[1] i8[1]", parallel=False)
def _add_elements(out, total, values, ids):
    total[:] = 0
    for i in range(ids.size):
        total[ids[i]] += values[i]
    for v in range(total.size):
        out[v] = total[v]


@kernel("i8[1] i8[1] <- i8[1]", parallel=False)
def _sort_kernel(start, order, ids):
    """Counting sort: order[start[v] : start[v + 1]] are the positions of id v, rising."""
    start[:] = 0
    for i in range(ids.size):
        start[ids[i] + 2] += 1
    for v in range(2, start.size):
        start[v] += start[v - 1]
    for i in range(ids.size):
        order[start[ids[i] + 1]] = i
        start[ids[i] + 1] += 1


@kernel("T[3] <- T[3] i8[1] i8[1] i8")
def _add_kernel(out, rows, start, order, group):
    """A task has every so many-th group of ids."""
    outer, size, inner = out.shape
    groups = -(-size // group)
    for task in prange(min(groups, _TASKS)):
        total = np.zeros(inner)
        for o in range(outer):
            for g in range(task, groups, _TASKS):
                for v in range(g * group, min(size, (g + 1) * group)):
                    row = out[o, v]
                    if start[v] == start[v + 1]:
                        row[:] = 0
                        continue
                    total[:] = 0
                    for k in range(start[v], start[v + 1]):
                        given = rows[o, order[k]]
                        for j in range(inner):
                            total[j] += given[j]
                    for j in range(inner):
                        row[j] = total[j]
