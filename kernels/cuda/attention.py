"""Attention in tiles, with a running softmax: a warp owns a few rows of a tile, and each lane one row of the other.

So the products of a lane's row with the warp's rows are sums of its own, the softmax runs over the lanes of a warp, and
what it weights is summed by column, a column to a lane. Forward and for dq, the warp's rows are queries; for dk and dv
they are keys, and each kernel writes what it owns: nothing is added across blocks. Tiles pass through shared memory
in parts of 32 columns, so that any head size works.
"""

import math
from functools import lru_cache

import numpy as np
from numba import cuda
from numba.cuda import int32, int64, types, uint32

from ..device import precision
from ..ops.attention import factor
from . import few_queries, flash_backward, flash_forward, maths
from .block import WARP, add, lane, larger, warp, warp_join
from .copies import fill
from .flash import WIDTHS
from .kernel import accumulator, kernel, primitive
from .pointwise import contiguous
from .ptx import load, store
from .row_products import row_products
from .runtime import empty

WARPS = 8
OWN = WARP // WARPS  # rows of a warp
THREADS = WARPS * WARP
_PITCH = WARP + 1  # elements from row to row of a tile, so that those of a column lie in different banks
_ALL = uint32(0xFFFFFFFF)


def attention(q, k, v, causal=True, scale=None, save=False):
    (batch, queries, heads, width), keys = q.shape, k.shape[1]
    if queries > few_queries.FEW and _is_flash(q, k):
        return flash_forward.attention(q, k, v, causal, scale, save)
    out = empty(q.shape, q.dtype)
    lse = empty((batch, heads, queries), accumulator(q.dtype)) if save else None
    if not keys:
        fill(out, math.nan)
    elif out.size and queries <= few_queries.FEW:
        few_queries.attend(out, lse, q, _stepped(k), _stepped(v), factor(q, scale), causal)
    elif out.size:
        forward, _, _ = _kernels(_parts(width), accumulator(q.dtype), _code(q, k))
        grid = -(-queries // WARP), heads, batch
        sizes = queries, keys, heads // k.shape[2], width
        forward(grid, out, lse, *map(_stepped, (q, k, v)), factor(q, scale), causal, save, *sizes)
    return out, lse


def attention_backward(dout, q, k, v, out, lse, causal, scale):
    if _is_flash(q, k):
        return flash_backward.attention_backward(dout, q, k, v, out, lse, causal, scale)
    dq, dk, dv = (empty(x.shape, q.dtype) for x in (q, k, v))
    if not q.size or not k.size:
        for x in (dq, dk, dv):
            fill(x, 0)
        return dq, dk, dv
    (batch, queries, heads, width), (_, keys, groups, _) = q.shape, k.shape
    lse = contiguous(lse)
    delta = row_products(contiguous(dout), contiguous(out))
    _, for_queries, for_keys = _kernels(_parts(width), accumulator(q.dtype), _code(q, k))
    sizes = queries, keys, heads // groups, width
    given = (*map(_stepped, (dout, q, k, v)), lse, delta, factor(q, scale), causal, *sizes)
    for_queries((-(-queries // WARP), heads, batch), dq, *given)
    for_keys((-(-keys // WARP), groups, batch), dk, dv, *given)
    return dq, dk, dv


def _is_flash(q, k):
    """Whether tensor cores do it: where products are to be of bfloat16."""
    is_rounded = q.dtype == np.uint16 or (q.dtype == np.float32 and precision() == "medium")
    return is_rounded and q.shape[3] in WIDTHS and q.size > 0 and k.size > 0


def _code(q, k):
    return "T" if k.dtype == q.dtype else "u2"


def _parts(width):
    return -(-width // WARP)


def _stepped(x):
    return x, [s // x.itemsize for s in x.strides]


@primitive
def _fill(tile, x, start, row, rows, part, width):
    """32 rows of x from `row` on, of them 32 columns; zeros beyond."""
    pointer, steps = x
    column = int32(part * WARP) + lane()
    for i in range(OWN):
        r = warp() * int32(OWN) + int32(i)
        at = uint32(r * int32(_PITCH) + lane())
        tile[at] = 0
        if row + r < rows and column < width:
            tile[at] = load(pointer, start + int64(row + r) * steps[1] + int64(column) * steps[3])


@primitive
def _multiply(sums, own, other):
    """sums[r] += the product of row r of the warp with the row of the lane, over the columns of a part."""
    mine, theirs = uint32(warp() * int32(OWN * _PITCH)), uint32(lane() * int32(_PITCH))
    for d in range(WARP):
        y = other[theirs + uint32(d)]
        for r in range(OWN):
            sums[r] += own[mine + uint32(r * _PITCH + d)] * y


@lru_cache(None)
def _kernels(parts, sums, code):
    """Those for a head size of so many parts, sums of a dtype, and keys and values of a dtype."""
    number = types.float64 if sums.itemsize == 8 else types.float32
    size, kept = WARP * _PITCH, parts * WARP * WARP
    named = f"{parts}-{code}"

    @primitive
    def place(part, r):
        """Where the total of row r of the warp, for the column of this lane, is kept."""
        return uint32((int32(part * WARP) + warp() * int32(OWN) + int32(r)) * int32(WARP) + lane())

    @primitive
    def gather(totals, part, shrink, weights, other):
        """totals = totals shrink[r] + Σ_lane weights[r] other[lane's row], for columns of a part."""
        own = cuda.local.array(OWN, number)
        for r in range(OWN):
            own[r] = totals[place(part, r)] * shrink[r]
        for s in range(WARP):
            y = other[uint32(s * _PITCH) + uint32(lane())]
            for r in range(OWN):
                own[r] += cuda.shfl_sync(_ALL, weights[r], int32(s)) * y
        for r in range(OWN):
            totals[place(part, r)] = own[r]

    @primitive
    def products(sums, own, own_start, first, owned, other, other_start, second, others, width, x, y):
        """sums[r] = the product of row r of the warp, of `own`, with the lane's row of `other`; x and y are tiles."""
        for r in range(OWN):
            sums[r] = 0
        for p in range(parts):
            cuda.syncthreads()
            _fill(x, own, own_start, first, owned, p, width)
            _fill(y, other, other_start, second, others, p, width)
            cuda.syncthreads()
            _multiply(sums, x, y)

    @primitive
    def weighted(totals, shrink, weights, other, start, second, others, width, y):
        """Add rows of `other`, weighted, to the totals; y is a tile."""
        for p in range(parts):
            cuda.syncthreads()
            _fill(y, other, start, second, others, p, width)
            cuda.syncthreads()
            gather(totals, p, shrink, weights, y)

    @primitive
    def clear(totals, count):
        for i in range(int32(cuda.threadIdx.x), count, THREADS):
            totals[uint32(i)] = 0
        cuda.syncthreads()

    @primitive
    def put(out, totals, factors, b, h, heads, first, rows, width):
        """The totals times factors[r] as rows of `out`, of which b and h name a head."""
        for r in range(OWN):
            row = first + warp() * int32(OWN) + int32(r)
            if row < rows:
                for p in range(parts):
                    column = int32(p * WARP) + lane()
                    if column < width:
                        total = totals[place(p, r)]
                        store(out, ((b * int64(rows) + row) * heads + h) * int64(width) + column, total * factors[r])

    @kernel(
        f"T* A* <- T~4 {code}~4 {code}~4 A i4 i4 i4 i4 i4 i4",
        threads=THREADS,
        shared=kept * sums.itemsize,
        name=f"forward-{named}",
    )
    def forward(out, lse, q, k, v, scale, causal, save, queries, keys, group, width):
        x, y = cuda.shared.array(size, number), cuda.shared.array(size, number)
        totals = cuda.shared.array(0, number)
        scores, shrink = cuda.local.array(OWN, number), cuda.local.array(OWN, number)
        top, total = cuda.local.array(OWN, number), cuda.local.array(OWN, number)
        b, h, heads = int64(cuda.blockIdx.z), int64(cuda.blockIdx.y), int64(cuda.gridDim.y)
        first = (int32(cuda.gridDim.x) - int32(1) - int32(cuda.blockIdx.x)) * int32(WARP)  # long ones first
        q_start, k_start = b * q[1][0] + h * q[1][2], b * k[1][0] + h // group * k[1][2]
        v_start = b * v[1][0] + h // group * v[1][2]
        clear(totals, kept)
        for r in range(OWN):
            top[r], total[r] = -math.inf, 0
        end = min(keys, keys - queries + first + int32(WARP)) if causal else keys
        for key in range(0, end, WARP):
            key = int32(key)
            products(scores, q, q_start, first, queries, k, k_start, key, keys, width, x, y)
            for r in range(OWN):
                query = first + warp() * int32(OWN) + int32(r)
                seen = min(keys, keys - queries + query + int32(1)) if causal else keys
                score = scores[r] * scale if key + lane() < seen else number(-math.inf)
                highest = larger(top[r], warp_join(score, larger))
                shrink[r], scores[r] = maths.exp(top[r] - highest), maths.exp(score - highest)
                top[r] = highest
                total[r] = total[r] * shrink[r] + warp_join(scores[r], add)
            weighted(totals, shrink, scores, v, v_start, key, keys, width, y)
        for r in range(OWN):
            query = first + warp() * int32(OWN) + int32(r)
            if save and query < queries and lane() == 0:
                store(lse, (b * heads + h) * queries + query, top[r] + maths.log(total[r]))
            total[r] = number(1) / total[r]
        put(out, totals, total, b, h, heads, first, queries, width)

    backward = f"<- T~4 T~4 {code}~4 {code}~4 A* A* A i4 i4 i4 i4 i4"

    @kernel(f"T* {backward}", threads=THREADS, shared=kept * sums.itemsize, name=f"backward-queries-{named}")
    def for_queries(dq, dout, q, k, v, lse, delta, scale, causal, queries, keys, group, width):
        x, y = cuda.shared.array(size, number), cuda.shared.array(size, number)
        totals = cuda.shared.array(0, number)
        weights, slopes, ones = (
            cuda.local.array(OWN, number),
            cuda.local.array(OWN, number),
            cuda.local.array(OWN, number),
        )
        b, h, heads = int64(cuda.blockIdx.z), int64(cuda.blockIdx.y), int64(cuda.gridDim.y)
        first = (int32(cuda.gridDim.x) - int32(1) - int32(cuda.blockIdx.x)) * int32(WARP)
        q_start, k_start = b * q[1][0] + h * q[1][2], b * k[1][0] + h // group * k[1][2]
        d_start, v_start = b * dout[1][0] + h * dout[1][2], b * v[1][0] + h // group * v[1][2]
        # What a row needs in each turn waits in shared memory, as registers are all in use.
        log_sums, shifts = cuda.shared.array(WARP, number), cuda.shared.array(WARP, number)
        if warp() == 0:
            at = (b * heads + h) * queries + min(first + lane(), queries - int32(1))
            log_sums[uint32(lane())], shifts[uint32(lane())] = load(lse, at), load(delta, at)
        clear(totals, kept)
        for r in range(OWN):
            ones[r] = 1
        end = min(keys, keys - queries + first + int32(WARP)) if causal else keys
        for key in range(0, end, WARP):
            key = int32(key)
            products(weights, q, q_start, first, queries, k, k_start, key, keys, width, x, y)
            products(slopes, dout, d_start, first, queries, v, v_start, key, keys, width, x, y)
            for r in range(OWN):
                row = warp() * int32(OWN) + int32(r)
                seen = min(keys, keys - queries + first + row + int32(1)) if causal else keys
                weight = maths.exp(weights[r] * scale - log_sums[uint32(row)])
                slope = weight * (slopes[r] - shifts[uint32(row)]) * scale
                slopes[r] = slope if key + lane() < seen else number(0)
            weighted(totals, ones, slopes, k, k_start, key, keys, width, y)
        put(dq, totals, ones, b, h, heads, first, queries, width)

    @kernel(f"T* T* {backward}", threads=THREADS, shared=2 * kept * sums.itemsize, name=f"backward-keys-{named}")
    def for_keys(dk, dv, dout, q, k, v, lse, delta, scale, causal, queries, keys, group, width):
        x, y = cuda.shared.array(size, number), cuda.shared.array(size, number)
        k_totals = cuda.shared.array(0, number)
        v_totals = k_totals[kept:]
        weights, slopes, ones = (
            cuda.local.array(OWN, number),
            cuda.local.array(OWN, number),
            cuda.local.array(OWN, number),
        )
        b, g, groups = int64(cuda.blockIdx.z), int64(cuda.blockIdx.y), int64(cuda.gridDim.y)
        heads, first = groups * group, int32(cuda.blockIdx.x) * int32(WARP)
        k_start, v_start = b * k[1][0] + g * k[1][2], b * v[1][0] + g * v[1][2]
        clear(k_totals, 2 * kept)
        for r in range(OWN):
            ones[r] = 1
        start = max(int32(0), first - (keys - queries)) // int32(WARP) * int32(WARP) if causal else int32(0)
        for turn in range(group):
            h = g * group + turn
            q_start, d_start = b * q[1][0] + h * q[1][2], b * dout[1][0] + h * dout[1][2]
            for query in range(start, queries, WARP):
                query = int32(query)
                products(weights, k, k_start, first, keys, q, q_start, query, queries, width, x, y)
                products(slopes, v, v_start, first, keys, dout, d_start, query, queries, width, x, y)
                own_query = query + lane()
                at = (b * heads + h) * queries + min(own_query, queries - int32(1))
                for r in range(OWN):
                    key = first + warp() * int32(OWN) + int32(r)
                    last = keys - queries + own_query if causal else keys
                    weight = maths.exp(weights[r] * scale - load(lse, at))
                    slope = weight * (slopes[r] - load(delta, at)) * scale
                    is_seen = own_query < queries and key <= last
                    weights[r], slopes[r] = weight if is_seen else number(0), slope if is_seen else number(0)
                weighted(v_totals, ones, weights, dout, d_start, query, queries, width, y)
                weighted(k_totals, ones, slopes, q, q_start, query, queries, width, y)
        put(dk, k_totals, ones, b, g, groups, first, keys, width)
        put(dv, v_totals, ones, b, g, groups, first, keys, width)

    return forward, for_queries, for_keys
