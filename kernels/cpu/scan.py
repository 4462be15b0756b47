"""Cumulative sums of (outer, rows, inner) over the rows: a task is some outer indices, or some columns."""

import numpy as np
from numba import prange

from ..device import empty
from .fold import CUT, as_rows, plan, span
from .kernel import kernel, subroutine


def cumsum(x, dim):
    return _scan(x, dim, 1)


def cumsum_backward(dout, dim):
    return _scan(dout, dim, -1)


def _scan(x, dim, direction):
    out = empty(x.shape, x.dtype)
    if x.size:
        rows = as_rows(x, (dim % x.ndim,))[0]
        outer, count, inner = rows.shape
        _cumsum_kernel(
            out.reshape(-1), rows.reshape(-1), outer, inner, direction, *plan(outer, count, inner, whole=True)
        )
    return out


@subroutine
def _along(out, x, at, rows, direction):
    """By fours, of which only the total waits for the one before."""
    total, r = 0.0, 0
    while r + 4 <= rows:
        a = np.float64(x[at])
        b = a + x[at + direction]
        c = b + x[at + 2 * direction]
        d = c + x[at + 3 * direction]
        out[at] = total + a
        out[at + direction] = total + b
        out[at + 2 * direction] = total + c
        total += d
        out[at + 3 * direction] = total
        at += 4 * direction
        r += 4
    while r < rows:
        total += x[at]
        out[at] = total
        at += direction
        r += 1


@kernel(f"T[1] <- T[1] i8 i8 i8 {CUT}")
def _cumsum_kernel(out, x, outer, inner, direction, tasks, rows, most, group, columns):
    """Sums from the first row on, or from the last where the direction is -1."""
    for task in prange(tasks.shape[0]):
        start, first = tasks[task, 0], tasks[task, 2]
        total = np.empty(columns, np.float64)
        for o in range(start, min(start + group, outer)):
            begin, _, width = span(o, 0, first, inner, rows, most, columns)
            at = begin if direction > 0 else begin + (rows - 1) * inner
            if inner == 1:
                _along(out, x, at, rows, direction)
                continue
            total[:] = 0.0
            for _ in range(rows):
                row, to = x[at : at + width], out[at : at + width]
                for c in range(width):
                    total[c] += row[c]
                    to[c] = total[c]
                at += direction * inner
