"""Attention of a few queries to many keys, as in decoding: the keys are dealt out to many warps.

A warp has a share of the keys of one query and head, and reads them and their values once, along the head size; it
leaves a maximum, a sum and weighted values, which a second kernel joins in the order of the shares.
"""

import math
from functools import lru_cache
from typing import Any

from numba import cuda
from numba.cuda import int32, int64, types

from . import maths
from .block import WARP, add, lane, larger, warp, warp_join
from .kernel import accumulator, kernel
from .pointwise import contiguous
from .ptx import load, store
from .runtime import empty

FEW = 8  # queries
LEAST, MOST = 32, 64  # keys of a share; shares
_WARPS, _THREADS = 4, 128


def attend(out: Any, lse: Any, q: Any, k: Any, v: Any, scale: float, causal: bool) -> None:
    """`attention` into out, in C order, and its log-sum-exp into lse, if given; k and v as (array, steps)."""
    (batch, queries, heads, width), (_, keys, groups, _) = out.shape, k[0].shape
    each = max(LEAST, -(-keys // MOST))
    shares = -(-keys // each)
    dtype = accumulator(out.dtype)
    rows = batch, heads, queries, shares
    totals, tops, sums = empty((*rows, width), dtype), empty(rows, dtype), empty(rows, dtype)
    run = _kernel(-(-width // WARP), dtype, "T" if k[0].dtype == out.dtype else "u2")
    grid = -(-shares // _WARPS), heads * queries, batch
    run(
        grid,
        totals,
        tops,
        sums,
        contiguous(q),
        k,
        v,
        scale,
        causal,
        queries,
        keys,
        heads // groups,
        width,
        each,
        shares,
    )
    _join_kernel((queries, heads, batch), out, lse, totals, tops, sums, lse is not None, width, shares)


@lru_cache(None)
def _kernel(parts, sums_dtype, code):
    number = types.float64 if sums_dtype.itemsize == 8 else types.float32

    @kernel(f"A* A* A* <- T* {code}~4 {code}~4 A i4 i4 i4 i4 i4 i4 i4", threads=_THREADS, name=f"{parts}-{code}")
    def attend(totals, tops, sums, q, k, v, scale, causal, queries, keys, group, width, each, shares):
        share = int32(cuda.blockIdx.x) * int32(_WARPS) + warp()
        h, t, b = int32(cuda.blockIdx.y) // queries, int32(cuda.blockIdx.y) % queries, int64(cuda.blockIdx.z)
        if share < shares:
            own, total = cuda.local.array(parts, number), cuda.local.array(parts, number)
            q_at = ((b * queries + t) * (int64(cuda.gridDim.y) // queries) + h) * width
            k_at, v_at = b * k[1][0] + h // group * k[1][2], b * v[1][0] + h // group * v[1][2]
            for p in range(parts):
                column = int32(p * WARP) + lane()
                own[p] = load(q, q_at + column) if column < width else number(0)
                total[p] = 0
            top, weights = number(-math.inf), number(0)
            end = min((share + int32(1)) * each, keys - queries + t + int32(1) if causal else keys)
            for key in range(share * each, end):
                product = number(0)
                for p in range(parts):
                    column = int32(p * WARP) + lane()
                    if column < width:
                        product += own[p] * load(k[0], k_at + key * k[1][1] + column * k[1][3])
                score = warp_join(product, add) * scale
                highest = larger(top, score)
                shrink, weight = maths.exp(top - highest), maths.exp(score - highest)
                top, weights = highest, weights * shrink + weight
                for p in range(parts):
                    column = int32(p * WARP) + lane()
                    if column < width:
                        value = load(v[0], v_at + key * v[1][1] + column * v[1][3])
                        total[p] = total[p] * shrink + weight * value
            row = ((b * (int64(cuda.gridDim.y) // queries) + h) * queries + t) * shares + share
            if lane() == 0:
                store(tops, row, top)
                store(sums, row, weights)
            for p in range(parts):
                column = int32(p * WARP) + lane()
                if column < width:
                    store(totals, row * width + column, total[p])

    return attend


@kernel("T* A* <- A* A* A* i4 i4 i4", threads=_THREADS)
def _join_kernel(out, lse, totals, tops, sums, save, width, shares):
    t, h, b = int64(cuda.blockIdx.x), int64(cuda.blockIdx.y), int64(cuda.blockIdx.z)
    queries, heads = int64(cuda.gridDim.x), int64(cuda.gridDim.y)
    row = (b * heads + h) * queries + t
    top = load(tops, row * shares)
    for i in range(1, shares):
        top = larger(top, load(tops, row * shares + i))
    whole = type(top)(0)
    for i in range(shares):
        whole += load(sums, row * shares + i) * maths.exp(load(tops, row * shares + i) - top)
    for column in range(int32(cuda.threadIdx.x), width, _THREADS):
        total = type(top)(0)
        for i in range(shares):
            at = row * shares + i
            total += load(totals, at * width + column) * maths.exp(load(tops, at) - top)
        store(out, ((b * queries + t) * heads + h) * width + column, total / whole)
    if save and int32(cuda.threadIdx.x) == 0:
        store(lse, row, top + maths.log(whole))
