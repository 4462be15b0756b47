"""Softmax: a task is a row; three passes over it while it is in cache (maximum, exponentials and sum, scale)."""

from numba import prange

from ..device import contiguous, empty
from .kernel import kernel
from .maths import exp
from .simd import row_max


def softmax(x):
    out = empty(x.shape, x.dtype)
    rows = (-1, max(1, x.shape[-1]))
    if x.size:
        _softmax_kernel(out.reshape(rows), contiguous(x).reshape(rows))
    return out


def softmax_backward(dout, out):
    dx = empty(out.shape, out.dtype)
    rows = (-1, max(1, out.shape[-1]))
    if out.size:
        _softmax_backward_kernel(dx.reshape(rows), contiguous(dout).reshape(rows), contiguous(out).reshape(rows))
    return dx


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
