"""Cumulative sums: a task is some rows, or some columns, of (outer, rows, inner), each summed from its first element."""

import numpy as np
from numba import prange

from ..device import empty
from .fold import CUT, as_rows, plan, span
from .kernel import kernel


def cumsum(x, dim):
    return _scan(x, dim, 1)


def cumsum_backward(dout, dim):
    return _scan(dout, dim, -1)


def _scan(x, dim, direction):
    out = empty(x.shape, x.dtype)
    if x.size:
        rows = as_rows(x, (dim % x.ndim,))[0]
        outer, count, inner = rows.shape
        _cumsum_kernel(out.reshape(-1), rows.reshape(-1), outer, inner, direction, *plan(outer, count, inner, count))
    return out


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
                one = 0.0
                for _ in range(rows):
                    one += x[at]
                    out[at] = one
                    at += direction
                continue
            total[:] = 0.0
            for _ in range(rows):
                row, to = x[at : at + width], out[at : at + width]
                for c in range(width):
                    total[c] += row[c]
                    to[c] = total[c]
                at += direction * inner
