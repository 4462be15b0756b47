"""Cumulative sums of (outer, rows, inner) over the rows.

With inner = 1 a block goes along a row or a piece of it, four elements a thread at a time; otherwise a thread along a
column. Where rows are cut into pieces, the sums of the pieces are found first, and whoever has a piece adds up those
before it. All sums are numbers and what was lost by rounding them.
"""

from functools import lru_cache

from numba import cuda
from numba.cuda import int32, int64, uint32

from .block import WARP, lane, warp
from .fold import as_rows, keep, kept, shared, zero
from .kernel import Kernel, primitive
from .ptx import load, store
from .reduce import add, value
from .runtime import empty

_THREADS = 256
_WARPS = _THREADS // WARP
_TILE = 4 * _THREADS  # elements that a block reads at a time
_TINY = 16  # elements of a row that one thread reads
_PIECE, _PIECES = 4096, 1024  # elements of a block where there are few rows, and pieces of a row
_SHARE, _SHARES = 16, 64  # elements of a thread where there are few columns, and pieces of a column
_MANY = 1024  # rows are enough for a block to have a whole one
_COLUMNS = 1 << 17  # threads that are enough where each has a column
_ALL = uint32(0xFFFFFFFF)


def cumsum(x, dim):
    return _scan(x, dim, False)


def cumsum_backward(dout, dim):
    return _scan(dout, dim, True)


def _scan(x, dim, backwards):
    out = empty(x.shape, x.dtype)
    if x.size:
        rows = as_rows(x, (dim % x.ndim,))[0]
        outer, count, inner = rows.shape
        along, most, pieces, grid = _plan(outer, count, inner)
        sums, lost = (empty((outer, pieces, inner), "f8" if x.dtype.itemsize == 8 else "f4") for _ in range(2))
        args = outer, count, inner, most, pieces, backwards
        if pieces > 1:
            (_sums_along if along else _sums_across)(grid, out, rows, sums, lost, *args)
        (_scan_along if along else _scan_across)(grid, out, rows, sums, lost, *args)
    return out


@lru_cache(4096)
def _plan(outer: int, rows: int, inner: int) -> tuple[bool, int, int, int]:
    """Whether blocks have rows, the elements of a piece, the pieces of each row or column, and the grid."""
    if inner == 1 and rows > _TINY:
        most = rows if outer >= _MANY else max(_PIECE, -(-rows // (_PIECES * _TILE)) * _TILE)
        pieces = -(-rows // most)
        return True, most, pieces, outer * pieces
    columns = outer * inner
    pieces = min(_SHARES, -(-rows // _SHARE), -(-_COLUMNS // columns))
    most = -(-rows // pieces)
    pieces = -(-rows // most)
    return False, most, pieces, -(-columns * pieces // _THREADS)


@primitive
def _place(row, rows, backwards):
    """Where the element of a row is that comes at this place."""
    return rows - int64(1) - row if backwards else row


@primitive
def _before(total, partial):
    """The sums of the numbers of the threads before this one in its block, and of all."""
    zero = type(total[0])(0)
    distance = int32(1)
    while distance < int32(WARP):
        other = _from_below(total, distance)
        total = add(other, total) if lane() >= distance else total
        distance *= int32(2)
    if lane() == int32(WARP - 1):
        keep(partial, warp(), total)
    cuda.syncthreads()
    below = _from_below(total, int32(1))
    before, every = (zero, zero), (zero, zero)
    for w in range(int32(_WARPS)):
        if w == warp():
            before = every
        every = add(every, kept(partial, w))
    cuda.syncthreads()  # before the next call writes `partial`
    return add(before, below) if lane() > int32(0) else before, every


@primitive
def _from_below(total, distance):
    return cuda.shfl_up_sync(_ALL, total[0], distance), cuda.shfl_up_sync(_ALL, total[1], distance)


def _along(is_last, name):
    """A kernel: a block has a piece of a row, and stores its cumulative sums, or its sum unless it `is_last`."""

    @primitive
    def number(x, start, row, end, rows, backwards):
        zero_ = zero(x)
        return (load(x, start + _place(row, rows, backwards)) if row < end else zero_), zero_

    @primitive
    def put(out, start, row, end, rows, backwards, total):
        if row < end:
            store(out, start + _place(row, rows, backwards), value(total))

    def body(out, x, sums, lost, outer, rows, inner, most, pieces, backwards):
        i, thread = int64(cuda.blockIdx.x), int64(cuda.threadIdx.x)
        o = i // pieces
        piece, start = i - o * pieces, o * rows
        end = min(rows, (piece + int64(1)) * most)
        total = zero(x), zero(x)
        partial = shared(total)
        if is_last:
            for p in range(o * pieces + thread, i, int64(_THREADS)):
                total = add(total, (load(sums, p), load(lost, p)))
            total = _before(total, partial)[1]
        for tile in range(piece * most, end, int64(_TILE)):
            row = tile + int64(4) * thread
            a = number(x, start, row, end, rows, backwards)
            b = add(a, number(x, start, row + int64(1), end, rows, backwards))
            c = add(b, number(x, start, row + int64(2), end, rows, backwards))
            d = add(c, number(x, start, row + int64(3), end, rows, backwards))
            before, every = _before(d, partial)
            if is_last:
                before = add(total, before)
                put(out, start, row, end, rows, backwards, add(before, a))
                put(out, start, row + int64(1), end, rows, backwards, add(before, b))
                put(out, start, row + int64(2), end, rows, backwards, add(before, c))
                put(out, start, row + int64(3), end, rows, backwards, add(before, d))
            total = add(total, every)
        if not is_last and thread == int64(0):
            store(sums, i, total[0])
            store(lost, i, total[1])

    return Kernel(body, _SIGNATURE, _THREADS, 0, name)


def _across(is_last, name):
    """The same where a thread has a piece of a column."""

    def body(out, x, sums, lost, outer, rows, inner, most, pieces, backwards):
        i = int64(cuda.blockIdx.x) * int64(_THREADS) + int64(cuda.threadIdx.x)
        if i < outer * pieces * inner:
            block = i // inner
            column = i - block * inner
            o = block // pieces
            piece = block - o * pieces
            start = o * rows * inner + column
            total = zero(x), zero(x)
            if is_last:
                for p in range(o * pieces * inner + column, i, inner):
                    total = add(total, (load(sums, p), load(lost, p)))
            for row in range(piece * most, min(rows, (piece + int64(1)) * most)):
                at = start + _place(row, rows, backwards) * inner
                total = add(total, (load(x, at), zero(x)))
                if is_last:
                    store(out, at, value(total))
            if not is_last:
                store(sums, i, total[0])
                store(lost, i, total[1])

    return Kernel(body, _SIGNATURE, _THREADS, 0, name)


_SIGNATURE = "T* <- T* A* A* i8 i8 i8 i8 i8 ?"
_sums_along, _scan_along = _along(False, "_sums_along"), _along(True, "_scan_along")
_sums_across, _scan_across = _across(False, "_sums_across"), _across(True, "_scan_across")
