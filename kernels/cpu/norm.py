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
from .kernel import kernel, primitive, subroutine

_SERIAL = 1 << 14  # elements up to which a launch costs more than it saves
_ROWS = 32  # of a task of the backward pass: their sums are added in the dtype, those of the tasks in float64
_COLUMNS = 256  # of a task that adds the partial sums


def layer_norm(x, weight=None, bias=None, eps=1e-5, save=False):
    out, _, mean, rstd = _layer_norm(x, None, weight, bias, eps, save)
    return (out, mean, rstd) if save else (out, None, None)


def layer_norm_backward(dout, x, weight, bias, mean, rstd):
    return _layer_norm_backward(dout, None, x, weight, bias, mean, rstd)


def add_layer_norm(x, residual, weight=None, bias=None, eps=1e-5, save=False):
    out, total, mean, rstd = _layer_norm(x, residual, weight, bias, eps, save)
    return (out, total, mean, rstd) if save else (out, total, None, None)


def add_layer_norm_backward(dout, dtotal, total, weight, bias, mean, rstd):
    dx, dweight, dbias = _layer_norm_backward(dout, dtotal, total, weight, bias, mean, rstd)
    return dx, dx, dweight, dbias


def rms_norm(x, weight=None, eps=1e-6, save=False):
    out, _, rstd = _rms_norm(x, None, weight, eps, save)
    return (out, rstd) if save else (out, None)


def rms_norm_backward(dout, x, weight, rstd):
    return _rms_norm_backward(dout, None, x, weight, rstd)


def add_rms_norm(x, residual, weight=None, eps=1e-6, save=False):
    out, total, rstd = _rms_norm(x, residual, weight, eps, save)
    return (out, total, rstd) if save else (out, total, None)


def add_rms_norm_backward(dout, dtotal, total, weight, rstd):
    dx, dweight = _rms_norm_backward(dout, dtotal, total, weight, rstd)
    return dx, dx, dweight


def _layer_norm(x, residual, weight, bias, eps, save):
    """The output, what was normalised, its mean and rstd."""
    out = empty(x.shape, x.dtype)
    source, *addition = _addition(x, residual, out)
    mean, rstd = _statistic(out, save), _statistic(out, save)
    bias = np.zeros(x.shape[-1], x.dtype) if bias is None else contiguous(bias)
    results = (_rows(out), mean.reshape(-1), rstd.reshape(-1))
    _layer_norm_kernel(*results, *addition, source, _scale(weight, x), bias, eps)
    return out, source.reshape(x.shape), mean, rstd


def _layer_norm_backward(dout, dtotal, x, weight, bias, mean, rstd):
    dx = empty(x.shape, x.dtype)
    more = _nothing(dx) if dtotal is None else _rows(dtotal)
    partial = empty((-(-mean.size // _ROWS), 2, x.shape[-1]), x.dtype)
    statistics = contiguous(mean).reshape(-1), contiguous(rstd).reshape(-1)
    _layer_norm_backward_kernel(_rows(dx), partial, _rows(dout), more, _rows(x), _scale(weight, x), *statistics)
    if weight is None and bias is None:
        return dx, None, None
    sums = empty((2, x.shape[-1]), x.dtype)
    _add_partial_kernel(sums, partial)
    return dx, None if weight is None else sums[0], None if bias is None else sums[1]


def _rms_norm(x, residual, weight, eps, save):
    """The output, what was normalised, and rstd."""
    out = empty(x.shape, x.dtype)
    source, *addition = _addition(x, residual, out)
    rstd = _statistic(out, save)
    _rms_norm_kernel(_rows(out), rstd.reshape(-1), *addition, source, _scale(weight, x), eps)
    return out, source.reshape(x.shape), rstd


def _rms_norm_backward(dout, dtotal, x, weight, rstd):
    dx = empty(x.shape, x.dtype)
    more = _nothing(dx) if dtotal is None else _rows(dtotal)
    partial = empty((-(-rstd.size // _ROWS), 1, x.shape[-1]), x.dtype)
    scale, rstd = _scale(weight, x), contiguous(rstd).reshape(-1)
    _rms_norm_backward_kernel(_rows(dx), partial, _rows(dout), more, _rows(x), scale, rstd)
    if weight is None:
        return dx, None
    dweight = empty((1, x.shape[-1]), x.dtype)
    _add_partial_kernel(dweight, partial)
    return dx, dweight[0]


def _statistic(out, save):
    """A number for each row, or for none."""
    return empty(out.shape[:-1], out.dtype) if save else out.reshape(-1)[:0]


def _addition(x, residual, out):
    """What is normalised, as rows; then the sum, which is that too, and its addends: empty without a residual."""
    if residual is None:
        return _rows(x), *[_nothing(out)] * 3
    total = empty((math.prod(x.shape[:-1]), x.shape[-1]), x.dtype)
    return total, total, _rows(x), _rows(residual)


def _rows(x):
    return contiguous(x).reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _nothing(out):
    """No rows like those of out."""
    return _rows(out)[:0]


def _scale(weight, x):
    return np.ones(x.shape[-1], x.dtype) if weight is None else contiguous(weight)


@primitive
def _centred(x, mean, rest):
    return (x - mean) - rest


@kernel("T[2] T[1] T[1] T[2] <- T[2] T[2] T[2] T[1] T[1] f8")
def _layer_norm_kernel(out, mean, rstd, total, left, right, x, weight, bias, eps):
    """With addends left and right, x is the memory of their total."""
    if x.size <= _SERIAL:
        for i in range(len(x)):
            _layer_norm_row(out, mean, rstd, total, left, right, x, weight, bias, eps, i)
    else:
        for i in prange(len(x)):
            _layer_norm_row(out, mean, rstd, total, left, right, x, weight, bias, eps, i)


@subroutine
def _layer_norm_row(out, mean, rstd, total, left, right, x, weight, bias, eps, i):
    channels = x.shape[1]
    number = x.dtype.type
    zero, count = number(0), number(channels)
    if total.shape[0]:
        for j in range(channels):
            total[i, j] = left[i, j] + right[i, j]
    middle = zero
    for j in range(channels):
        middle += x[i, j]
    middle /= count
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
    if mean.size:
        mean[i], rstd[i] = middle, scale


@kernel("T[2] T[3] <- T[2] T[2] T[2] T[1] T[1] T[1]")
def _layer_norm_backward_kernel(dx, partial, dout, more, x, weight, mean, rstd):
    """dx, with more added if that is not empty, and each task's sums over its rows of dout · x̂ and dout.

    The loops that write dx and the sums are apart, because LLVM vectorises none that needs more than eight checks
    for overlap.
    """
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
            if more.shape[0]:
                for j in range(channels):
                    dx[i, j] += more[i, j]
            for j in range(channels):
                dweight[j] += dout[i, j] * (_centred(x[i, j], middle, rest) * scale)
                dbias[j] += dout[i, j]


@kernel("T[2] T[1] T[2] <- T[2] T[2] T[2] T[1] f8")
def _rms_norm_kernel(out, rstd, total, left, right, x, weight, eps):
    """With addends left and right, x is the memory of their total."""
    if x.size <= _SERIAL:
        for i in range(len(x)):
            _rms_norm_row(out, rstd, total, left, right, x, weight, eps, i)
    else:
        for i in prange(len(x)):
            _rms_norm_row(out, rstd, total, left, right, x, weight, eps, i)


@subroutine
def _rms_norm_row(out, rstd, total, left, right, x, weight, eps, i):
    channels = x.shape[1]
    number = x.dtype.type
    if total.shape[0]:
        for j in range(channels):
            total[i, j] = left[i, j] + right[i, j]
    square = number(0)
    for j in range(channels):
        square += x[i, j] * x[i, j]
    scale = number(1 / math.sqrt(square / number(channels) + eps))
    for j in range(channels):
        out[i, j] = x[i, j] * scale * weight[j]
    if rstd.size:
        rstd[i] = scale


@kernel("T[2] T[3] <- T[2] T[2] T[2] T[1] T[1]")
def _rms_norm_backward_kernel(dx, partial, dout, more, x, weight, rstd):
    """dx, with more added if that is not empty, and each task's sums over its rows of dout · x̂."""
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
            if more.shape[0]:
                for j in range(channels):
                    dx[i, j] += more[i, j]
            for j in range(channels):
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
