"""The traversal of reductions: every one is (outer, rows, inner) -> (outer, inner), over the rows.

Blocks of rows whose size is fixed give partial results, which are joined afterwards, so that results do not depend
on threads; accumulators are float64. With inner = 1 the rows lie side by side in vectors; otherwise the columns do,
and rows are added to them in order.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numba import prange

from .. import layout
from ..device import contiguous, empty
from ..layout import axes_of as axes_of
from ..layout import from_rows
from ..layout import kept as kept
from .kernel import Kernel, kernel, primitive, subroutine

_ALONG = 16384  # rows of a block when inner is 1
_ACROSS = 256  # and otherwise
_COLUMNS = 1024  # at most in a task, so that accumulators stay in the first cache
_FEWER = 128  # where blocks are whole, so that there are tasks enough
_TASK = 32768  # elements

CUT = "i8[2] i8 i8 i8 i8"
"""What `plan` returns, in the signature of a kernel."""


def as_rows(x: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, list[int] | None]:
    """x as (outer, rows, inner), and the order of x's axes in it if it had to be permuted."""
    return layout.as_rows(x, axes, contiguous)


@lru_cache(4096)
def plan(outer: int, rows: int, inner: int, whole: bool = False) -> tuple[np.ndarray, int, int, int, int]:
    """How a traversal is cut: the last arguments of every kernel here.

    (first outer index, block, first column) of each task; rows; most rows of a block, all of them if it is to be
    `whole`; outer indices of a task; columns of a task.
    """
    most = rows if whole else _ALONG if inner == 1 else _ACROSS
    blocks = -(-rows // most)
    columns = min(inner, _FEWER if whole else _COLUMNS)
    group = -(-_TASK // (min(rows, most) * columns))
    starts = np.meshgrid(np.arange(0, outer, group), np.arange(blocks), np.arange(0, inner, columns), indexing="ij")
    return np.stack([s.ravel() for s in starts], 1).astype(np.int64), rows, most, group, columns


def reduce(run: Kernel, x: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """(outer, rows, inner) -> (outer, inner) by a kernel that `fold` made, times `scale`; 0 of no elements."""
    outer, rows, inner = x.shape
    if not x.size:
        out = empty((outer, inner), x.dtype)
        out.fill(0 * scale)
        return out
    cut = plan(outer, rows, inner)
    blocks = -(-rows // cut[2])
    out = empty((outer, blocks, inner), x.dtype)
    run(out, x.reshape(-1), scale if blocks == 1 else 1.0, *cut)
    return out.reshape(outer, inner) if blocks == 1 else reduce(run, out, scale)


@primitive
def span(o, block, first, inner, rows, most, columns):
    """Where a block begins and ends in the flat array, and how many columns it has."""
    begin = (o * rows + block * most) * inner + first
    return begin, (o * rows + min((block + 1) * most, rows)) * inner, min(columns, inner - first)


def made_for(formula: Callable[..., Any], name: str, signature: str) -> Callable[[Callable[..., None]], Kernel]:
    """`@kernel` for a factory: the kernel belongs to the family whose file has the formula."""

    def make(run: Callable[..., None]) -> Kernel:
        run.__module__ = formula.__module__
        return kernel(signature, name=name)(run)

    return make


def fold(name: str, along: Any, join: Callable[[float, float], float], neutral: float) -> Kernel:
    """A kernel: out = scale times each block, folded by `along(x, begin, size)` or, into columns, by `join`."""
    combine = primitive(join)

    @made_for(join, name, f"T[3] <- T[1] f8 {CUT}")
    def run(out, x, scale, tasks, rows, most, group, columns):
        outer, _, inner = out.shape
        for task in prange(tasks.shape[0]):
            start, block, first = tasks[task, 0], tasks[task, 1], tasks[task, 2]
            total = np.empty(columns, np.float64)
            for o in range(start, min(start + group, outer)):
                begin, end, width = span(o, block, first, inner, rows, most, columns)
                if inner == 1:
                    out[o, block, 0] = along(x, begin, end - begin) * scale
                    continue
                total[:] = neutral
                for at in range(begin, end, inner):
                    row = x[at : at + width]
                    for c in range(width):
                        total[c] = combine(total[c], np.float64(row[c]))
                row = out[o, block, first : first + width]
                for c in range(width):
                    row[c] = total[c] * scale

    return run


def measure(name: str, along: Any, join: Callable[[float, float], float], neutral: float, pivot, term) -> Kernel:
    """A kernel: of each column of a block first pivot(all elements folded, their number), then Σ term(x, pivot)."""
    combine, center, part = primitive(join), primitive(pivot), primitive(term)

    @subroutine
    def block_of(pivots, sums, x, begin, end, inner, count):
        if inner == 1:
            p = center(np.float64(along(x, begin, end - begin)), end - begin)
            row, found = x[begin:end], 0.0
            for k in range(row.size):
                found += part(row[k], p)
            pivots[0], sums[0] = p, found
            return
        pivots[:], sums[:] = neutral, 0.0
        for at in range(begin, end, inner):
            row = x[at : at + pivots.size]
            for c in range(row.size):
                pivots[c] = combine(pivots[c], np.float64(row[c]))
        for c in range(pivots.size):
            pivots[c] = center(pivots[c], count)
        for at in range(begin, end, inner):
            row = x[at : at + pivots.size]
            for c in range(row.size):
                sums[c] += part(row[c], pivots[c])

    @made_for(term, name, f"f8[3] f8[3] <- T[1] {CUT}")
    def run(pivots, sums, x, tasks, rows, most, group, columns):
        outer, _, inner = pivots.shape
        for task in prange(tasks.shape[0]):
            start, block, first = tasks[task, 0], tasks[task, 1], tasks[task, 2]
            count = min(most, rows - block * most)
            for o in range(start, min(start + group, outer)):
                begin, end, width = span(o, block, first, inner, rows, most, columns)
                p, s = pivots[o, block, first : first + width], sums[o, block, first : first + width]
                block_of(p, s, x, begin, end, inner, count)

    return run


def measured(run: Kernel, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pivots and sums (outer, blocks, inner) by a kernel of `measure`, and the blocks' rows (blocks, 1): float64."""
    outer, rows, inner = x.shape
    cut = plan(outer, rows, inner) if x.size else (None, rows, 1, 1, 1)
    most = cut[2]
    sizes = np.minimum(most, rows - np.arange(0, rows, most))[:, None].astype(np.float64)
    pivots, sums = (empty((outer, len(sizes), inner), np.float64) for _ in range(2))
    if x.size:
        run(pivots, sums, x.reshape(-1), *cut)
    return pivots, sums, sizes


def spread(name: str, formula: Callable[[Any, float, float], float]) -> Callable[..., np.ndarray]:
    """A gradient dx = formula(x, a, b) of a reduction over some axes, which a and b lack (or have with size 1)."""
    element = primitive(formula)

    @made_for(formula, name, f"T[1] <- T[1] f8[2] f8[2] {CUT}")
    def run(dx, x, a, b, tasks, rows, most, group, columns):
        outer, inner = a.shape
        for task in prange(tasks.shape[0]):
            start, block, first = tasks[task, 0], tasks[task, 1], tasks[task, 2]
            for o in range(start, min(start + group, outer)):
                begin, end, width = span(o, block, first, inner, rows, most, columns)
                if inner == 1:
                    p, q, row, drow = a[o, 0], b[o, 0], x[begin:end], dx[begin:end]
                    for k in range(row.size):
                        drow[k] = element(row[k], p, q)
                    continue
                ps, qs = a[o, first : first + width], b[o, first : first + width]
                for at in range(begin, end, inner):
                    row, drow = x[at : at + width], dx[at : at + width]
                    for c in range(width):
                        drow[c] = element(row[c], ps[c], qs[c])

    def apply(x: np.ndarray, a: np.ndarray, b: np.ndarray, dim: int | tuple[int, ...] | None) -> np.ndarray:
        x3, order = as_rows(x, axes_of(x.ndim, dim))
        outer, rows, inner = x3.shape
        dx = empty(x3.shape, x.dtype)
        if x.size:
            a, b = (np.ascontiguousarray(v, np.float64).reshape(outer, inner) for v in (a, b))
            run(dx.reshape(-1), x3.reshape(-1), a, b, *plan(outer, rows, inner))
        return from_rows(dx, x.shape, order)

    return apply
