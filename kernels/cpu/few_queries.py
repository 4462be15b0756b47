"""Attention of a few queries, as in generation: keys and values are read in place, as they are stored, not packed."""

import math
from functools import lru_cache

import numpy as np
from numba import prange

from ..device import contiguous
from .few_rows import dot
from .kernel import kernel, subroutine
from .maths import exp, widen
from .simd import row_max

FEW = 8  # queries up to which to pack nothing is faster; from 16 it is slower
SERIAL = 1 << 17  # products below which a launch costs more than it saves


def attend(out, lse, q, k, v, scale, causal):
    """out and lse, if it has elements, as in `attention`, to keys and values in q's dtype or bfloat16's bits.

    They are not copied where they lie position by position, as in a cache.
    """
    k, v = (contiguous(x.swapaxes(0, 1)) for x in (k, v))
    _attention_kernel("T" if k.dtype == q.dtype else "u2")(out, lse, contiguous(q), k, v, scale, causal)


@lru_cache(None)
def _attention_kernel(code):
    @kernel(f"T[4] T[3] <- T[4] {code}[4] {code}[4] T b1", name=f"attention_{code}")
    def attend(out, lse, q, k, v, scale, causal):
        batch, _, heads, _ = q.shape
        if q.size * k.shape[0] < SERIAL:
            for task in range(batch * heads):
                _attend_head(out, lse, q, k, v, task, scale, causal)
        else:
            for task in prange(batch * heads):
                _attend_head(out, lse, q, k, v, task, scale, causal)

    return attend


@subroutine
def _attend_head(out, lse, q, k, v, head, scale, causal):
    _, queries, heads, width = q.shape
    keys, _, groups, _ = k.shape
    b, h = head // heads, head % heads
    g = h // (heads // groups)
    scores = np.empty(keys, out.dtype)
    for t in range(queries):
        seen = keys - queries + t + 1 if causal else keys
        query, row = q[b, t, h], out[b, t, h]
        for s in range(seen):
            scores[s] = scale * dot(query, k[s, b, g])
        top = row_max(scores, 0, seen)
        total = _exp_sum(scores[:seen], top)
        row[:] = 0
        for s in range(seen):
            _add_scaled(row, v[s, b, g], scores[s])
        for d in range(width):
            row[d] /= total
        if lse.size:
            lse[b, h, t] = top + math.log(total)


@subroutine
def _exp_sum(x, top):
    """x = exp(x - top); returns its sum."""
    total = x.dtype.type(0)
    for i in range(x.size):
        x[i] = exp(x[i] - top)
        total += x[i]
    return total


@subroutine
def _add_scaled(out, x, factor):
    for d in range(out.size):
        out[d] += factor * widen(x[d])
