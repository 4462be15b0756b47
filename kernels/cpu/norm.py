"""Normalisation: a row stays in cache for all passes over it; rows of a task share one partial dweight and dbias.

The `mean` of layer_norm is rounded to the dtype: under a common offset of 1e4 by a thousandth of the deviations in
float32. What is left of it is found as the mean of x − mean, which is exact where it matters, and taken off in an
order that the compiler must keep.
Source: Chan, Golub and LeVeque, Algorithms for computing the sample variance (1983), the corrected two-pass algorithm.
"""

import math

import numpy as np
from numba import prange

from ..device import contiguous, empty
from .kernel import kernel, primitive

_ROWS = 32  # of a task of the backward pass: their sums are added in the dtype, those of the tasks in float64
_COLUMNS = 256  # of a task that adds the partial sums


def layer_norm(x, weight=None, bias=None, eps=1e-5, save=False):
    channels = x.shape[-1]
    out = empty(x.shape, x.dtype)
    mean, rstd = empty(x.shape[:-1], x.dtype), empty(x.shape[:-1], x.dtype)
    weight = np.ones(channels, x.dtype) if weight is None else contiguous(weight)
    bias = np.zeros(channels, x.dtype) if bias is None else contiguous(bias)
    rows = (mean.size, channels)
    _layer_norm_kernel(
        out.reshape(rows), mean.reshape(-1), rstd.reshape(-1), contiguous(x).reshape(rows), weight, bias, eps
    )
    return (out, mean, rstd) if save else (out, None, None)


def layer_norm_backward(dout, x, weight, bias, mean, rstd):
    channels = x.shape[-1]
    dx = empty(x.shape, x.dtype)
    scale = np.ones(channels, x.dtype) if weight is None else contiguous(weight)
    rows = (mean.size, channels)
    partial = empty((-(-mean.size // _ROWS), 2, channels), x.dtype)
    _layer_norm_backward_kernel(
        dx.reshape(rows),
        partial,
        contiguous(dout).reshape(rows),
        contiguous(x).reshape(rows),
        scale,
        contiguous(mean).reshape(-1),
        contiguous(rstd).reshape(-1),
    )
    if weight is None and bias is None:
        return dx, None, None
    sums = empty((2, channels), x.dtype)
    _add_partial_kernel(sums, partial)
    return dx, None if weight is None else sums[0], None if bias is None else sums[1]


def rms_norm(x, weight=None, eps=1e-6, save=False):
    channels = x.shape[-1]
    out, rstd = empty(x.shape, x.dtype), empty(x.shape[:-1], x.dtype)
    weight = np.ones(channels, x.dtype) if weight is None else contiguous(weight)
    rows = (rstd.size, channels)
    _rms_norm_kernel(out.reshape(rows), rstd.reshape(-1), contiguous(x).reshape(rows), weight, eps)
    return (out, rstd) if save else (out, None)


def rms_norm_backward(dout, x, weight, rstd):
    channels = x.shape[-1]
    dx = empty(x.shape, x.dtype)
    scale = np.ones(channels, x.dtype) if weight is None else contiguous(weight)
    rows = (rstd.size, channels)
    partial = empty((-(-rstd.size // _ROWS), 1, channels), x.dtype)
    _rms_norm_backward_kernel(
        dx.reshape(rows),
        partial,
        contiguous(dout).reshape(rows),
        contiguous(x).reshape(rows),
        scale,
        contiguous(rstd).reshape(-1),
    )
    if weight is None:
        return dx, None
    dweight = empty((1, channels), x.dtype)
    _add_partial_kernel(dweight, partial)
    return dx, dweight[0]


@primitive
def _centred(x, mean, rest):
    return (x - mean) - rest


@kernel("T[2] T[1] T[1] <- T[2] T[1] T[1] f8")
def _layer_norm_kernel(out, mean, rstd, x, weight, bias, eps):
    rows, channels = x.shape
    number = x.dtype.type
    zero, count = number(0), number(channels)
    for i in prange(rows):
        total = zero
        for j in range(channels):
            total += x[i, j]
        middle = total / count
        rest, square = zero, zero
        for j in range(channels):
            d = _centred(x[i, j], middle, zero)
            rest += d
            square += d * d
        rest /= count
        variance = square / count - rest * rest
        scale = number(1 / math.sqrt(variance + eps))
        for j in range(channels):
            out[i, j] = _centred(x[i, j], middle, rest) * scale * weight[j] + bias[j]
        mean[i], rstd[i] = middle, scale


@kernel("T[2] T[3] <- T[2] T[2] T[1] T[1] T[1]")
def _layer_norm_backward_kernel(dx, partial, dout, x, weight, mean, rstd):
    """dx, and each task's sums over its rows of dout · x̂ and dout."""
    rows, channels = x.shape
    number = x.dtype.type
    zero, count = number(0), number(channels)
    for task in prange(partial.shape[0]):
        dweight, dbias = partial[task, 0], partial[task, 1]
        for j in range(channels):
            dweight[j] = zero
            dbias[j] = zero
        for i in range(task * _ROWS, min(rows, (task + 1) * _ROWS)):
            middle, scale = mean[i], rstd[i]
            rest, total, dot = zero, zero, zero
            for j in range(channels):
                d = _centred(x[i, j], middle, zero)
                g = dout[i, j] * weight[j]
                rest += d
                total += g
                dot += g * d
            rest /= count
            dot = (dot - rest * total) * scale / count
            total /= count
            for j in range(channels):
                normal = _centred(x[i, j], middle, rest) * scale
                dx[i, j] = (dout[i, j] * weight[j] - total - normal * dot) * scale
                dweight[j] += dout[i, j] * normal
                dbias[j] += dout[i, j]


@kernel("T[2] T[1] <- T[2] T[1] f8")
def _rms_norm_kernel(out, rstd, x, weight, eps):
    rows, channels = x.shape
    number = x.dtype.type
    for i in prange(rows):
        square = number(0)
        for j in range(channels):
            square += x[i, j] * x[i, j]
        scale = number(1 / math.sqrt(square / number(channels) + eps))
        for j in range(channels):
            out[i, j] = x[i, j] * scale * weight[j]
        rstd[i] = scale


@kernel("T[2] T[3] <- T[2] T[2] T[1] T[1]")
def _rms_norm_backward_kernel(dx, partial, dout, x, weight, rstd):
    """dx, and each task's sums over its rows of dout · x̂."""
    rows, channels = x.shape
    number = x.dtype.type
    for task in prange(partial.shape[0]):
        dweight = partial[task, 0]
        for j in range(channels):
            dweight[j] = number(0)
        for i in range(task * _ROWS, min(rows, (task + 1) * _ROWS)):
            scale = rstd[i]
            dot = number(0)
            for j in range(channels):
                dot += dout[i, j] * weight[j] * x[i, j]
            dot *= scale * scale / number(channels)
            for j in range(channels):
                dx[i, j] = (dout[i, j] * weight[j] - x[i, j] * dot) * scale
                dweight[j] += dout[i, j] * x[i, j] * scale


@kernel("T[2] <- T[3]")
def _add_partial_kernel(sums, partial):
    tasks, parts, channels = partial.shape
    for block in prange((channels + _COLUMNS - 1) // _COLUMNS):
        start = block * _COLUMNS
        width = min(_COLUMNS, channels - start)
        total = np.zeros((parts, _COLUMNS))
        for task in range(tasks):
            for k in range(parts):
                row = partial[task, k, start : start + width]
                for j in range(width):
                    total[k, j] += row[j]
        for k in range(parts):
            for j in range(width):
                sums[k, start + j] = total[k, j]
