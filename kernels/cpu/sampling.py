"""Sampling: a task is a row. Nothing is sorted: where a row is cut is found bit by bit, in 63 passes over it in cache.

How far a score lies below the best one is a float of at least 0, and such floats are in the order of their bits.
"""

import numpy as np
from numba import prange

from ..device import contiguous, empty
from ..ops.sampling import bad_row
from .ids import checked
from .kernel import kernel
from .maths import exp
from .philox import philox
from .simd import bits, row_max


def sample(logits, temperature, top_k, top_p, min_p, seed, stream, offset):
    out = empty(len(logits), np.int64)
    depth, weight = empty(logits.shape, np.int64), empty(logits.shape, np.float64)
    rate = 1 / max(temperature, 1e-300)
    top_k = min(top_k, logits.shape[1]) if temperature else 1
    _sample_kernel(out, depth, weight, contiguous(logits), rate, top_k, top_p, min_p, seed, stream, offset)
    if len(out) and out.min() < 0:
        raise bad_row(int(out.argmin()))
    return out


@kernel("i8[1] i8[2] f8[2] <- T[2] f8 i8 f8 f8 u8 u8 u8")
def _sample_kernel(out, depth, weight, logits, rate, top_k, top_p, min_p, seed, stream, offset):
    """out = ids, or -1 where there is none to draw; depth holds bits; rate is 1 / temperature."""
    rows, columns = logits.shape
    for b in prange(rows):
        scores, d, w = logits[b], depth[b], weight[b]
        top = np.float64(row_max(logits, b * columns, columns))
        total = 0.0
        for j in range(columns):
            below = abs(top - np.float64(scores[j]))  # -0 has other bits than 0
            e = exp(-below * rate)
            d[j] = bits(below)
            w[j] = e
            total += e
        if not (np.isfinite(top) and np.isfinite(total)):
            out[b] = -1
            continue
        if top_k == 1:
            token = 0
            while d[token] > 0:
                token += 1
            out[b] = token
            continue

        for count in (True, False):  # keep the nearest top_k by number, then those of share top_p by weight
            if top_k in (0, columns) if count else top_p == 1:
                continue
            goal = np.float64(top_k) if count else top_p * total
            cut = 0  # the largest depth before which less than the goal is found
            for bit in range(62, -1, -1):
                candidate = cut | (1 << bit)
                found = 0.0
                for j in range(columns):
                    found += (1.0 if count else w[j]) if d[j] < candidate else 0.0
                if found < goal:
                    cut = candidate
            found = 0.0
            for j in range(columns):
                found += (1.0 if count else w[j]) if d[j] < cut else 0.0
            total = 0.0
            for j in range(columns):
                if d[j] > cut or (d[j] == cut and found >= goal):
                    w[j] = 0
                elif d[j] == cut:
                    found += 1.0 if count else w[j]
                total += w[j]

        if min_p > 0:
            total = 0.0
            for j in range(columns):
                w[j] = w[j] if w[j] >= min_p else 0.0
                total += w[j]

        drawn, _, _, _ = philox(np.uint64(b), seed, stream, offset)
        goal = drawn * 2.0**-32 * total
        token, found = 0, 0.0
        for j in range(columns):
            if w[j] > 0:
                token = j
                found += w[j]
                if found > goal:
                    break
        out[b] = token


def penalize_repetition(logits, ids, penalty):
    seen, _ = checked("penalize_repetition: ids", ids, logits.shape[1])
    out = empty(logits.shape, logits.dtype)
    _penalize_kernel(out, contiguous(logits), seen.reshape(ids.shape), penalty)
    return out


@kernel("T[2] <- T[2] i8[2] f8")
def _penalize_kernel(out, logits, ids, penalty):
    number = logits.dtype.type
    for b in prange(len(logits)):
        for j in range(logits.shape[1]):
            out[b, j] = logits[b, j]
        for t in range(ids.shape[1]):
            x = logits[b, ids[b, t]]
            out[b, ids[b, t]] = x / number(penalty) if x > 0 else x * number(penalty)
