"""Rows by id: taken, written, or added up, in an order that a stable sort of the ids gives. What is only copied is
copied as bits; where an id is bad, floats are NaN."""

from typing import Any

import numpy as np
from numba import float32, uint32

from .copies import assign, bits
from .kernel import kernel, primitive
from .pointwise import contiguous
from .ptx import VECTOR, load, load_vector, store, store_vector
from .runtime import empty
from .sort import sorted_ids
from .threads import THREADS, blocks, thread, width


def take_rows(x: Any, ids: Any) -> Any:
    """out (A, N, C) = x[:, ids] of x (A, R, C), for ids (N,), int64; NaN or 0 for an id outside [0, R)."""
    outer, size, inner = x.shape
    out = empty((outer, ids.size, inner), x.dtype)
    if out.size:
        x = contiguous(x)
        each = width(inner, out, x)
        bad = bits(np.asarray(np.nan if x.dtype.kind == "f" else 0, x.dtype)).item()
        total = out.size // each
        _take_kernel(blocks(total), bits(out), bits(x), ids, bad, size, ids.size, inner // each, total, each)
    return out


@kernel("T* <- T* i8* T i8 u4 u4 u4 u4", threads=THREADS)
def _take_kernel(out, x, ids, bad, size, count, pieces, total, each):
    """A thread has a piece of a row: a vector, or one element."""
    i = thread()
    if i < total:
        row = i // pieces
        outer = row // count
        id = load(ids, row - outer * count)
        is_bad = (id < 0) | (id >= size)
        of = ((np.int64(outer) * size + id) * np.int64(pieces) + np.int64(i - row * pieces)) * np.int64(each)
        if each == uint32(VECTOR):
            store_vector(out, np.int64(i) * np.int64(VECTOR), (bad, bad, bad, bad) if is_bad else load_vector(x, of))
        else:
            store(out, i, bad if is_bad else load(x, of))


def put(x: Any, at: Any, values: Any) -> Any:
    """A copy of x with `values` at `at`, all of one axis, in order: of several for one place the last stays."""
    out = empty(x.shape, x.dtype)
    assign(out, x)
    if at.size:
        keys, order = sorted_ids(at, x.size)
        _put_kernel(blocks(at.size), bits(out), bits(values), keys, order, at.size, x.size)
    return out


@primitive
def _is_last(keys, i, count, size):
    """Whether the sorted id i is the last of its kind, and none that is bad."""
    key = load(keys, i)
    return (key < size) & ((i + uint32(1) == count) or (load(keys, i + uint32(1)) != key))


@kernel("T* <- T* u4* u4* u4 u4", threads=THREADS)
def _put_kernel(out, values, keys, order, count, size):
    i = thread()
    if i < count and _is_last(keys, i, count, size):
        store(out, load(keys, i), load(values, load(order, i)))


def put_backward(dout: Any, at: Any) -> tuple[Any, Any]:
    """The gradients of `put`: dout but for 0 at `at`, and for each value dout at its place, or 0 if it did not stay."""
    dx, dvalues = empty(dout.shape, dout.dtype), empty(at.shape, dout.dtype)
    assign(dx, dout)
    if at.size:
        keys, order = sorted_ids(at, dout.size)
        _put_backward_kernel(blocks(at.size), dx, dvalues, dout, keys, order, at.size, dout.size)
    return dx, dvalues


@kernel("T* T* <- T* u4* u4* u4 u4", threads=THREADS)
def _put_backward_kernel(dx, dvalues, dout, keys, order, count, size):
    i = thread()
    if i < count:
        key = load(keys, i)
        if _is_last(keys, i, count, size):
            store(dvalues, load(order, i), load(dout, key))
            store(dx, key, float32(0))
        else:
            store(dvalues, load(order, i), float32(0))


def add_rows(rows: Any, ids: Any, size: int) -> Any:
    """out (A, R, C): the sums of those of `rows` (A, N, C) that have the same id, in order; R is `size`.

    A sum goes along with the sum of its rounding errors. Rows with an id outside [0, R) are added nowhere.
    """
    outer, count, inner = rows.shape
    out = empty((outer, size, inner), rows.dtype)
    if out.size:
        rows = contiguous(rows)
        keys, order = sorted_ids(ids, size)
        start = empty(size + 1, "u4")
        _bounds_kernel(blocks(size + 1), start, keys, count, size)
        each = width(inner, out, rows)
        total = out.size // each
        run = _add_vectors if each == VECTOR else _add_elements
        run(blocks(total), out, rows, start, order, size, count, inner // each, total, 0)
    return out


@kernel("u4* <- u4* u4 u4", threads=THREADS)
def _bounds_kernel(start, keys, count, size):
    """start[v] = how many keys are below v."""
    v = thread()
    if v <= size:
        low, high = uint32(0), count
        while low < high:
            middle = low + ((high - low) >> uint32(1))
            if load(keys, middle) < v:
                low = middle + uint32(1)
            else:
                high = middle
        store(start, v, low)


@primitive
def _plus(sum, error, x):
    """sum + x and its rounding error, added to the error so far: Knuth's exact sum of two."""
    total = sum + x
    part = total - sum
    return total, error + ((sum - (total - part)) + (x - part))


@primitive
def _sum(sum, error):
    return sum + error if error == error else sum  # infinite sums have no error


@kernel("T* <- T* u4* u4* u4 u4 u4 u4 A", threads=THREADS)
def _add_elements(out, rows, start, order, size, count, pieces, total, zero):
    """A thread has an element of a row of `out`."""
    i = thread()
    if i < total:
        row = i // pieces
        outer = row // size
        id = row - outer * size
        first = np.int64(outer) * np.int64(count)
        piece = i - row * pieces
        s = e = zero
        for k in range(load(start, id), load(start, id + uint32(1))):
            s, e = _plus(s, e, load(rows, (first + np.int64(load(order, k))) * np.int64(pieces) + np.int64(piece)))
        store(out, i, _sum(s, e))


@kernel("T* <- T* u4* u4* u4 u4 u4 u4 A", threads=THREADS)
def _add_vectors(out, rows, start, order, size, count, pieces, total, zero):
    """A thread has four elements of a row of `out`."""
    i = thread()
    if i < total:
        row = i // pieces
        outer = row // size
        id = row - outer * size
        first = np.int64(outer) * np.int64(count)
        piece = i - row * pieces
        s0 = s1 = s2 = s3 = e0 = e1 = e2 = e3 = zero
        for k in range(load(start, id), load(start, id + uint32(1))):
            at = (first + np.int64(load(order, k))) * np.int64(pieces) + np.int64(piece)
            x0, x1, x2, x3 = load_vector(rows, at * np.int64(VECTOR))
            s0, e0 = _plus(s0, e0, x0)
            s1, e1 = _plus(s1, e1, x1)
            s2, e2 = _plus(s2, e2, x2)
            s3, e3 = _plus(s3, e3, x3)
        sums = _sum(s0, e0), _sum(s1, e1), _sum(s2, e2), _sum(s3, e3)
        store_vector(out, np.int64(i) * np.int64(VECTOR), sums)
