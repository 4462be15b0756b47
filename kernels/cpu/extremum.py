"""Maxima and minima, on the traversal of fold.py, and where they are."""

from math import inf, nan

import numpy as np
from numba import prange

from ..device import contiguous, empty
from .fold import CUT, as_rows, axes_of, fold, from_rows, kept, plan, reduce, span
from .kernel import kernel, subroutine
from .simd import row_max, row_min

_SEARCHED = 1024  # elements at a time


def max(x, dim, keepdim):
    return _extremum(_MAX, x, dim, keepdim)


def min(x, dim, keepdim):
    return _extremum(_MIN, x, dim, keepdim)


def _extremum(run, x, dim, keepdim):
    axes = axes_of(x.ndim, dim)
    return reduce(run, as_rows(x, axes)[0]).reshape(kept(x.shape, axes, keepdim))


def max_backward(dout, x, out, dim, keepdim):
    rows, order = as_rows(x, axes_of(x.ndim, dim))
    dx = empty(rows.shape, x.dtype)
    outer, count, inner = rows.shape
    if x.size:
        dout, out = contiguous(dout).reshape(outer, inner), contiguous(out).reshape(outer, inner)
        _backward_kernel(dx.reshape(-1), dout, rows.reshape(-1), out, *plan(outer, count, inner, whole=True))
    return from_rows(dx, x.shape, order)


min_backward = max_backward


def argmax(x, dim, keepdim):
    return _position(np.argmax, _MAX, x, dim, keepdim)


def argmin(x, dim, keepdim):
    return _position(np.argmin, _MIN, x, dim, keepdim)


def _position(numpys, run, x, dim, keepdim):
    if x.dtype.kind != "f":
        return np.asarray(numpys(x, axis=dim, keepdims=keepdim))
    axes = axes_of(x.ndim, dim)
    rows = as_rows(x, axes)[0]
    outer, count, inner = rows.shape
    out = empty((outer, inner), np.int64)
    if x.size:
        _first_kernel(out, rows.reshape(-1), reduce(run, rows), *plan(outer, count, inner, whole=True))
    return out.reshape(kept(x.shape, axes, keepdim))


@subroutine
def _or_nan(x, begin, size, found):
    row, strange = x[begin : begin + size], 0
    for k in range(row.size):
        strange += row[k] != row[k]
    return x.dtype.type(nan) if strange > 0 else found


@subroutine
def _row_max(x, begin, size):
    return _or_nan(x, begin, size, row_max(x, begin, size))


@subroutine
def _row_min(x, begin, size):
    return _or_nan(x, begin, size, row_min(x, begin, size))


def larger(a, b):
    return b if (b > a) | (b != b) else a


def smaller(a, b):
    return b if (b < a) | (b != b) else a


@subroutine
def _first_along(x, begin, end, extremum):
    for start in range(begin, end, _SEARCHED):
        row = x[start : start + _SEARCHED if start + _SEARCHED < end else end]
        first = _SEARCHED
        for k in range(row.size):
            here = k if (row[k] == extremum) | (row[k] != row[k]) else _SEARCHED
            first = here if here < first else first
        if first < _SEARCHED:
            return start + first - begin
    return 0


@kernel(f"i8[2] <- T[1] T[2] {CUT}")
def _first_kernel(out, x, extremum, tasks, rows, most, group, columns):
    """The first row of each column that holds its extremum, or NaN."""
    outer, inner = out.shape
    for task in prange(tasks.shape[0]):
        start, first = tasks[task, 0], tasks[task, 2]
        for o in range(start, start + group if start + group < outer else outer):
            begin, end, width = span(o, 0, first, inner, rows, most, columns)
            if inner == 1:
                out[o, 0] = _first_along(x, begin, end, extremum[o, 0])
                continue
            top, found = extremum[o, first : first + width], out[o, first : first + width]
            found[:] = rows
            for r in range(rows):
                row = x[begin + r * inner : begin + r * inner + width]
                for c in range(width):
                    hit = (row[c] == top[c]) | (row[c] != row[c])
                    found[c] = r if hit & (found[c] == rows) else found[c]


@kernel(f"T[1] <- T[2] T[1] T[2] {CUT}")
def _backward_kernel(dx, dout, x, out, tasks, rows, most, group, columns):
    outer, inner = out.shape
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for task in prange(tasks.shape[0]):
        start, first = tasks[task, 0], tasks[task, 2]
        share = np.empty(columns, x.dtype)
        for o in range(start, start + group if start + group < outer else outer):
            begin, end, width = span(o, 0, first, inner, rows, most, columns)
            if inner == 1:
                top, row, drow, ties = out[o, 0], x[begin:end], dx[begin:end], 0
                for r in range(rows):
                    ties += row[r] == top
                each = dout[o, 0] / x.dtype.type(ties)
                for r in range(rows):
                    drow[r] = each if row[r] == top else zero
                continue
            tops, given = out[o, first : first + width], dout[o, first : first + width]
            share[:] = zero
            for at in range(begin, end, inner):
                row = x[at : at + width]
                for c in range(width):
                    share[c] += one if row[c] == tops[c] else zero
            for c in range(width):
                share[c] = given[c] / share[c]
            for at in range(begin, end, inner):
                row, drow = x[at : at + width], dx[at : at + width]
                for c in range(width):
                    drow[c] = share[c] if row[c] == tops[c] else zero


_MAX = fold("_max", _row_max, larger, -inf)
_MIN = fold("_min", _row_min, smaller, inf)
