"""Rows by id: taken, written, or added up, in an order that a stable sort of the ids gives. What is only copied is
copied as bits; where an id is bad, floats are NaN."""

from typing import Any

import numpy as np
from numba import float32, int32, int64, uint32

from .copies import assign, bits
from .kernel import kernel, primitive
from .pointwise import contiguous
from .ptx import VECTOR, load, load_vector, store, store_vector
from .runtime import empty
from .sort import sorted_ids
from .threads import THREADS, blocks, thread, width

_STRETCH = 64  # sorted ids


def take_rows(x: Any, ids: Any) -> Any:
    """out (A, N, C) = x[:, ids] of x (A, R, C), for ids (N,), int64; NaN or 0 for an id outside [0, R).

    uint16 is taken for bfloat16.
    """
    outer, size, inner = x.shape
    out = empty((outer, ids.size, inner), x.dtype)
    if out.size:
        x = contiguous(x)
        each = width(inner, out, x)
        bad = 0x7FC0 if x.dtype == np.uint16 else bits(np.asarray(np.nan if x.dtype.kind == "f" else 0, x.dtype)).item()
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
        of = ((int64(outer) * size + id) * int64(pieces) + int64(i - row * pieces)) * int64(each)
        if each == uint32(VECTOR):
            store_vector(out, int64(i) * int64(VECTOR), (bad, bad, bad, bad) if is_bad else load_vector(x, of))
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

    A sum goes along with the sum of its rounding errors. Of an id that many have, stretches of the sorted ids are
    summed first, so that no thread has all of them. Rows with an id outside [0, R) are added nowhere.
    """
    outer, count, inner = rows.shape
    out = empty((outer, size, inner), rows.dtype)
    if out.size:
        rows = contiguous(rows)
        keys, order = sorted_ids(ids, size)
        start = empty(size + 1, "u4")
        _bounds_kernel(blocks(size + 1), start, keys, count, size)
        pieces, stretches = -(-inner // VECTOR), count // _STRETCH
        sums = empty((outer, stretches, inner), np.float64 if rows.dtype == np.float64 else np.float32)
        sizes = count, inner, width(inner, out, rows, sums) == VECTOR, pieces, stretches
        if stretches:
            total = outer * stretches * pieces
            _add_stretches(blocks(total), sums, rows, keys, order, *sizes, total, 0)
        total = outer * size * pieces
        _add_kernel(blocks(total), out, rows, sums, start, order, *sizes, size, total, 0)
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


@primitive
def _plus_four(sums, errors, x):
    s0, e0 = _plus(sums[0], errors[0], x[0])
    s1, e1 = _plus(sums[1], errors[1], x[1])
    s2, e2 = _plus(sums[2], errors[2], x[2])
    s3, e3 = _plus(sums[3], errors[3], x[3])
    return (s0, s1, s2, s3), (e0, e1, e2, e3)


@primitive
def _four(x, at, columns, is_vector, zero):
    """Four elements from x[at] on, of which only so many `columns` are left in the row."""
    if is_vector:
        return load_vector(x, at)
    return (
        load(x, at),
        load(x, at + int64(1)) if columns > int32(1) else zero,
        load(x, at + int64(2)) if columns > int32(2) else zero,
        load(x, at + int64(3)) if columns > int32(3) else zero,
    )


@primitive
def _store_four(out, at, sums, errors, columns, is_vector):
    s0, s1 = _sum(sums[0], errors[0]), _sum(sums[1], errors[1])
    s2, s3 = _sum(sums[2], errors[2]), _sum(sums[3], errors[3])
    if is_vector:
        store_vector(out, at, (s0, s1, s2, s3))
    else:
        store(out, at, s0)
        if columns > int32(1):
            store(out, at + int64(1), s1)
        if columns > int32(2):
            store(out, at + int64(2), s2)
        if columns > int32(3):
            store(out, at + int64(3), s3)


@kernel("A* <- T* u4* u4* u4 u4 ? u4 u4 u4 A", threads=THREADS)
def _add_stretches(sums, rows, keys, order, count, inner, is_vector, pieces, stretches, total, zero):
    """A thread has four columns of a stretch of sorted ids: their sums, if the ids are one."""
    i = thread()
    if i < total:
        row = i // pieces
        outer = row // stretches
        first = (row - outer * stretches) * uint32(_STRETCH)
        if load(keys, first) == load(keys, first + uint32(_STRETCH - 1)):
            column = int64(i - row * pieces) * int64(VECTOR)
            columns = int32(int64(inner) - column)
            base = int64(outer) * int64(count)
            s = e = (zero, zero, zero, zero)
            for k in range(first, first + uint32(_STRETCH)):
                at = (base + int64(load(order, k))) * int64(inner) + column
                s, e = _plus_four(s, e, _four(rows, at, columns, is_vector, zero))
            _store_four(sums, int64(row) * int64(inner) + column, s, e, columns, is_vector)


@kernel("T* <- T* A* u4* u4* u4 u4 ? u4 u4 u4 u4 A", threads=THREADS)
def _add_kernel(out, rows, sums, start, order, count, inner, is_vector, pieces, stretches, size, total, zero):
    """A thread has four columns of a row of `out`: the sum of the rows up to a whole stretch, of whole stretches, and
    of the rows after them."""
    i = thread()
    if i < total:
        row = i // pieces
        outer = row // size
        id = row - outer * size
        column = int64(i - row * pieces) * int64(VECTOR)
        columns = int32(int64(inner) - column)
        first, last = load(start, id), load(start, id + uint32(1))
        begin, end = (first + uint32(_STRETCH - 1)) // uint32(_STRETCH), last // uint32(_STRETCH)
        head, tail = last, last
        if begin < end:
            head, tail = uint32(begin * uint32(_STRETCH)), uint32(end * uint32(_STRETCH))
        base = int64(outer) * int64(count)
        s = e = (zero, zero, zero, zero)
        for k in range(first, head):
            at = (base + int64(load(order, k))) * int64(inner) + column
            s, e = _plus_four(s, e, _four(rows, at, columns, is_vector, zero))
        for k in range(begin, end):
            at = (int64(outer) * int64(stretches) + int64(k)) * int64(inner) + column
            s, e = _plus_four(s, e, _four(sums, at, columns, is_vector, zero))
        for k in range(tail, last):
            at = (base + int64(load(order, k))) * int64(inner) + column
            s, e = _plus_four(s, e, _four(rows, at, columns, is_vector, zero))
        _store_four(out, int64(row) * int64(inner) + column, s, e, columns, is_vector)
