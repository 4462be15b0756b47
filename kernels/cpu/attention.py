"""Attention in tiles of the matrix product: scores stand transposed, keys down and queries across, so that the
softmax runs over rows of a tile (all lanes at work, no horizontal sums) and the result is at once the right-hand
panel of the next product.

Queries, keys and values are packed once; the heads of a group read the same panels of keys and values. Forward: a task
is one panel of queries of one head. Backward: a task is a head of the queries, which walks blocks of keys and, within,
panels of queries, so that all sums have a fixed order; gradients of keys and values are then summed over each group.
"""

import math
from functools import lru_cache

import numpy as np
from numba import prange

from ..device import contiguous, empty, zeros
from ..ops.attention import factor
from . import few_queries
from .kernel import kernel, subroutine
from .maths import exp
from .matmul import pack
from .reduce import sum as sum_over
from .tile import tile
from .unit import unit

KEYS = 4  # panels of keys in a block


def attention(q, k, v, causal=True, scale=None, save=False):
    (batch, queries, heads, _), keys = q.shape, k.shape[1]
    out = empty(q.shape, q.dtype)
    lse = empty((batch, heads, queries) if save else (0, 0, 0), q.dtype)
    if not keys:
        out[...] = np.nan
    elif queries <= few_queries.FEW:
        few_queries.attend(out, lse, q, k, v, factor(q, scale), causal)
    elif out.size:
        own = _tile(q)
        forward, _ = _kernels(own.unit)
        across = own.right.across
        group = heads // k.shape[2]
        q, k, v = (x.swapaxes(1, 2) for x in (q, k, v))
        panels = pack(q, own, "right", factor(q, scale)), pack(k, own, "left"), pack(v.swapaxes(2, 3), own, "left")
        forward(out, lse, *panels, keys, group, across, causal)
    return out, lse if save else None


def attention_backward(dout, q, k, v, out, lse, causal, scale):
    if not q.size or not k.size:
        return zeros(q.shape, q.dtype), zeros(k.shape, q.dtype), zeros(v.shape, q.dtype)
    batch, queries, heads, width = q.shape
    keys, group = k.shape[1], heads // k.shape[2]
    dq, dk, dv = (empty((batch, time, heads, width), q.dtype) for time in (queries, keys, keys))
    own = _tile(q)
    _, backward = _kernels(own.unit)
    rows, across = own.left.across, own.right.across
    scale = factor(q, scale)
    by_head = [x.swapaxes(1, 2) for x in (dout, q, k, v)]
    across_width = [x.swapaxes(2, 3) for x in by_head]
    panels = (
        pack(by_head[2], own, "left"),
        pack(by_head[3], own, "left"),
        pack(across_width[2], own, "left"),
        pack(by_head[1], own, "right", scale),
        pack(by_head[0], own, "right"),
        pack(across_width[1], own, "right", scale),
        pack(across_width[0], own, "right"),
    )
    sums = empty(batch * heads * _up(queries, across) * _up(width, rows), q.dtype)
    backward(dq, dk, dv, sums, *panels, dout, out, contiguous(lse), scale, group, across, causal)
    if group > 1:
        dk, dv = (sum_over(dx.reshape(*k.shape[:3], group, width), 3, False) for dx in (dk, dv))
    return dq, dk, dv


def _tile(x):
    return tile(unit(x.dtype, "highest"))


def _up(n, multiple):
    return -(-n // multiple) * multiple


@subroutine
def _hide_future(scores, first_key, last_seen):
    """-inf where a key comes after its query: query c of the panel sees keys up to last_seen + c."""
    for r in range(max(0, last_seen - first_key), scores.shape[0]):
        scores[r, : max(0, first_key + r - last_seen)] = -np.inf


@subroutine
def _softmax_block(scores, top, total, rescale):
    """Turn a block of scores into exp(score - running maximum) and bring the running sums up to date."""
    keys, across = scores.shape
    rescale[:] = top
    for r in range(keys):
        row = scores[r]
        for c in range(across):
            top[c] = row[c] if row[c] > top[c] else top[c]
    for c in range(across):
        rescale[c] = exp(rescale[c] - top[c])
        total[c] *= rescale[c]
    for r in range(keys):
        row = scores[r]
        for c in range(across):
            e = exp(row[c] - top[c])
            row[c] = e
            total[c] += e


@subroutine
def _rescale_rows(x, factors):
    for r in range(x.shape[0]):
        row = x[r]
        for c in range(row.size):
            row[c] *= factors[c]


@subroutine
def _weights_and_gradient(p, ds, lse, delta):
    """p: scores to probabilities; ds: gradient of the probabilities to that of the scores."""
    for r in range(p.shape[0]):
        p_row, ds_row = p[r], ds[r]
        for c in range(p_row.size):
            weight = exp(p_row[c] - lse[c])
            p_row[c] = weight
            ds_row[c] = weight * (ds_row[c] - delta[c])


@lru_cache(None)
def _kernels(unit):
    own = tile(unit)
    multiply, height, fill = own.multiply, own.left.across, own.left.fill
    block = KEYS * height

    @subroutine
    def products(a_panels, a_start, b_panel, b_start, c, count, depth, across):
        """`count` tiles below one another: panels of a with one panel of b."""
        for t in range(count):
            multiply(a_panels, a_start + t * height * depth, b_panel, b_start, c, t * height * across, depth, across, 0)

    @subroutine
    def attend(out, lse, panels, starts, i, sizes, across, causal):
        b, h, q0 = i
        queries, keys, width = sizes
        q_panels, k_panels, v_panels = panels
        q_start, k_start, v_start = starts
        count = min(across, queries - q0)
        wide = -(-width // height)
        scores = np.empty((block, across), out.dtype)
        sums = np.zeros((wide * height, across), out.dtype)
        flat_scores, flat_sums = scores.reshape(-1), sums.reshape(-1)
        top = np.full(across, -np.inf, out.dtype)
        total = np.zeros(across, out.dtype)
        rescale = np.empty(across, out.dtype)
        last_seen = keys - queries + q0
        end = min(keys, last_seen + count) if causal else keys
        for key in range(0, end, block):
            n = min(block, end - key)
            products(k_panels, k_start + key * width, q_panels, q_start, flat_scores, -(-n // height), width, across)
            if causal:
                _hide_future(scores[:n], key, last_seen)
            _softmax_block(scores[:n], top, total, rescale)
            _rescale_rows(sums, rescale)
            for d in range(wide):
                v = v_start + (d * keys + key) * height
                multiply(v_panels, v, flat_scores, 0, flat_sums, d * height * across, n, across, 1)
        for c in range(count):
            row = out[b, q0 + c, h]
            for d in range(width):
                row[d] = sums[d, c] / total[c]
            if lse.size:
                lse[b, h, q0 + c] = top[c] + math.log(total[c])

    @kernel("T[4] T[3] <- T[1] T[1] T[1] i8 i8 i8 b1", name=f"attention_{unit.name}")
    def forward(out, lse, q_panels, k_panels, v_panels, keys, group, across, causal):
        batch, queries, heads, width = out.shape
        high, tall, wide = -(-queries // across), -(-keys // height), -(-width // height)
        for task in prange(batch * heads * high):
            head, panel = task // high, task % high
            i = head // heads, head % heads, panel * across
            shared = head // group
            starts = task * across * width, shared * tall * height * width, shared * wide * height * keys
            panels = q_panels, k_panels, v_panels
            attend(out, lse, panels, starts, i, (queries, keys, width), across, causal)

    @subroutine
    def add_transposed(x, b_panels, b_start, c, keys, count, across, panel):
        """c (keys, wide across) += x (keys, across) @ b (across, width): x is repacked with its keys side by side."""
        depth, (b_depth, wide) = x.shape[1], count
        for t in range(-(-keys // height)):
            fill(panel, 0, x, t * height, depth, x.dtype.type(1))
            for d in range(wide):
                at = t * height * wide * across + d * across
                multiply(panel, 0, b_panels, b_start + d * b_depth * across, c, at, depth, wide * across, 1)

    @subroutine
    def attend_backward(dq, dk, dv, panels, starts, sums, i, sizes, lse, delta, scale, across, causal):
        b, h = i
        queries, keys, width = sizes
        k_rows, v_rows, k_columns, q_columns, do_columns, q_rows, do_rows = panels
        by_key, by_width, by_query, of_queries, sums_start = starts
        high, wide, broad = -(-queries // across), -(-width // height), -(-width // across)
        per_panel = wide * height * across
        p = np.empty((block, across), dq.dtype)
        ds = np.empty((block, across), dq.dtype)
        flat_p, flat_ds = p.reshape(-1), ds.reshape(-1)
        panel = np.empty(height * across, dq.dtype)
        dk_block = np.empty(block * broad * across, dq.dtype)
        dv_block = np.empty(block * broad * across, dq.dtype)
        sums[sums_start : sums_start + high * per_panel] = 0
        for key in range(0, keys, block):
            n = min(block, keys - key)
            tiles = -(-n // height)
            dk_block[:] = 0
            dv_block[:] = 0
            first = max(0, key - (keys - queries)) // across if causal else 0
            for j in range(first, high):
                q0 = j * across
                depth = min(across, queries - q0)
                at = by_query + q0 * width
                products(k_rows, by_key + key * width, q_columns, at, flat_p, tiles, width, across)
                products(v_rows, by_key + key * width, do_columns, at, flat_ds, tiles, width, across)
                if causal:
                    _hide_future(p[:n], key, keys - queries + q0)
                _weights_and_gradient(p[:n], ds[:n], lse[q0 : q0 + across], delta[q0 : q0 + across])
                for d in range(wide):
                    c = sums_start + j * per_panel + d * height * across
                    multiply(k_columns, by_width + (d * keys + key) * height, flat_ds, 0, sums, c, n, across, 1)
                at = of_queries + q0 * across
                add_transposed(p[:, :depth], do_rows, at, dv_block, n, (queries, broad), across, panel)
                add_transposed(ds[:, :depth], q_rows, at, dk_block, n, (queries, broad), across, panel)
            for r in range(n):
                for d in range(width):
                    dk[b, key + r, h, d] = dk_block[r * broad * across + d]
                    dv[b, key + r, h, d] = dv_block[r * broad * across + d]
        for t in range(queries):
            at = sums_start + t // across * per_panel + t % across
            for d in range(width):
                dq[b, t, h, d] = scale * sums[at + d * across]

    signature = "T[4] T[4] T[4] T[1] <- T[1] T[1] T[1] T[1] T[1] T[1] T[1] T[4s] T[4s] T[3] T i8 i8 b1"

    @kernel(signature, name=f"attention_backward_{unit.name}")
    def backward(dq, dk, dv, sums, k_rows, v_rows, k_columns, q_columns, do_columns, q_rows, do_rows, dout, out, lse,
                 scale, group, across, causal):  # fmt: skip
        batch, queries, heads, width = dq.shape
        keys = dk.shape[1]
        high, tall = -(-queries // across), -(-keys // height)
        wide, broad = -(-width // height), -(-width // across)
        for task in prange(batch * heads):
            b, h = task // heads, task % heads
            shared = task // group
            own_lse = np.full(high * across, np.inf, dq.dtype)
            delta = np.zeros(high * across, dq.dtype)
            for t in range(queries):
                own_lse[t] = lse[b, h, t]
                for d in range(width):
                    delta[t] += dout[b, t, h, d] * out[b, t, h, d]
            panels = k_rows, v_rows, k_columns, q_columns, do_columns, q_rows, do_rows
            starts = (
                shared * tall * height * width,
                shared * wide * height * keys,
                task * high * across * width,
                task * broad * across * queries,
                task * high * across * wide * height,
            )
            sizes = queries, keys, width
            attend_backward(dq, dk, dv, panels, starts, sums, (b, h), sizes, own_lse, delta, scale, across, causal)

    return forward, backward
