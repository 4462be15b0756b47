"""Causal convolution: by channel, each sum by a thread of its own; else windows of x written out, and their product.

The columns of a window are in the order that a weight has in memory, and the product is written where it belongs in
the output, so that only the windows are copied.
"""

import numpy as np
from numba.cuda import int32, int64, uint32

from .conv2d import conv2d, conv2d_backward
from .copies import fill
from .elementwise import add
from .kernel import kernel
from .matmul import product
from .pointwise import contiguous
from .ptx import load, store
from .reduce import sum as sum_over
from .reduce import sum_to
from .runtime import empty
from .threads import THREADS, blocks, thread

__all__ = ["causal_conv1d", "causal_conv1d_backward", "conv2d", "conv2d_backward"]

_POSITIONS = 64  # whose products a thread adds for the gradients by channel; the sums are then summed


def causal_conv1d(x, weight, bias=None):
    return _convolve(x, weight, bias, weight.shape[2] - 1)


def causal_conv1d_backward(dout, x, weight, bias):
    (outputs, each, taps), inputs = weight.shape, x.shape[2]
    groups = inputs // each
    turned = contiguous(weight).reshape(groups, outputs // groups, each, taps).transpose(0, 2, 1, 3)[..., ::-1]
    dx = _convolve(dout, contiguous(turned).reshape(inputs, outputs // groups, taps), None, 0)
    if _is_by_channel(weight, inputs):
        dweight, dbias = _by_channel_gradients(contiguous(dout), contiguous(x), taps)
    else:
        dweight = _weight_gradient(dout, x, weight.shape)
        dbias = None if bias is None else sum_to(dout, (outputs,))
    return dx, dweight, None if bias is None else dbias


def _is_by_channel(weight, inputs):
    return weight.shape[:2] == (inputs, 1)


def _convolve(x, weight, bias, before):
    """out[t] = bias + Σ_k weight[k] x[t − before + k], with zeros around x."""
    (batch, time, inputs), (outputs, each, taps) = x.shape, weight.shape
    out = empty((batch, time, outputs), x.dtype)
    if not x.size or not outputs:
        fill(out, 0)
    elif _is_by_channel(weight, inputs):
        operands = contiguous(x), contiguous(weight), None if bias is None else contiguous(bias)
        _by_channel_kernel(blocks(out.size), out, *operands, bias is not None, out.size, time, inputs, taps, before)
    else:
        matrices = contiguous(weight).reshape(inputs // each, -1, each * taps)
        product(_by_group(out, inputs // each), _windows(x, each, taps, before), np.swapaxes(matrices, 1, 2))
        if bias is not None:
            add(out, bias, out=out)
    return out


def _by_group(x, groups):
    """(groups, B T, C / groups) of x (B, T, C) in C order, a view."""
    batch, time, channels = x.shape
    return x.reshape(batch * time, groups, channels // groups).transpose(1, 0, 2)


def _windows(x, each, taps, before):
    """(groups, B T, J K): positions t − before to t − before + K − 1 of each of a group's channels."""
    batch, time, inputs = x.shape
    out = empty((inputs // each, batch * time, each * taps), x.dtype)
    _windows_kernel(blocks(out.size), out, contiguous(x), out.size, batch * time, time, inputs, each, taps, before)
    return out


def _weight_gradient(dout, x, shape):
    outputs, each, taps = shape
    dweight = empty(shape, x.dtype)
    if dout.size:
        groups = x.shape[2] // each
        rows = _by_group(contiguous(dout), groups)
        product(
            dweight.reshape(groups, outputs // groups, each * taps),
            np.swapaxes(rows, 1, 2),
            _windows(x, each, taps, taps - 1),
        )
    else:
        fill(dweight, 0)
    return dweight


def _by_channel_gradients(dout, x, taps):
    batch, time, channels = x.shape
    parts = -(-time // _POSITIONS)
    partial = empty((batch * parts, taps + 1, channels), x.dtype)
    if partial.size:
        _partial_kernel(blocks(partial.size), partial, dout, x, partial.size, parts, time, channels, taps)
    sums = sum_over(partial, 0, False)
    return contiguous(sums[:taps].T).reshape(channels, 1, taps), sums[taps]


@kernel("T* <- T* u4 u4 i4 u4 u4 u4 i4", threads=THREADS)
def _windows_kernel(out, x, count, rows, time, inputs, each, taps, before):
    i = thread()
    if i < count:
        rest, k = i // taps, i % taps
        rest, j = rest // each, rest % each
        group, row = rest // rows, rest % rows
        t = int32(row % uint32(time)) - before + int32(k)
        at = (int64(row) - int64(row % uint32(time)) + int64(t)) * int64(inputs) + int64(group * each + j)
        store(out, i, load(x, at) if t >= int32(0) and t < time else type(load(x, 0))(0))


@kernel("T* <- T* T* T* i4 u4 i4 u4 i4 i4", threads=THREADS)
def _by_channel_kernel(out, x, weight, bias, has_bias, count, time, channels, taps, before):
    i = thread()
    if i < count:
        row, c = i // channels, i % channels
        t = int32(row % uint32(time))
        total = load(bias, c) if has_bias else type(load(x, i))(0)
        for k in range(max(int32(0), before - t), min(taps, time + before - t)):
            source = (int64(row) + int64(k - before)) * int64(channels) + int64(c)
            total += load(weight, int64(c) * int64(taps) + int64(k)) * load(x, source)
        store(out, i, total)


@kernel("T* <- T* T* u4 u4 i4 u4 u4", threads=THREADS)
def _partial_kernel(partial, dout, x, count, parts, time, channels, taps):
    """For each part of the positions: the sums of dout · x for every tap, then of dout."""
    i = thread()
    if i < count:
        rest, c = i // channels, i % channels
        task, k = rest // (taps + uint32(1)), rest % (taps + uint32(1))
        batch, first = int64(task // parts), int32(task % parts) * int32(_POSITIONS)
        shift = int32(taps) - int32(1) - int32(k)  # -1 where dout alone is summed
        total = type(load(x, 0))(0)
        for t in range(max(first, shift), min(time, first + int32(_POSITIONS))):
            at = (batch * int64(time) + int64(t)) * int64(channels) + int64(c)
            value = load(dout, at)
            total += value if shift < int32(0) else value * load(x, at - int64(shift) * int64(channels))
        store(partial, i, total)
