"""A linear layer of few rows: its weight is read in place, once, as it is stored; that takes the time in which it comes
from memory."""

import math
from functools import lru_cache

import numpy as np
from numba import prange

from ..device import contiguous
from .epilogue import ACTIVATIONS, finish
from .kernel import kernel, subroutine
from .maths import widen

FEW = 8  # rows up to which this is faster than packing a weight of floats; as fast from 12
FEW_COMPACT = 16  # and than widening one of fewer bits; as fast from 24
OUTPUTS = 64  # of a row in a task
SERIAL = 1 << 18  # products below which a launch costs more than it saves
SUM = 4096  # products that are summed in one go: 128 of a lane, as in a tile, in four vectors of 8
CODES = {np.dtype(np.int8): "i1", np.dtype(np.uint16): "u2"}  # in the signature of a kernel


def linear(out, pre, x, weight, scale, bias, activation):
    """out (..., O) = f(x (..., I) (scale weight (O, I))ᵀ + bias): the weight in floats, int8 or the bits of bf16.

    `pre` (..., O), if there is one, receives what f is applied to.
    """
    rows, none = math.prod(x.shape[:-1]), out.reshape(-1)[:0]
    _kernel(CODES.get(weight.dtype, "T"))(
        out.reshape(rows, weight.shape[0]),
        none if pre is None else pre.reshape(-1),
        contiguous(x).reshape(rows, x.shape[-1]),
        contiguous(weight),
        none if scale is None else contiguous(scale),
        none if bias is None else contiguous(bias),
        ACTIVATIONS[activation],
    )


@lru_cache(None)
def _kernel(code):
    @kernel(f"T[2] T[1] <- T[2] {code}[2] T[1] T[1] i8", name=f"linear_{code}")
    def few_rows(out, pre, x, weight, scale, bias, activation):
        rows, outputs = out.shape
        if x.size * outputs < SERIAL:
            _outputs(out, x, weight, scale, 0, outputs)
        else:
            for task in prange(-(-outputs // OUTPUTS)):
                _outputs(out, x, weight, scale, task * OUTPUTS, min((task + 1) * OUTPUTS, outputs))
        for r in range(rows):
            finish(out[r], pre[r * outputs : (r + 1) * outputs], bias, activation)

    return few_rows


@subroutine
def _outputs(out, x, weight, scale, first, end):
    """Outputs [first, end) of each row."""
    rows, depth = x.shape
    for j in range(first, end):
        for r in range(rows):
            total = x.dtype.type(0)
            for k in range(0, depth, SUM):
                part = slice(k, min(k + SUM, depth))
                total += dot(x[r, part], weight[j, part])
            out[r, j] = total * scale[j] if scale.size else total


@subroutine
def dot(x, y):
    """Σ x y, y as it is stored."""
    total = x.dtype.type(0)
    for k in range(x.size):
        total += x[k] * widen(y[k])
    return total
