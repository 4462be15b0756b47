"""Softmax: a task is a row; three passes over it while it is in cache (maximum, exponentials and sum, scale)."""

import math

import numpy as np
from numba import prange

from ..device import contiguous, empty
from .kernel import kernel, primitive
from .maths import exp
from .simd import row_max


def softmax(x, dim=-1):
    return _run(_softmax_kernel, dim, x)


def softmax_backward(dout, out, dim):
    return _run(_softmax_backward_kernel, dim, dout, out)


def log_softmax(x, dim=-1):
    return _run(_log_softmax_kernel, dim, x)


def log_softmax_backward(dout, out, dim):
    return _run(_log_softmax_backward_kernel, dim, dout, out)


def _run(row_kernel, dim, *arrays):
    """A kernel of rows on arrays whose rows lie along an axis; the result is a view where that is not the last."""
    moved = [x if dim in (-1, x.ndim - 1) else np.moveaxis(x, dim, -1) for x in arrays]
    out = empty(moved[0].shape, moved[0].dtype)
    if out.size:
        rows = (-1, out.shape[-1])
        row_kernel(out.reshape(rows), *(contiguous(x).reshape(rows) for x in moved))
    return out if moved[0] is arrays[0] else np.moveaxis(out, -1, dim)


@kernel("T[2] <- T[2]")
def _softmax_kernel(out, x):
    rows, columns = x.shape
    for i in prange(rows):
        top = row_max(x, i * columns, columns)
        total = x.dtype.type(0)
        for j in range(columns):
            e = exp(x[i, j] - top)
            out[i, j] = e
            total += e
        scale = x.dtype.type(1) / total
        for j in range(columns):
            out[i, j] *= scale


@kernel("T[2] <- T[2] T[2]")
def _softmax_backward_kernel(dx, dout, out):
    rows, columns = out.shape
    for i in prange(rows):
        dot = out.dtype.type(0)
        for j in range(columns):
            dot += dout[i, j] * out[i, j]
        for j in range(columns):
            dx[i, j] = out[i, j] * (dout[i, j] - dot)


@primitive
def _less(x, top, rest):
    """In this order: top may be large, and rest would be lost in it."""
    return (x - top) - rest


@kernel("T[2] <- T[2]")
def _log_softmax_kernel(out, x):
    rows, columns = x.shape
    for i in prange(rows):
        top = row_max(x, i * columns, columns)
        total = x.dtype.type(0)
        for j in range(columns):
            total += exp(x[i, j] - top)
        rest = x.dtype.type(math.log(total))
        for j in range(columns):
            out[i, j] = _less(x[i, j], top, rest)


@kernel("T[2] <- T[2] T[2]")
def _log_softmax_backward_kernel(dx, dout, out):
    rows, columns = out.shape
    for i in prange(rows):
        total = out.dtype.type(0)
        for j in range(columns):
            total += dout[i, j]
        for j in range(columns):
            dx[i, j] = dout[i, j] - exp(out[i, j]) * total
