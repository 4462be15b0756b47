"""Attention in tiles of the matrix product: what a softmax leaves is at once the right-hand panel of the next product.

Forward: scores stand transposed, keys down and queries across, so that the softmax runs over rows of a tile (all lanes
at work, no horizontal sums). A task is a share of the queries of a group of heads, which read the same panels of keys
and values. Backward: scores stand with queries down, as probabilities are then the right-hand panel of the gradients
of keys and values; only the gradient of the queries needs them repacked. A task is a share of the keys of a group of
heads: its parts of dk and dv are whole, and its part of dq is added to those of the other shares, in their order.

A task packs what it reads into scratch that its thread keeps in cache. Shares are dealt out to and fro, so that they
take equally long though attention is causal; how many there are depends on the shape alone.
"""

import math
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numba import get_thread_id, prange

from ..device import contiguous, empty, precision, threads, zeros
from ..ops.attention import factor
from . import few_queries
from .kernel import kernel, primitive, subroutine
from .maths import bf16_bits, exp, widen
from .reduce import sum as sum_over
from .tile import tile
from .unit import unit

TASKS = 12  # that a launch should have
LEAST = 512, 384  # queries of a share, forward; keys of a share, backward: else packing takes too long
KEYS = 8  # tiles of keys in a block, forward
QUERIES, PANELS = 8, 4  # tiles of queries and panels of keys in a block, backward


def attention(q, k, v, causal=True, scale=None, save=False):
    (batch, queries, heads, width), keys, groups = q.shape, k.shape[1], k.shape[2]
    out = empty(q.shape, q.dtype)
    lse = empty((batch, heads, queries), q.dtype) if save else out[:0, 0]
    if not keys:
        out[...] = np.nan
    elif queries <= few_queries.FEW:
        few_queries.attend(out, lse, q, k, v, factor(q, scale), causal)
    elif out.size:
        own = _tile(q)
        height, across, deep = own.left.across, own.right.across, own.depth
        shares = _shares(batch * groups, queries * (heads // groups), LEAST[0])
        tall, block = _up(width, height), KEYS * height
        panels = (
            _up(keys, height) * deep(width),  # keys
            tall * deep(keys),  # values
            across * deep(width),  # queries
            across * deep(block),  # probabilities
        )
        floats = (
            across * block,  # scores
            tall * across,  # sums
            across * across,  # the sums transposed
            3 * across,  # maxima, totals, factors
        )
        forward, _ = _kernels(own.unit)
        scratch = _scratch(own.unit, panels, floats)
        forward(out, lse, *scratch, q, k, v, *_power_and_rest(factor(q, scale)), shares, causal)
    return out, lse if save else None


def attention_backward(dout, q, k, v, out, lse, causal, scale):
    if not q.size or not k.size:
        return zeros(q.shape, q.dtype), zeros(k.shape, q.dtype), zeros(v.shape, q.dtype)
    (batch, queries, _, width), keys, groups = q.shape, k.shape[1], k.shape[2]
    own = _tile(q)
    height, across, deep = own.left.across, own.right.across, own.depth
    shares = _shares(batch * groups, keys, LEAST[1])
    high, tall, broad, block = _up(queries, height), _up(width, height), _up(width, across), PANELS * across
    panels = (
        *[high * deep(width)] * 2,  # queries and dout, for products over the width
        *[tall * deep(queries)] * 2,  # the same, for products over queries
        *[block * deep(width)] * 2,  # keys and values, for products over the width
        broad * deep(block),  # keys, for products over keys
        height * deep(block),  # the gradient of the scores, for products over keys
        *[across * deep(QUERIES * height)] * 2,  # probabilities and that gradient, for products over queries
    )
    floats = (
        high * broad,  # dq
        queries,  # Σ_d dout · out
        *[tall * block] * 2,  # dk, dv
        *[QUERIES * height * block] * 2,  # probabilities and the gradient of the scores
        across * across,  # dk or dv transposed
    )
    dq = empty((shares, *q.shape), q.dtype)
    dk, dv = empty(k.shape, q.dtype), empty(v.shape, q.dtype)
    _, backward = _kernels(own.unit)
    scratch = _scratch(own.unit, panels, floats)
    arrays = contiguous(dout), q, k, v, contiguous(out), contiguous(lse)
    backward(dq, dk, dv, *scratch, *arrays, *_power_and_rest(factor(q, scale)), causal)
    return dq[0] if shares == 1 else sum_over(dq, 0, False), dk, dv


def _tile(x):
    return tile(unit(x.dtype, "medium" if precision() == "medium" else "highest"))


def _power_and_rest(scale):
    """A power of two, which rounding to bf16 does not notice, and what it leaves of the scale, from 1 to below 2.

    Queries that are packed times the scale itself would be rounded twice in the backward pass, and once before.
    """
    mantissa, exponent = math.frexp(scale)
    return 2.0 ** (exponent - 1), 2 * mantissa


def _up(n, multiple):
    return -(-n // multiple) * multiple


def _shares(groups, length, least):
    """Into how many shares the work on a group of heads is cut."""
    return max(1, min(-(-TASKS // groups), length // least))


def _scratch(unit, panels, floats):
    """For each thread, room for panels and floats in parts of so many; and where the parts start, at cache lines."""
    starts = [np.array([*accumulate((_up(size, 16) for size in sizes), initial=0)]) for sizes in (panels, floats)]
    dtypes = unit.dtype, np.dtype(unit.result)
    return *(empty((threads(), int(s[-1])), t) for s, t in zip(starts, dtypes, strict=True)), *starts


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
def _softmax_block(scores, state, rest):
    """Turn a block of scores into exp(rest (score - running maximum)); True if a maximum rose.

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
            rescale[c] = exp(rest * (rescale[c] - top[c]))
            total[c] *= rescale[c]
    for r in range(keys):
        row = scores[r]
        for c in range(across):
            e = exp(rest * (row[c] - top[c]))
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
def _weights_and_gradient(p, ds, lse, delta, power, rest):
    """p: scores to probabilities; ds: gradient of the probabilities to that of the scores; both times power already."""
    for r in range(p.shape[0]):
        p_row, ds_row, log_total, shift = p[r], ds[r], lse[r], power * rest * delta[r]
        for c in range(p_row.size):
            weight = exp(rest * p_row[c] - log_total)
            p_row[c] = weight
            ds_row[c] = weight * (rest * ds_row[c] - shift)


@subroutine
def _put(row, values, add):
    if add:
        for i in range(row.size):
            row[i] += values[i]
    else:
        for i in range(row.size):
            row[i] = values[i]


@subroutine
def _same(panel, x, n):
    return x


@lru_cache(None)
def _kernels(unit):
    own = tile(unit)
    multiply, begin, end = own.multiply, own.begin, own.end
    height, fill_left = own.left.across, own.left.fill
    across, fill_right = own.right.across, own.right.fill
    block, queries_block, keys_block = KEYS * height, QUERIES * height, PANELS * across
    fill_floats = tile(unit._replace(kind="vector")).right.fill
    per, step = 2 if unit.pairs else 1, own.step

    @primitive
    def deep(n):
        return -(-n // (per * step)) * step

    @primitive
    def dealt(turn, share, shares):
        """What a share gets in a turn: turns go to and fro."""
        return turn * shares + (shares - 1 - share if turn % 2 else share)

    @subroutine
    def rounded(panel, x, n):
        fill_right(panel, 0, x[: n * across].reshape(n, across).T, 0, deep(n), x.dtype.type(1))
        return panel

    as_panel = rounded if unit.pairs else _same

    @primitive
    def entered(x):
        """A number as it enters a product."""
        return widen(bf16_bits(x)) if per == 2 else x

    @subroutine
    def row_products(out, x, y, h):
        """out[r] = Σ_d x[r, h, d] y[r, h, d], x as it enters the products that out is taken off from."""
        for r in range(x.shape[0]):
            x_row, y_row = x[r, h], y[r, h]
            total = x.dtype.type(0)
            for d in range(x_row.size):
                total += entered(x_row[d]) * y_row[d]
            out[r] = total

    @subroutine
    def fill_tall(panels, start, x, scale):
        """All panels of the columns of x, which has a row for each element of depth; the last holds the last ones."""
        rows, width = x.shape
        for d in range(0, width, height):
            fill_left(panels, start + d * deep(rows), x.T, max(0, min(d, width - height)), deep(rows), scale)

    @subroutine
    def put_transposed(out, first, count, h, x, room, add):
        """Columns [0, count) of x, products of tall panels, become out[first :, h], or are added."""
        width, tall = out.shape[2], x.shape[0]
        for d in range(tall - height, width if tall > height else 0):
            x[d] = x[d + tall - width]
        for d in range(0, width, across):
            fill_floats(room, 0, x, d, across, x.dtype.type(1))
            for c in range(count):
                row = out[first + c, h, d : d + across]
                _put(row, room[c * across : c * across + row.size], add)

    @subroutine
    def attend(out, lse, q, keys, panels, starts, floats, at, q0, h, power, rest, causal):
        """One panel of queries of a head, whose keys and values are packed."""
        queries, width = q.shape
        k_panels, v_panels, q_panel = _part(panels, starts, 0), _part(panels, starts, 1), _part(panels, starts, 2)
        p_panel = _part(panels, starts, 3)
        scores, sums, room = _part(floats, at, 0), _part(floats, at, 1), _part(floats, at, 2)
        state = _part(floats, at, 3)[: 3 * across].reshape(3, across)
        tall = -(-width // height) * height
        rows, sum_rows = scores[: block * across].reshape(block, across), sums[: tall * across].reshape(tall, across)
        fill_right(q_panel, 0, q, q0, deep(width), power)
        state[0] = -np.inf
        state[1] = 0
        count = min(across, queries - q0)
        last_seen = keys - queries + q0
        end = min(keys, last_seen + count) if causal else keys
        for key in range(0, end, block):
            n = min(block, end - key)
            for t in range(0, n, height):
                multiply(k_panels, (key + t) * deep(width), q_panel, 0, scores, t * across, deep(width), across, 0)
            if causal and key + n > last_seen + 1:
                _hide_future(rows[:n], key, last_seen)
            if _softmax_block(rows[:n], state, rest) and key:
                _rescale_rows(sum_rows, state[2])
            p = as_panel(p_panel, scores, n)
            for d in range(0, width, height):
                v = d * deep(keys) + deep(key) * height
                multiply(v_panels, v, p, 0, sums, d * across, deep(n), across, key)
        for c in range(across):
            state[2, c] = 1 / state[1, c]
        _rescale_rows(sum_rows, state[2])
        put_transposed(out, q0, count, h, sum_rows, room, False)
        for c in range(min(count, lse.size)):
            lse[q0 + c] = rest * state[0, c] + math.log(state[1, c])

    code = unit.code

    @kernel(f"T[4] T[3] {code}[2] T[2] <- i8[1] i8[1] T[4s] T[4s] T[4s] T T i8 b1", name=f"attention_{unit.name}")
    def forward(out, lse, panels, floats, starts, at, q, k, v, power, rest, shares, causal):
        (batch, queries, heads, width), keys, groups = out.shape, k.shape[1], k.shape[2]
        group, high = heads // groups, -(-queries // across)
        for task in prange(batch * groups * shares):
            b, g, share = task // (groups * shares), task // shares % groups, task % shares
            own_panels, own_floats = panels[get_thread_id()], floats[get_thread_id()]
            own_k, own_v = k[b, :, g], v[b, :, g]
            for s in range(0, keys, height):
                fill_left(own_panels, starts[0] + s * deep(width), own_k, s, deep(width), k.dtype.type(1))
            fill_tall(own_panels, starts[1], own_v, k.dtype.type(1))
            begin()
            for turn in range(-(-group * high // shares)):
                i = dealt(turn, share, shares)
                if i >= group * high:
                    break
                h, q0 = g * group + i % group, i // group * across
                own_lse = lse[b, h] if lse.size else lse.reshape(-1)
                own_q = q[b, :, h]
                attend(out[b], own_lse, own_q, keys, own_panels, starts, own_floats, at, q0, h, power, rest, causal)
            end()

    @subroutine
    def pack_queries(q, dout, panels, starts, power):
        (queries, width), one = q.shape, q.dtype.type(1)
        for t in range(0, queries, height):
            fill_left(panels, starts[0] + t * deep(width), q, t, deep(width), power)
            fill_left(panels, starts[1] + t * deep(width), dout, t, deep(width), one)
        fill_tall(panels, starts[2], q, one)
        fill_tall(panels, starts[3], dout, one)

    @subroutine
    def pack_keys(k, v, panels, starts, power):
        (n, width), one = k.shape, k.dtype.type(1)
        for s in range(0, n, across):
            fill_right(panels, starts[4] + s * deep(width), k, s, deep(width), one)
            fill_right(panels, starts[5] + s * deep(width), v, s, deep(width), power)
        for d in range(0, width, across):
            fill_right(panels, starts[6] + d * deep(keys_block), k.T, d, deep(keys_block), one)

    @subroutine
    def attend_backward(lse, panels, starts, floats, at, where, sizes, power, rest, causal):
        """A block of keys: its dk and dv, and what it adds to dq."""
        (queries, width), (key, n, keys) = sizes, where
        q_left, do_left, q_tall, do_tall = (
            _part(panels, starts, 0), _part(panels, starts, 1), _part(panels, starts, 2), _part(panels, starts, 3)
        )  # fmt: skip
        k_right, v_right, k_rows = _part(panels, starts, 4), _part(panels, starts, 5), _part(panels, starts, 6)
        ds_left, p_right, ds_right = _part(panels, starts, 7), _part(panels, starts, 8), _part(panels, starts, 9)
        dq, delta, dk, dv = _part(floats, at, 0), _part(floats, at, 1), _part(floats, at, 2), _part(floats, at, 3)
        p, ds = _part(floats, at, 4), _part(floats, at, 5)
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
                a = (q0 + t) * deep(width)
                for s in range(0, seen, across):
                    row = s // across * queries_block + t
                    multiply(q_left, a, k_right, s * deep(width), p, row * across, deep(width), across, 0)
                    multiply(do_left, a, v_right, s * deep(width), ds, row * across, deep(width), across, 0)
                    if causal and last_seen + 1 < s + across:
                        _hide_keys(p_rows[row : row + tile], last_seen + 1 - s)
                    rows = slice(q0 + t, q0 + t + tile)
                    _weights_and_gradient(
                        p_rows[row : row + tile], ds_rows[row : row + tile], lse[rows], delta[rows], power, rest
                    )
                    x = ds_rows[row : row + height, : n - s]
                    fill_left(ds_left, deep(s) * height, x, 0, deep(across), lse.dtype.type(1))
                for d in range(0, width, across):
                    c = (q0 + t) * broad + d
                    multiply(ds_left, 0, k_rows, d * deep(keys_block), dq, c, deep(seen), broad, 1)
            for s in range(0, n, across):
                hidden = max(0, key + s - (keys - queries) - q0) // height * height if causal else 0
                depth = count - hidden
                if depth > 0:
                    row = s // across * queries_block + hidden
                    own_p = as_panel(p_right, p[row * across :], depth)
                    own_ds = as_panel(ds_right, ds[row * across :], depth)
                    for d in range(0, width, height):
                        a, c = d * deep(queries) + deep(q0 + hidden) * height, s * tall + d * across
                        multiply(do_tall, a, own_p, 0, dv, c, deep(depth), across, 1)
                        multiply(q_tall, a, own_ds, 0, dk, c, deep(depth), across, 1)

    signature = f"T[5] T[4] T[4] {code}[2] T[2] <- i8[1] i8[1] T[4] T[4s] T[4s] T[4s] T[4] T[3] T T b1"

    @kernel(signature, name=f"attention_backward_{unit.name}")
    def backward(dq, dk, dv, panels, floats, starts, at, dout, q, k, v, out, lse, power, rest, causal):
        shares, batch, queries, heads, width = dq.shape
        keys, groups = k.shape[1], k.shape[2]
        group = heads // groups
        tall, broad = -(-width // height) * height, -(-width // across) * across
        for task in prange(batch * groups * shares):
            b, g, share = task // (groups * shares), task // shares % groups, task % shares
            own_panels, own_floats = panels[get_thread_id()], floats[get_thread_id()]
            dq_sums, delta, room = _part(own_floats, at, 0), _part(own_floats, at, 1), _part(own_floats, at, 6)
            dk_sums, dv_sums = _part(own_floats, at, 2), _part(own_floats, at, 3)
            begin()
            for h in range(g * group, (g + 1) * group):
                pack_queries(q[b, :, h], dout[b, :, h], own_panels, starts, power)
                row_products(delta, dout[b], out[b], h)
                dq_sums[:] = 0
                for turn in range(-(-keys // (shares * keys_block))):
                    key = dealt(turn, share, shares) * keys_block
                    if key >= keys:
                        break
                    n = min(keys_block, keys - key)
                    part = slice(key, key + n)
                    pack_keys(k[b, part, g], v[b, part, g], own_panels, starts, power)
                    where, sizes = (key, n, keys), (queries, width)
                    attend_backward(lse[b, h], own_panels, starts, own_floats, at, where, sizes, power, rest, causal)
                    for s in range(0, n, across):
                        part, count, add = slice(s * tall, (s + across) * tall), min(across, n - s), h > g * group
                        put_transposed(dk[b], key + s, count, g, dk_sums[part].reshape(tall, across), room, add)
                        put_transposed(dv[b], key + s, count, g, dv_sums[part].reshape(tall, across), room, add)
                for t in range(queries):
                    _put(dq[share, b, t, h], dq_sums[t * broad : t * broad + width], False)
            end()

    return forward, backward
