"""Windows of images, written out as rows, and added up where they came from.

The zeros around an image are written first, so that every window has its elements at the same steps from its first.
"""

import numpy as np
from numba import prange

from ..device import empty, zeros
from .copies import copy
from .kernel import kernel


def windows(x, weight_shape, out_shape, stride, padding):
    """(B P Q, C h w) of x (B, C, H, W): what each output of `conv2d` sees, with zeros around the image."""
    if padding:
        padded = zeros(_padded(x.shape, padding), x.dtype)
        copy(x, out=_inside(padded, padding))
        x = padded
    (high, wide), size = out_shape[2:], x[0, 0].size
    steps = (np.arange(x.shape[1])[:, None] * size + _steps(x.shape[3], weight_shape)).reshape(-1)
    rows = empty((len(x) * high * wide, steps.size), x.dtype)
    _windows_kernel(rows, x.reshape(len(x), -1), steps, high, wide, x.shape[3], stride)
    return rows


def add_windows(dx, rows, weight_shape, out_shape, stride, padding):
    """dx (B, C, H, W): for each pixel the sum over the windows (B P Q, C h w) that see it."""
    padded = empty(_padded(dx.shape, padding), dx.dtype) if padding else dx
    steps = _steps(padded.shape[3], weight_shape)
    planes = padded.reshape(*padded.shape[:2], -1)
    _add_kernel(planes, rows, steps, *out_shape[2:], padded.shape[3], stride)
    if padding:
        copy(_inside(padded, padding), out=dx)


def _padded(shape, padding):
    return *shape[:2], shape[2] + 2 * padding, shape[3] + 2 * padding


def _inside(padded, padding):
    return padded[:, :, padding:-padding, padding:-padding]


def _steps(width, weight_shape):
    """From the first element of a window in a plane to all of them."""
    taps, across = weight_shape[2:]
    return (np.arange(taps)[:, None] * width + np.arange(across)).reshape(-1)


@kernel("T[2] <- T[2] i8[1] i8 i8 i8 i8")
def _windows_kernel(rows, x, steps, high, wide, width, stride):
    for task in prange(len(x) * high):
        image, top = x[task // high], task % high * stride * width
        for q in range(wide):
            row, first = rows[task * wide + q], top + q * stride
            for k in range(steps.size):
                row[k] = image[first + steps[k]]


@kernel("T[3] <- T[2] i8[1] i8 i8 i8 i8")
def _add_kernel(dx, rows, steps, high, wide, width, stride):
    batch, channels, size = dx.shape
    for task in prange(batch * channels):
        b, c = task // channels, task % channels
        plane = dx[b, c]
        for i in range(size):
            plane[i] = 0
        for p in range(high):
            for q in range(wide):
                row, first = rows[(b * high + p) * wide + q], (p * width + q) * stride
                for k in range(steps.size):
                    plane[first + steps[k]] += row[c * steps.size + k]
