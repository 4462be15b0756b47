"""The forward pass of attention on tensor cores: see flash.py."""

import math
from functools import lru_cache

import numpy as np
from numba import cuda
from numba.cuda import float32, int32, int64, types, uint32

from ..ops.attention import factor
from .block import lane, warp
from .flash import LOG2_E, ROWS, THREADS, own_column, own_row, products, rounded, writer
from .kernel import kernel, primitive
from .ptx import commit_copies, exp2, shared_address, store, wait_copies
from .runtime import empty
from .tile import PADDING, across, down, filler

_HIDDEN = -1e30
_ALL = uint32(0xFFFFFFFF)


def attention(q, k, v, causal, scale, save):
    (batch, queries, heads, width), (_, keys, groups, _) = q.shape, k.shape
    out = empty(q.shape, q.dtype)
    lse = empty((batch, heads, queries), np.float32) if save else None
    grid = -(-queries // ROWS), heads, batch
    given = *map(rounded, (q, k, v)), factor(q, scale), causal, save, queries, keys, heads // groups
    _forward(width)(grid, out, lse, *given)
    return out, lse


@primitive
def larger_of_row(x):
    """The maximum over the four lanes that share a row of a product."""
    x = max(x, cuda.shfl_xor_sync(_ALL, x, int32(1)))
    return max(x, cuda.shfl_xor_sync(_ALL, x, int32(2)))


@primitive
def sum_of_row(x):
    """The sum over the four lanes that share a row of a product."""
    x += cuda.shfl_xor_sync(_ALL, x, int32(1))
    return x + cuda.shfl_xor_sync(_ALL, x, int32(2))


@lru_cache(None)
def _forward(width):
    others = 64
    (multiply, gather), put_rows = products(width, others), writer(width)
    fill_own, fill = filler(ROWS, width, THREADS), filler(others, width, THREADS)
    pitch, count, columns = width + PADDING, others // 8, width // 8
    own_bytes, tile_bytes = ROWS * pitch * 2, others * pitch * 2
    score_count, total_count = 4 * count, 4 * columns

    @kernel(
        "T* f4* <- u2* u2* u2* f4 i4 i4 i4 i4 i4",
        threads=THREADS,
        shared=own_bytes + 4 * tile_bytes,
        name=f"forward-{width}",
    )
    def forward(out, lse, q, k, v, scale, causal, save, queries, keys, group):
        own = shared_address(cuda.shared.array(0, types.uint16, alignment=128), int32(0))
        k_tiles = own + uint32(own_bytes)
        v_tiles = k_tiles + uint32(2 * tile_bytes)
        b, h, heads = int64(cuda.blockIdx.z), int64(cuda.blockIdx.y), int64(cuda.gridDim.y)
        groups = heads // group
        first = (int32(cuda.gridDim.x) - int32(1) - int32(cuda.blockIdx.x)) * int32(ROWS)  # long ones first
        start, lead = (b * keys * groups + h // group) * int64(width), groups * int64(width)
        fill_own(own, q, (b * queries * heads + h) * int64(width), heads * int64(width), first, 0, queries, width)
        fill(k_tiles, k, start, lead, 0, 0, keys, width)
        fill(v_tiles, v, start, lead, 0, 0, keys, width)
        commit_copies()
        scores = cuda.local.array(score_count, types.float32)
        totals = cuda.local.array(total_count, types.float32)
        for i in range(total_count):
            totals[i] = float32(0)
        top_a, top_b, sum_a, sum_b = float32(_HIDDEN), float32(_HIDDEN), float32(0), float32(0)
        row = first + own_row()
        last_a = min(keys - int32(1), keys - queries + row) if causal else keys - int32(1)
        last_b = min(keys - int32(1), last_a + int32(8)) if causal else last_a
        end = min(keys, keys - queries + first + int32(ROWS)) if causal else keys
        left = own + uint32(warp() * int32(16 * pitch * 2)) + down(int32(pitch))
        steps = scale * float32(LOG2_E)
        at = uint32(0)
        for key in range(0, end, others):
            key = int32(key)
            wait_copies()
            cuda.syncthreads()
            if key + int32(others) < end:
                fill(k_tiles + uint32(tile_bytes) - at, k, start, lead, key + int32(others), 0, keys, width)
                fill(v_tiles + uint32(tile_bytes) - at, v, start, lead, key + int32(others), 0, keys, width)
            commit_copies()
            multiply(scores, left, k_tiles + at + across(int32(pitch)))
            if key + int32(others - 1) > last_a:
                for j in range(count):
                    column = key + int32(8 * j) + own_column()
                    for e in range(4):
                        if column + int32(e % 2) > (last_a if e < 2 else last_b):
                            scores[4 * j + e] = float32(_HIDDEN)
            new_a, new_b = top_a, top_b
            for j in range(count):
                new_a = max(new_a, max(scores[4 * j], scores[4 * j + 1]))
                new_b = max(new_b, max(scores[4 * j + 2], scores[4 * j + 3]))
            new_a, new_b = larger_of_row(new_a), larger_of_row(new_b)
            shrink_a, shrink_b = exp2((top_a - new_a) * steps), exp2((top_b - new_b) * steps)
            top_a, top_b, sum_a, sum_b = new_a, new_b, sum_a * shrink_a, sum_b * shrink_b
            for j in range(count):
                for e in range(2):
                    scores[4 * j + e] = exp2((scores[4 * j + e] - top_a) * steps)
                    scores[4 * j + 2 + e] = exp2((scores[4 * j + 2 + e] - top_b) * steps)
                    sum_a += scores[4 * j + e]
                    sum_b += scores[4 * j + 2 + e]
            for j in range(columns):
                for e in range(2):
                    totals[4 * j + e] *= shrink_a
                    totals[4 * j + 2 + e] *= shrink_b
            gather(totals, scores, v_tiles + at + down(int32(pitch)))
            at = uint32(tile_bytes) - at
        sum_a, sum_b = sum_of_row(sum_a), sum_of_row(sum_b)
        put_rows(out, totals, float32(1) / sum_a, float32(1) / sum_b, b, h, heads, row, queries)
        if save and lane() & int32(3) == int32(0):
            at_row = (b * heads + h) * queries + row
            if row < queries:
                store(lse, at_row, top_a * scale + math.log(sum_a))
            if row + int32(8) < queries:
                store(lse, at_row + 8, top_b * scale + math.log(sum_b))

    return forward
