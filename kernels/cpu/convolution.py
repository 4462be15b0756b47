"""Causal convolution: by channel, K products of rows whose channels lie side by side; else a product of matrices.

The K positions that an output sees lie one after the other in memory, and so do those of the next, one position on:
windows that overlap are the rows of a matrix of K J columns, for which nothing is copied. The gradient of x is the
same convolution of dout, with the taps turned round and zeros after the last position instead of before the first.
"""

from numba import prange
from numpy.lib.stride_tricks import as_strided

from ..device import contiguous, empty, zeros
from .conv2d import conv2d, conv2d_backward
from .copies import copy
from .elementwise import add
from .kernel import kernel
from .matmul import product
from .reduce import sum as sum_over
from .reduce import sum_to

__all__ = ["causal_conv1d", "causal_conv1d_backward", "conv2d", "conv2d_backward"]

_POSITIONS = 64  # of a task by channel: their sums are added in the dtype, those of the tasks in float64


def causal_conv1d(x, weight, bias=None):
    return _convolve(x, weight, bias, weight.shape[2] - 1)


def causal_conv1d_backward(dout, x, weight, bias):
    outputs, each, taps = weight.shape
    groups = x.shape[2] // each
    by_group = weight.reshape(groups, outputs // groups, each, taps)
    dx = _convolve(dout, by_group.swapaxes(1, 2)[..., ::-1].reshape(x.shape[2], outputs // groups, taps), None, 0)
    if _is_by_channel(weight, x.shape[2]):
        dweight, dbias = _by_channel_gradients(dout, x, taps)
    else:
        dweight, dbias = _weight_gradient(dout, x, by_group).reshape(weight.shape), sum_to(dout, (outputs,))
    return dx, dweight, None if bias is None else dbias


def _is_by_channel(weight, inputs):
    return weight.shape[:2] == (inputs, 1)


def _convolve(x, weight, bias, before):
    """out[t] = bias + Σ_k weight[k] x[t − before + k], with zeros around x."""
    (batch, time, inputs), (outputs, each, taps) = x.shape, weight.shape
    if not x.size * outputs:
        return zeros((batch, time, outputs), x.dtype)
    if _is_by_channel(weight, inputs):
        out = empty(x.shape, x.dtype)
        bias = zeros((outputs,), x.dtype) if bias is None else contiguous(bias)
        _by_channel_kernel(out, contiguous(x), contiguous(weight[:, 0].T), bias, before)
        return out
    groups = inputs // each
    windows = _windows(x, groups, taps, before)
    matrices = weight.reshape(groups, outputs // groups, each, taps).transpose(0, 3, 2, 1)
    matrices = matrices.reshape(groups, taps * each, outputs // groups)
    out = empty((batch, groups, time, outputs // groups), x.dtype)
    for b in range(batch):
        product(out[b], windows[b], matrices)
    out = contiguous(out.swapaxes(1, 2)).reshape(batch, time, outputs)
    return out if bias is None else add(out, bias)


def _windows(x, groups, taps, before):
    """(B, groups, T, K J): the positions t − before to t − before + K − 1 of a group's channels, a view."""
    batch, time, inputs = x.shape
    each = inputs // groups
    padded = zeros((batch, groups, time + taps - 1, each), x.dtype)
    copy(contiguous(x).reshape(batch, time, groups, each).swapaxes(1, 2), out=padded[:, :, before : before + time])
    return as_strided(padded, (batch, groups, time, taps * each), (*padded.strides[:3], x.itemsize))


def _weight_gradient(dout, x, by_group):
    groups, outputs, each, taps = by_group.shape
    dmatrices = zeros((groups, outputs, taps * each), x.dtype)
    if dout.size:
        windows = _windows(x, groups, taps, taps - 1)
        rows = contiguous(dout).reshape(*dout.shape[:2], groups, outputs)
        for b in range(len(x)):
            product(dmatrices, rows[b].transpose(1, 2, 0), windows[b], accumulate=True)
    return contiguous(dmatrices.reshape(groups, outputs, taps, each).swapaxes(2, 3))


def _by_channel_gradients(dout, x, taps):
    batch, time, channels = x.shape
    partial = empty((batch * -(-time // _POSITIONS), taps + 1, channels), x.dtype)
    _by_channel_gradients_kernel(partial, contiguous(dout), contiguous(x))
    sums = sum_over(partial, 0, False)
    return contiguous(sums[:taps].T).reshape(channels, 1, taps), sums[taps]


@kernel("T[3] <- T[3] T[2] T[1] i8")
def _by_channel_kernel(out, x, weight, bias, before):
    batch, time, channels = out.shape
    blocks = -(-time // _POSITIONS)
    for task in prange(batch * blocks):
        b, first = task // blocks, task % blocks * _POSITIONS
        for t in range(first, min(time, first + _POSITIONS)):
            row = out[b, t]
            for c in range(channels):
                row[c] = bias[c]
            for k in range(max(0, before - t), min(weight.shape[0], time + before - t)):
                tap, source = weight[k], x[b, t - before + k]
                for c in range(channels):
                    row[c] += tap[c] * source[c]


@kernel("T[3] <- T[3] T[3]")
def _by_channel_gradients_kernel(partial, dout, x):
    """Each task's sums of dout · x for every tap, then of dout."""
    batch, time, channels = x.shape
    taps = partial.shape[1] - 1
    blocks = -(-time // _POSITIONS)
    for task in prange(batch * blocks):
        b, first = task // blocks, task % blocks * _POSITIONS
        sums = partial[task]
        for k in range(taps + 1):
            for c in range(channels):
                sums[k, c] = 0
        for t in range(first, min(time, first + _POSITIONS)):
            row = dout[b, t]
            for k in range(max(0, taps - 1 - t), taps):
                source, own = x[b, t - taps + 1 + k], sums[k]
                for c in range(channels):
                    own[c] += row[c] * source[c]
            last = sums[taps]
            for c in range(channels):
                last[c] += row[c]
