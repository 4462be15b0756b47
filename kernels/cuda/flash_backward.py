"""The backward pass of attention on tensor cores: see flash.py."""

from functools import lru_cache

from numba import cuda
from numba.cuda import float32, int32, int64, types, uint32

from ..ops.attention import factor
from .block import warp
from .flash import LOG2_E, ROWS, THREADS, own_column, own_row, products, rounded, writer
from .kernel import kernel
from .pointwise import contiguous
from .ptx import commit_copies, exp2, load, shared_address, wait_copies
from .row_products import row_products
from .runtime import empty
from .tile import PADDING, across, down, filler


def attention_backward(dout, q, k, v, out, lse, causal, scale):
    (batch, queries, heads, width), (_, keys, groups, _) = q.shape, k.shape
    dq, dk, dv = (empty(x.shape, q.dtype) for x in (q, k, v))
    dout, q, k, v = map(rounded, (dout, q, k, v))
    lse, delta = contiguous(lse), row_products(dout, contiguous(out))  # of what the products see of dout
    given = dout, q, k, v, lse, delta, factor(q, scale), causal, queries, keys, heads // groups
    for_queries, for_keys = _backward(width)
    for_queries((-(-queries // ROWS), heads, batch), dq, *given)
    for_keys((-(-keys // ROWS), groups, batch), dk, dv, *given)
    return dq, dk, dv


@lru_cache(None)
def _backward(width):
    others = 64 if width == 64 else 32  # as many as registers hold the scores of
    (multiply, gather), put_rows = products(width, others), writer(width)
    fill_own, fill = filler(ROWS, width, THREADS), filler(others, width, THREADS)
    pitch, count = width + PADDING, others // 8
    own_bytes, tile_bytes = ROWS * pitch * 2, others * pitch * 2
    score_count, total_count = 4 * count, 4 * (width // 8)
    inputs = "u2* u2* u2* u2* f4* f4* f4 i4 i4 i4 i4"

    @kernel(f"T* <- {inputs}", threads=THREADS, shared=2 * own_bytes + 4 * tile_bytes, name=f"backward-queries-{width}")
    def for_queries(dq, dout, q, k, v, lse, delta, scale, causal, queries, keys, group):
        own = shared_address(cuda.shared.array(0, types.uint16, alignment=128), int32(0))
        k_tiles = own + uint32(2 * own_bytes)
        v_tiles = k_tiles + uint32(2 * tile_bytes)
        b, h, heads = int64(cuda.blockIdx.z), int64(cuda.blockIdx.y), int64(cuda.gridDim.y)
        groups = heads // group
        first = (int32(cuda.gridDim.x) - int32(1) - int32(cuda.blockIdx.x)) * int32(ROWS)
        q_start, q_lead = (b * queries * heads + h) * int64(width), heads * int64(width)
        start, lead = (b * keys * groups + h // group) * int64(width), groups * int64(width)
        fill_own(own, q, q_start, q_lead, first, 0, queries, width)
        fill_own(own + uint32(own_bytes), dout, q_start, q_lead, first, 0, queries, width)
        fill(k_tiles, k, start, lead, 0, 0, keys, width)
        fill(v_tiles, v, start, lead, 0, 0, keys, width)
        commit_copies()
        weights = cuda.local.array(score_count, types.float32)
        slopes = cuda.local.array(score_count, types.float32)
        totals = cuda.local.array(total_count, types.float32)
        for i in range(total_count):
            totals[i] = float32(0)
        row, steps = first + own_row(), scale * float32(LOG2_E)
        last_a = min(keys - int32(1), keys - queries + row) if causal else keys - int32(1)
        last_b = min(keys - int32(1), last_a + int32(8)) if causal else last_a
        at_a = (b * heads + h) * queries + min(row, queries - int32(1))
        at_b = (b * heads + h) * queries + min(row + int32(8), queries - int32(1))
        lse_a, lse_b = load(lse, at_a) * float32(LOG2_E), load(lse, at_b) * float32(LOG2_E)
        delta_a, delta_b = load(delta, at_a), load(delta, at_b)
        end = min(keys, keys - queries + first + int32(ROWS)) if causal else keys
        q_left = own + uint32(warp() * int32(16 * pitch * 2)) + down(int32(pitch))
        d_left = q_left + uint32(own_bytes)
        at = uint32(0)
        for key in range(0, end, others):
            key = int32(key)
            wait_copies()
            cuda.syncthreads()
            if key + int32(others) < end:
                fill(k_tiles + uint32(tile_bytes) - at, k, start, lead, key + int32(others), 0, keys, width)
                fill(v_tiles + uint32(tile_bytes) - at, v, start, lead, key + int32(others), 0, keys, width)
            commit_copies()
            multiply(weights, q_left, k_tiles + at + across(int32(pitch)))
            multiply(slopes, d_left, v_tiles + at + across(int32(pitch)))
            for j in range(count):
                column = key + int32(8 * j) + own_column()
                for e in range(2):
                    weight = exp2(weights[4 * j + e] * steps - lse_a)
                    below = exp2(weights[4 * j + 2 + e] * steps - lse_b)
                    slope, slope_below = slopes[4 * j + e] - delta_a, slopes[4 * j + 2 + e] - delta_b
                    slopes[4 * j + e] = weight * slope if column + int32(e) <= last_a else float32(0)
                    slopes[4 * j + 2 + e] = below * slope_below if column + int32(e) <= last_b else float32(0)
            gather(totals, slopes, k_tiles + at + down(int32(pitch)))
            at = uint32(tile_bytes) - at
        put_rows(dq, totals, scale, scale, b, h, heads, row, queries)

    @kernel(f"T* T* <- {inputs}", threads=THREADS, shared=2 * own_bytes + 4 * tile_bytes, name=f"backward-keys-{width}")
    def for_keys(dk, dv, dout, q, k, v, lse, delta, scale, causal, queries, keys, group):
        own = shared_address(cuda.shared.array(0, types.uint16, alignment=128), int32(0))
        q_tiles = own + uint32(2 * own_bytes)
        d_tiles = q_tiles + uint32(2 * tile_bytes)
        b, g, groups = int64(cuda.blockIdx.z), int64(cuda.blockIdx.y), int64(cuda.gridDim.y)
        heads = groups * group
        first = int32(cuda.blockIdx.x) * int32(ROWS)
        k_start, k_lead = (b * keys * groups + g) * int64(width), groups * int64(width)
        start, lead = (b * queries * heads + g * group) * int64(width), heads * int64(width)
        unseen = max(int32(0), first - (keys - queries)) // int32(others) if causal else int32(0)  # tiles of queries
        tiles = (queries + int32(others - 1)) // int32(others) - unseen
        fill_own(own, k, k_start, k_lead, first, 0, keys, width)
        fill_own(own + uint32(own_bytes), v, k_start, k_lead, first, 0, keys, width)
        fill(q_tiles, q, start, lead, unseen * int32(others), 0, queries, width)
        fill(d_tiles, dout, start, lead, unseen * int32(others), 0, queries, width)
        commit_copies()
        weights = cuda.local.array(score_count, types.float32)
        slopes = cuda.local.array(score_count, types.float32)
        k_totals = cuda.local.array(total_count, types.float32)
        v_totals = cuda.local.array(total_count, types.float32)
        for i in range(total_count):
            k_totals[i] = float32(0)
            v_totals[i] = float32(0)
        row, steps = first + own_row(), scale * float32(LOG2_E)
        k_left = own + uint32(warp() * int32(16 * pitch * 2)) + down(int32(pitch))
        v_left = k_left + uint32(own_bytes)
        at = uint32(0)
        for turn in range(group * tiles):  # over the heads that share these keys, and their tiles
            turn = int32(turn)
            wait_copies()
            cuda.syncthreads()
            later = turn + int32(1)
            if later < group * tiles:
                head_start = start + int64(later // tiles) * int64(width)
                query = (unseen + later % tiles) * int32(others)
                fill(q_tiles + uint32(tile_bytes) - at, q, head_start, lead, query, 0, queries, width)
                fill(d_tiles + uint32(tile_bytes) - at, dout, head_start, lead, query, 0, queries, width)
            commit_copies()
            multiply(weights, k_left, q_tiles + at + across(int32(pitch)))
            multiply(slopes, v_left, d_tiles + at + across(int32(pitch)))
            query = (unseen + turn % tiles) * int32(others)
            of_head = (b * heads + g * group + turn // tiles) * queries
            for j in range(count):
                for e in range(2):
                    column = query + int32(8 * j + e) + own_column()
                    place = of_head + min(column, queries - int32(1))
                    shift, delta_here = load(lse, place) * float32(LOG2_E), load(delta, place)
                    last = (keys - queries + column if causal else keys) if column < queries else int32(-1)
                    weight = exp2(weights[4 * j + e] * steps - shift) if row <= last else float32(0)
                    below = exp2(weights[4 * j + 2 + e] * steps - shift) if row + int32(8) <= last else float32(0)
                    weights[4 * j + e], weights[4 * j + 2 + e] = weight, below
                    slopes[4 * j + e] = weight * (slopes[4 * j + e] - delta_here)
                    slopes[4 * j + 2 + e] = below * (slopes[4 * j + 2 + e] - delta_here)
            gather(v_totals, weights, d_tiles + at + down(int32(pitch)))
            gather(k_totals, slopes, q_tiles + at + down(int32(pitch)))
            at = uint32(tile_bytes) - at
        put_rows(dk, k_totals, scale, scale, b, g, groups, row, keys)
        put_rows(dv, v_totals, float32(1), float32(1), b, g, groups, row, keys)

    return for_queries, for_keys
