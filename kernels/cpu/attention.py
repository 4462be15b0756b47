"""Attention in tiles of the matrix product: what a softmax leaves is at once the right-hand panel of the next product.

Forward: scores stand transposed, keys down and queries across, so that the softmax runs over rows of a tile (all lanes
at work, no horizontal sums). A task is a share of the queries of a group of heads, which read the same panels of keys
and values. Backward: scores stand with queries down, as probabilities are then the right-hand panel of the gradients
of keys and values; only the gradient of the queries needs them repacked. A task is a share of the keys of a group of
heads: its parts of dk and dv are whole, and its part of dq is added to those of the other shares, in their order.

A task packs what it reads into scratch that its thread keeps in cache. Shares are every so many panels, so that they
take equally long though attention is causal; how many there are depends on the shape alone.
"""

import math
from functools import lru_cache

import numpy as np
from numba import get_thread_id, prange

from ..device import contiguous, empty, threads, zeros
from ..ops.attention import factor
from . import simd
from .kernel import kernel, subroutine
from .maths import exp
from .matmul import pack_panel
from .reduce import sum as sum_over

TASKS = 16  # that a launch should have
LEAST = 256, 384  # queries of a share, forward; keys of a share, backward: else packing takes too long
KEYS = 8  # tiles of keys in a block, forward
QUERIES, PANELS = 8, 2  # tiles of queries and panels of keys in a block, backward


def attention(q, k, v, causal=True, scale=None, save=False):
    (batch, queries, heads, width), keys, groups = q.shape, k.shape[1], k.shape[2]
    out = empty(q.shape, q.dtype)
    lse = empty((batch, heads, queries) if save else (0, 0, 0), q.dtype)
    if not keys:
        out[...] = np.nan
    elif out.size:
        height, across = _tile(q)
        shares = _shares(batch * groups, queries * (heads // groups), LEAST[0])
        tall = _up(width, height)
        sizes = (
            _up(keys, height) * width,  # keys
            tall * keys,  # values
            across * width,  # queries
            KEYS * height * across,  # scores
            tall * across,  # sums
            across * across,  # the sums transposed
            3 * across,  # maxima, totals, factors
        )
        forward, _ = _kernels(simd.width(), across)
        forward(out, lse, *_scratch(sizes, q.dtype), q, k, v, factor(q, scale), shares, causal)
    return out, lse if save else None


def attention_backward(dout, q, k, v, out, lse, causal, scale):
    if not q.size or not k.size:
        return zeros(q.shape, q.dtype), zeros(k.shape, q.dtype), zeros(v.shape, q.dtype)
    (batch, queries, _, width), keys, groups = q.shape, k.shape[1], k.shape[2]
    height, across = _tile(q)
    shares = _shares(batch * groups, keys, LEAST[1])
    tall, broad, block = _up(width, height), _up(width, across), PANELS * across
    sizes = (
        *[_up(queries, height) * width] * 2,  # queries and dout, for products over the width
        *[tall * queries] * 2,  # the same, for products over queries
        _up(queries, height) * broad,  # dq
        queries,  # Σ_d dout · out
        *[block * width] * 2,  # keys and values, for products over the width
        block * broad,  # keys, for products over keys
        *[tall * block] * 2,  # dk, dv
        *[QUERIES * height * block] * 2,  # probabilities and the gradient of the scores
        height * block,  # the latter repacked
        across * across,  # dk or dv transposed
    )
    dq = empty((shares, *q.shape), q.dtype)
    dk, dv = empty(k.shape, q.dtype), empty(v.shape, q.dtype)
    _, backward = _kernels(simd.width(), across)
    arrays = contiguous(dout), q, k, v, contiguous(out), contiguous(lse)
    backward(dq, dk, dv, *_scratch(sizes, q.dtype), *arrays, factor(q, scale), causal)
    return dq[0] if shares == 1 else sum_over(dq, 0, False), dk, dv


def _tile(x):
    tile = simd.tile(simd.width())
    return tile.rows, tile.across(x.dtype)


def _up(n, multiple):
    return -(-n // multiple) * multiple


def _shares(groups, length, least):
    """Into how many shares the work on a group of heads is cut."""
    return max(1, min(-(-TASKS // groups), length // least))


def _scratch(sizes, dtype):
    """For each thread, room for parts of so many elements; and where the parts start, at whole cache lines."""
    starts = np.cumsum([0, *(_up(size, 16) for size in sizes)])
    return empty((threads(), int(starts[-1])), dtype), starts


@subroutine
def _part(scratch, starts, n):
    return scratch[starts[n] : starts[n + 1]]


@subroutine
def _hide_future(scores, first_key, last_seen):
    """-inf where a key comes after its query: query c of the panel sees keys up to last_seen + c."""
    for r in range(max(0, last_seen + 1 - first_key), scores.shape[0]):
        scores[r, : max(0, first_key + r - last_seen)] = -np.inf


@subroutine
def _hide_keys(scores, seen):
    """-inf where a key comes after its query: query r of the tile sees the first seen + r keys of the panel."""
    for r in range(scores.shape[0]):
        scores[r, max(0, seen + r) :] = -np.inf


@subroutine
def _softmax_block(scores, state):
    """Turn a block of scores into exp(score - running maximum); True if a maximum rose.

    state: the running maxima, the sums, and the factors by which what was summed before is to shrink.
    """
    keys, across = scores.shape
    top, total, rescale = state[0], state[1], state[2]
    rescale[:] = top
    for r in range(0, keys - 1, 2):
        row, following = scores[r], scores[r + 1]
        for c in range(across):
            larger = row[c] if row[c] > following[c] else following[c]
            top[c] = larger if larger > top[c] else top[c]
    if keys % 2:
        row = scores[keys - 1]
        for c in range(across):
            top[c] = row[c] if row[c] > top[c] else top[c]
    rose = 0
    for c in range(across):
        rose += top[c] > rescale[c]
    if rose:
        for c in range(across):
            rescale[c] = exp(rescale[c] - top[c])
            total[c] *= rescale[c]
    for r in range(keys):
        row = scores[r]
        for c in range(across):
            e = exp(row[c] - top[c])
            row[c] = e
            total[c] += e
    return rose > 0


@subroutine
def _rescale_rows(x, factors):
    for r in range(x.shape[0]):
        row = x[r]
        for c in range(row.size):
            row[c] *= factors[c]


@subroutine
def _weights_and_gradient(p, ds, lse, delta, scale):
    """p: scores to probabilities; ds: gradient of the probabilities, times scale, to that of the scores."""
    for r in range(p.shape[0]):
        p_row, ds_row, log_total, shift = p[r], ds[r], lse[r], scale * delta[r]
        for c in range(p_row.size):
            weight = exp(p_row[c] - log_total)
            p_row[c] = weight
            ds_row[c] = weight * (ds_row[c] - shift)


@subroutine
def _row_products(out, x, y):
    """out[r] = Σ_d x[r, d] y[r, d]."""
    for r in range(out.size):
        x_row, y_row = x[r], y[r]
        total = x.dtype.type(0)
        for d in range(x_row.size):
            total += x_row[d] * y_row[d]
        out[r] = total


@subroutine
def _put(row, values, add):
    if add:
        for i in range(row.size):
            row[i] += values[i]
    else:
        for i in range(row.size):
            row[i] = values[i]


@lru_cache(None)
def _kernels(width, across):
    multiply, height, _ = simd.tile(width)
    fill_left, fill_right = pack_panel(height), pack_panel(across)
    block = KEYS * height
    queries_block, keys_block = QUERIES * height, PANELS * across

    @subroutine
    def put_transposed(out, x, room, add):
        """out (columns, width), or what it holds, becomes x (width or more, across) transposed."""
        count, width = out.shape
        for d in range(0, width, across):
            fill_right(room, 0, x, d, 1)
            for c in range(count):
                row = out[c, d : d + across]
                _put(row, room[c * across : c * across + row.size], add)

    @subroutine
    def attend(out, lse, q, k, v, own, starts, q0, scale, causal):
        """One panel of queries of a head, whose keys and values are packed."""
        (queries, width), keys = q.shape, k.shape[0]
        k_panels, v_panels, q_panel = _part(own, starts, 0), _part(own, starts, 1), _part(own, starts, 2)
        scores, sums, room = _part(own, starts, 3), _part(own, starts, 4), _part(own, starts, 5)
        state = _part(own, starts, 6)[: 3 * across].reshape(3, across)
        rows, sum_rows = scores[: block * across].reshape(block, across), sums.reshape(-1, across)
        fill_right(q_panel, 0, q, q0, scale)
        state[0] = -np.inf
        state[1] = 0
        count = min(across, queries - q0)
        last_seen = keys - queries + q0
        end = min(keys, last_seen + count) if causal else keys
        for key in range(0, end, block):
            n = min(block, end - key)
            for t in range(0, n, height):
                multiply(k_panels, (key + t) * width, q_panel, 0, scores, t * across, width, across, 0)
            if causal:
                _hide_future(rows[:n], key, last_seen)
            if _softmax_block(rows[:n], state) and key:
                _rescale_rows(sum_rows, state[2])
            for d in range(0, width, height):
                multiply(v_panels, d * keys + key * height, scores, 0, sums, d * across, n, across, key)
        for c in range(across):
            state[2, c] = 1 / state[1, c]
        _rescale_rows(sum_rows, state[2])
        put_transposed(out[q0 : q0 + count], sum_rows, room, False)
        for c in range(min(count, lse.size)):
            lse[q0 + c] = state[0, c] + math.log(state[1, c])

    @kernel("T[4] T[3] T[2] <- i8[1] T[4s] T[4s] T[4s] T i8 b1", name=f"attention_{width}_{across}")
    def forward(out, lse, scratch, starts, q, k, v, scale, shares, causal):
        (batch, queries, heads, width), keys, groups = out.shape, k.shape[1], k.shape[2]
        group, high = heads // groups, -(-queries // across)
        for task in prange(batch * groups * shares):
            b, g, share = task // (groups * shares), task // shares % groups, task % shares
            own = scratch[get_thread_id()]
            own_k, own_v = k[b, :, g], v[b, :, g]
            for s in range(0, keys, height):
                fill_left(own, starts[0] + s * width, own_k, s, 1)
            for d in range(0, width, height):
                fill_left(own, starts[1] + d * keys, own_v.T, d, 1)
            for i in range(share, group * high, shares):
                h, q0 = g * group + i % group, i // group * across
                own_lse = lse[b, h] if lse.size else lse.reshape(-1)
                attend(out[b, :, h], own_lse, q[b, :, h], own_k, own_v, own, starts, q0, scale, causal)

    @subroutine
    def pack_queries(q, dout, out, own, starts):
        queries, width = q.shape
        for t in range(0, queries, height):
            fill_left(own, starts[0] + t * width, q, t, 1)
            fill_left(own, starts[1] + t * width, dout, t, 1)
        for d in range(0, width, height):
            fill_left(own, starts[2] + d * queries, q.T, d, 1)
            fill_left(own, starts[3] + d * queries, dout.T, d, 1)
        _row_products(_part(own, starts, 5)[:queries], dout, out)

    @subroutine
    def pack_keys(k, v, own, starts, scale):
        n, width = k.shape
        for s in range(0, n, across):
            fill_right(own, starts[6] + s * width, k, s, scale)
            fill_right(own, starts[7] + s * width, v, s, scale)
        for d in range(0, width, across):
            fill_right(own, starts[8] + d * n, k.T, d, 1)

    @subroutine
    def attend_backward(lse, own, starts, where, sizes, scale, causal):
        """A block of keys: its dk and dv, and what it adds to dq."""
        (queries, width), (key, n, keys) = sizes, where
        q_left, do_left, q_tall, do_tall = (
            _part(own, starts, 0), _part(own, starts, 1), _part(own, starts, 2), _part(own, starts, 3)
        )  # fmt: skip
        dq, delta, k_right, v_right = (
            _part(own, starts, 4), _part(own, starts, 5), _part(own, starts, 6), _part(own, starts, 7)
        )  # fmt: skip
        k_rows, dk, dv = _part(own, starts, 8), _part(own, starts, 9), _part(own, starts, 10)
        p, ds, panel = _part(own, starts, 11), _part(own, starts, 12), _part(own, starts, 13)
        p_rows = p[: queries_block * keys_block].reshape(-1, across)
        ds_rows = ds[: queries_block * keys_block].reshape(-1, across)
        tall, broad = -(-width // height) * height, -(-width // across) * across
        dk[:] = 0
        dv[:] = 0
        first = max(0, key - (keys - queries)) // height * height if causal else 0
        for q0 in range(first, queries, queries_block):
            count = min(queries_block, queries - q0)
            for t in range(0, count, height):
                tile = min(height, count - t)
                last_seen = keys - queries + q0 + t - key
                seen = min(n, last_seen + tile) if causal else n
                at = (q0 + t) * width
                for s in range(0, seen, across):
                    row = s // across * queries_block + t
                    multiply(q_left, at, k_right, s * width, p, row * across, width, across, 0)
                    multiply(do_left, at, v_right, s * width, ds, row * across, width, across, 0)
                    if causal and last_seen + 1 < s + across:
                        _hide_keys(p_rows[row : row + tile], last_seen + 1 - s)
                    rows = slice(q0 + t, q0 + t + tile)
                    _weights_and_gradient(
                        p_rows[row : row + tile], ds_rows[row : row + tile], lse[rows], delta[rows], scale
                    )
                    fill_left(panel, s * height, ds_rows[row : row + height], 0, 1)
                for d in range(0, width, across):
                    multiply(panel, 0, k_rows, d * n, dq, (q0 + t) * broad + d, seen, broad, 1)
            for s in range(0, n, across):
                hidden = max(0, key + s - (keys - queries) - q0) // height * height if causal else 0
                depth = count - hidden
                for d in range(0, width if depth > 0 else 0, height):
                    at, row, c = d * queries + (q0 + hidden) * height, s * queries_block + hidden * across, s * tall + d * across
                    multiply(do_tall, at, p, row, dv, c, depth, across, 1)
                    multiply(q_tall, at, ds, row, dk, c, depth, across, 1)

    signature = "T[5] T[4] T[4] T[2] <- i8[1] T[4] T[4s] T[4s] T[4s] T[4] T[3] T b1"

    @kernel(signature, name=f"attention_backward_{width}_{across}")
    def backward(dq, dk, dv, scratch, starts, dout, q, k, v, out, lse, scale, causal):
        shares, batch, queries, heads, width = dq.shape
        keys, groups = k.shape[1], k.shape[2]
        group = heads // groups
        tall, broad = -(-width // height) * height, -(-width // across) * across
        for task in prange(batch * groups * shares):
            b, g, share = task // (groups * shares), task // shares % groups, task % shares
            own = scratch[get_thread_id()]
            dq_sums = _part(own, starts, 4)
            room = _part(own, starts, 14)
            for h in range(g * group, (g + 1) * group):
                pack_queries(q[b, :, h], dout[b, :, h], out[b, :, h], own, starts)
                dq_sums[:] = 0
                for key in range(share * keys_block, keys, shares * keys_block):
                    n = min(keys_block, keys - key)
                    part = slice(key, key + n)
                    pack_keys(k[b, part, g], v[b, part, g], own, starts, scale)
                    attend_backward(lse[b, h], own, starts, (key, n, keys), (queries, width), scale, causal)
                    for s in range(0, n, across):
                        panel = slice(key + s, min(key + n, key + s + across))
                        size = tall * across
                        a, c = starts[9] + s * tall, starts[10] + s * tall
                        add = h > g * group
                        put_transposed(dk[b, panel, g], own[a : a + size].reshape(tall, across), room, add)
                        put_transposed(dv[b, panel, g], own[c : c + size].reshape(tall, across), room, add)
                for t in range(queries):
                    _put(dq[share, b, t, h], dq_sums[t * broad : t * broad + width], False)

    return forward, backward
