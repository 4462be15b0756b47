"""Dropout: a task is a block of elements, whose words are drawn first; the backward pass draws them again."""

import math

import numpy as np
from numba import prange

from ..device import contiguous, empty
from .kernel import kernel
from .philox import philox

_ELEMENTS = 4096  # of a task


def dropout(x, p, seed, stream, offset):
    out = empty(x.shape, x.dtype)
    threshold = math.ceil(p * 2.0**32)  # word · 2⁻³² ≥ p, in whole numbers
    scale = 1 / (1 - p) if p < 1 else 0.0
    _dropout_kernel(out.reshape(-1), contiguous(x).reshape(-1), threshold, scale, seed, stream, offset)
    return out


def dropout_backward(dout, p, seed, stream, offset):
    return dropout(dout, p, seed, stream, offset)


@kernel("T[1] <- T[1] u8 f8 u8 u8 u8")
def _dropout_kernel(out, x, threshold, scale, seed, stream, offset):
    number = x.dtype.type
    factor, zero = number(scale), number(0)
    for task in prange((x.size + _ELEMENTS - 1) // _ELEMENTS):
        start = task * _ELEMENTS
        given, kept = x[start : start + _ELEMENTS], out[start : start + _ELEMENTS]
        words = np.empty(_ELEMENTS, np.uint32)
        for i in range((given.size + 3) >> 2):
            drawn = philox(np.uint64((start >> 2) + i), seed, stream, offset)
            for k in range(4):
                words[4 * i + k] = drawn[k]
        for i in range(given.size):
            kept[i] = given[i] * factor if words[i] >= threshold else zero
