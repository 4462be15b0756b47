"""Sampling: a block has a row. Nothing is sorted: where a row is cut is found bit by bit, in passes over it in cache.

How far a score lies below the best one is counted in floats, so that the count orders the scores. Weights are float64,
as on the CPU, so that the same seed draws the same tokens. Of a row of which no token can be drawn comes -1.
"""

import math

import numpy as np
from numba import cuda
from numba.cuda import float64, int32, int64, libdevice, types, uint32, uint64
from numba.cuda.extending import overload

from .block import block_join, block_max, block_sum, larger
from .ids import checked
from .kernel import kernel, primitive
from .philox import philox
from .pointwise import contiguous
from .prefix import block_prefix
from .ptx import load, store
from .runtime import empty

_THREADS = 512
_NONE = int32(2**31 - 1)


def sample(logits, temperature, top_k, top_p, min_p, seed, stream, offset):
    rows, columns = logits.shape
    out = empty(rows, np.int64)
    if rows:
        top_k = min(top_k, columns) % columns if temperature else 1  # 0: all
        rate = 1 / max(temperature, 1e-300)
        weight = empty(logits.shape, np.float64)
        _sample_kernel(rows, out, weight, contiguous(logits), columns, rate, top_k, top_p, min_p, seed, stream, offset)
    return out


@primitive
def smaller(a, b):
    """The smaller number."""
    return min(a, b)


def _steps_below(top, x):
    """How many floats lie between x and the best one."""


@overload(_steps_below, target="cuda")
def _overload_steps_below(top, x):
    if x == types.float32:
        return lambda top, x: uint32(_rank32(top)) - uint32(_rank32(x))
    return lambda top, x: uint64(_rank64(top)) - uint64(_rank64(x))


@primitive
def _rank32(x):
    bits = libdevice.float_as_int(x)
    return bits if bits >= int32(0) else int32(-(2**31)) - bits  # -0 is 0


@primitive
def _rank64(x):
    bits = libdevice.double_as_longlong(x)
    return bits if bits >= int64(0) else int64(-(2**63)) - bits


@primitive
def _above(weight, logits, row, columns, top, cut, is_count):
    """The number, or the weight, of this thread's scores that are less than `cut` below the best one."""
    total = float64(0)
    for j in range(int32(cuda.threadIdx.x), columns, int32(_THREADS)):
        if _steps_below(top, load(logits, row + int64(j))) < cut:
            total += float64(1) if is_count else load(weight, row + int64(j))
    return total


@kernel("i8* f8* <- T* i4 f8 i4 f8 f8 u8 u8 u8", threads=_THREADS)
def _sample_kernel(out, weight, logits, columns, rate, top_k, top_p, min_p, seed, stream, offset):
    row, me = int64(cuda.blockIdx.x) * int64(columns), int32(cuda.threadIdx.x)
    top = load(logits, row)
    for j in range(me, columns, int32(_THREADS)):
        top = larger(load(logits, row + int64(j)), top)
    top = block_max(top)
    total = float64(0)
    for j in range(me, columns, int32(_THREADS)):
        w = math.exp(-((float64(top) - float64(load(logits, row + int64(j)))) * rate))
        store(weight, row + int64(j), w)
        total += w
    total = block_sum(total)
    if not (abs(top) < math.inf) or not (total < math.inf):
        if me == int32(0):
            store(out, int64(cuda.blockIdx.x), int64(-1))
        return
    if top_k == int32(1):
        token = _NONE
        for j in range(me, columns, int32(_THREADS)):
            if load(logits, row + int64(j)) == top:
                token = min(token, int32(j))
        token = block_join(token, smaller, _NONE)
        if me == int32(0):
            store(out, int64(cuda.blockIdx.x), int64(token))
        return

    # What lies in order is dealt out in one run to each thread.
    each = (columns + int32(_THREADS - 1)) // int32(_THREADS)
    first = min(me * each, columns)
    last = min(first + each, columns)
    for way in range(2):  # keep the nearest top_k by number, then those of share top_p by weight
        is_count = way == 0
        if (top_k > int32(0)) if is_count else (top_p < float64(1)):
            goal = float64(top_k) if is_count else top_p * total
            cut = _steps_below(top, top)  # the largest distance before which less than the goal is found
            step = type(cut)(~cut) - (type(cut)(~cut) >> type(cut)(1))
            while step > type(cut)(0):
                candidate = type(cut)(cut | step)
                if block_sum(_above(weight, logits, row, columns, top, candidate, is_count)) < goal:
                    cut = candidate
                step = type(cut)(step >> type(cut)(1))
            found = block_sum(_above(weight, logits, row, columns, top, cut, is_count))
            ties = int32(0)
            for j in range(first, last):
                if _steps_below(top, load(logits, row + int64(j))) == cut:
                    ties = int32(ties + int32(1))
            before, _ = block_prefix(ties)
            total = float64(0)
            for j in range(first, last):
                below = _steps_below(top, load(logits, row + int64(j)))
                w = load(weight, row + int64(j))
                if below == cut:
                    is_kept = found + float64(before) * (float64(1) if is_count else w) < goal
                    before = int32(before + int32(1))
                else:
                    is_kept = below < cut
                w = w if is_kept else float64(0)
                store(weight, row + int64(j), w)
                total += w
            total = block_sum(total)

    own = float64(0)
    for j in range(first, last):
        w = load(weight, row + int64(j))
        w = w if w >= min_p else float64(0)
        store(weight, row + int64(j), w)
        own += w
    found, total = block_prefix(own)
    drawn, _, _, _ = philox(uint64(cuda.blockIdx.x), seed, stream, offset)
    goal = float64(drawn) * float64(2.0**-32) * total
    token, likely = _NONE, int32(-1)
    for j in range(first, last):
        w = load(weight, row + int64(j))
        if w > float64(0):
            likely = int32(j)
            found += w
            if (found > goal) & (token == _NONE):
                token = int32(j)
    token = block_join(token, smaller, _NONE)
    likely = block_join(likely, larger, int32(-1))
    if me == int32(0):
        store(out, int64(cuda.blockIdx.x), int64(likely if token == _NONE else token))


def penalize_repetition(logits, ids, penalty):
    seen, _ = checked("penalize_repetition: ids", ids, logits.shape[1])
    out = empty(logits.shape, logits.dtype)
    if out.size:
        _penalize_kernel(len(out), out, contiguous(logits), seen, *logits.shape[1:], *ids.shape[1:], penalty)
    return out


@kernel("T* <- T* i8* i4 i4 A", threads=_THREADS)
def _penalize_kernel(out, logits, ids, columns, count, penalty):
    """A block has a row; a token that comes again is written again, the same. A bad one makes the first score a NaN."""
    row, me = int64(cuda.blockIdx.x) * int64(columns), int32(cuda.threadIdx.x)
    seen = int64(cuda.blockIdx.x) * int64(count)
    for j in range(me, columns, int32(_THREADS)):
        store(out, row + int64(j), load(logits, row + int64(j)))
    cuda.syncthreads()
    is_bad = int32(0)
    for t in range(me, count, int32(_THREADS)):
        id = load(ids, seen + int64(t))
        if (id >= int64(0)) & (id < int64(columns)):
            x = load(logits, row + id)
            store(out, row + id, x / penalty if x > type(x)(0) else x * penalty)
        else:
            is_bad = int32(1)
    if (block_join(is_bad, larger, int32(0)) > int32(0)) & (me == int32(0)):
        store(out, row, type(penalty)(math.nan))
