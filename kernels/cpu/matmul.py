"""The matrix product: both operands are packed into panels, then register tiles walk pairs of panels.

Packing reads any strides, so that a transposed operand costs no copy of its own, and pads the last panel with zeros,
so that the tile needs no edges: a tile that hangs over the output's edge is made in scratch and cut. Depth is cut
into blocks whose panels stay in the first-level cache. A task is a block of tiles; bias and activation are applied
to a tile while it is still in cache. A small matrix is packed and multiplied by one thread, as float32 whatever the
precision. A linear layer of few rows reads its weight in place instead, once.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import prange

from ..device import contiguous, empty, precision, zeros
from . import few_rows
from .epilogue import ACTIVATIONS, NONE, activation_backward, finish
from .kernel import kernel, subroutine
from .reduce import sum_to
from .tile import tile
from .unit import unit

# Panels of the left and of the right operand in a task, and the elements of depth that it walks at once, by unit:
# the best of what bench/blocks.py tries.
BLOCKS = {"vector": np.array([4, 4, 512]), "bf16": np.array([4, 4, 768]), "amx": np.array([4, 4, 128])}

SMALL = 96**3  # products of a matrix up to which one thread packs and multiplies it
SERIAL = 1 << 18  # products of a stack below which waking a thread costs more than it saves


def matmul(a, b):
    stack = a.shape[:-2] if a.shape[:-2] == b.shape[:-2] else np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    shape = (*stack, a.shape[-2], b.shape[-1])
    out = empty(shape, a.dtype)
    if out.size:
        product(out.reshape(-1, *shape[-2:]), _stack(a, shape), _stack(b, shape))
    return out


def matmul_backward(dout, a, b):
    da = matmul(dout, b.swapaxes(-1, -2))
    db = matmul(a.swapaxes(-1, -2), dout)
    return sum_to(da, a.shape), sum_to(db, b.shape)


def linear(x, weight, bias=None, activation="none", save=False):
    out = empty((*x.shape[:-1], weight.shape[0]), x.dtype)
    pre = empty(out.shape, x.dtype) if save and activation != "none" else None
    if math.prod(x.shape[:-1]) <= few_rows.FEW:
        few_rows.linear(out, pre, x, weight, None, bias, activation)
    else:
        product(_rows(out), _rows(x), weight.T[None], bias, activation, None if pre is None else _rows(pre))
    return out, pre


def linear_backward(dout, x, weight, bias, pre, activation):
    dz = dout
    if activation != "none":
        dz = empty(dout.shape, dout.dtype)
        flat = (contiguous(dout).reshape(-1), contiguous(pre).reshape(-1))
        activation_backward(dz.reshape(-1), *flat, ACTIVATIONS[activation])
    dx, dweight = empty(x.shape, x.dtype), empty(weight.shape, weight.dtype)
    product(_rows(dx), _rows(dz), weight[None])
    product(dweight[None], _rows(dz).swapaxes(1, 2), _rows(x))
    return dx, dweight, None if bias is None else sum_to(dz, bias.shape)


class Packed(NamedTuple):
    """Panels of one operand of a product, in the precision that was set: of so many `rows` (of its other side than the
    depth), `depth` numbers deep."""

    panels: np.ndarray
    rows: int
    depth: int


def pack_left(a):
    """a (S, M, K), of any strides, for products."""
    return _packed(a, "left")


def pack_right(b):
    """b (S, K, N), of any strides, for products."""
    return _packed(b.swapaxes(1, 2), "right")


def _packed(x, side):
    mode = precision()
    own = tile(unit(x.dtype, mode))
    return Packed(pack(x[None], own, side, parts=2 if own.unit.pairs and mode == "high" else 1), *x.shape[1:])


def product(out, a, b, bias=None, activation="none", pre=None, accumulate=False, first=0):
    """out (S, M, N) = f(a (S, M, K) @ b (S, K, N) + bias (N)), or added to it.

    b may have fewer columns: they are those of out from number `first`. a and b are `Packed`, or arrays of any strides.
    `pre` (S, M, N), if given, receives what f is applied to.
    """
    if not isinstance(a, Packed) and not a.shape[2]:
        a, b = zeros((*a.shape[:2], 1), out.dtype), zeros((b.shape[0], 1, b.shape[2]), out.dtype)
    none = out.reshape(-1)[:0]
    pre, bias = none if pre is None else pre.reshape(-1), none if bias is None else contiguous(bias)
    if not isinstance(a, Packed) and not isinstance(b, Packed) and math.prod(out.shape[1:]) * a.shape[2] <= SMALL:
        exact = unit(out.dtype, "highest")
        _small_kernel(exact)(out, pre, a, b, bias, BLOCKS["vector"][2], ACTIVATIONS[activation], accumulate)
        return
    a = a if isinstance(a, Packed) else pack_left(a)
    b = b if isinstance(b, Packed) else pack_right(b)
    own = tile(unit(out.dtype, precision()))
    _product_kernel(own.unit)(
        out,
        pre,
        a.panels,
        b.panels,
        bias,
        BLOCKS[own.unit.kind],
        own.depth(a.depth),
        first,
        b.rows,
        3 if own.unit.pairs and precision() == "high" else 1,
        ACTIVATIONS[activation],
        accumulate,
    )


def pack(x, own, side, scale=1.0, parts=1):
    """Panels of a tile's "left" or "right" operand from matrices x (A, B, R, K): [part, (a, b, panel), element].

    x may have any strides; it counts `scale` times. Part 1 is what rounding leaves of part 0.
    """
    panel = getattr(own, side)
    depth = own.depth(x.shape[3])
    size = x.shape[0] * x.shape[1] * -(-x.shape[2] // panel.across) * panel.across * depth
    panels = empty(parts * size, own.unit.dtype)
    for part in range(parts):
        _pack_kernel(own.unit, side, part)(panels[part * size : (part + 1) * size], x, depth, scale)
    return panels


def _rows(x):
    """x (..., C) as one matrix of rows, in a stack of one."""
    return contiguous(x).reshape(1, math.prod(x.shape[:-1]), x.shape[-1])


def _stack(x, shape):
    """x as a stack of matrices, broadcast to the leading axes of `shape`."""
    matrix = x.shape[-2:]
    x = x if x.shape[:-2] == shape[:-2] else np.broadcast_to(x, (*shape[:-2], *matrix))
    return x.reshape(math.prod(shape[:-2]), *matrix)


@lru_cache(None)
def _pack_kernel(unit, side, part):
    panel = getattr(tile(unit), side)
    across, fill = panel.across, panel.fill_rest if part else panel.fill

    factor = "f4" if unit.pairs else "T"

    @kernel(f"{unit.code}[1] <- T[4s] i8 {factor}", name=f"pack_{unit.name}_{side}_{part}")
    def pack(panels, x, depth, scale):
        outer, inner, rows, _ = x.shape
        count = -(-rows // across)
        for task in prange(outer * inner * count):
            matrix, p = task // count, task % count
            fill(panels, task * across * depth, x[matrix // inner, matrix % inner], p * across, depth, scale)

    return pack


@subroutine
def _put_row(out, row, add):
    """Write, or add, the part of a tile's row that lies within the output."""
    if add:
        for c in range(out.size):
            out[c] += row[c]
    else:
        for c in range(out.size):
            out[c] = row[c]


@lru_cache(None)
def _block(unit):
    own = tile(unit)
    height, across, multiply, begin, end = own.left.across, own.right.across, own.multiply, own.begin, own.end

    @subroutine
    def block(out, pre, a_panels, b_panels, bias, scratch, shape, where, terms, activation, accumulate):
        """One task: panels [i0, i1) with [j0, j1) of matrix s, at most `longest` elements of depth at a time."""
        rows, columns, full_depth, first_column, row_size = shape
        high, wide = -(-rows // height), -(-columns // across)
        s, i0, i1, j0, j1, longest = where
        finishes = bias.size > 0 or activation != NONE
        begin()
        for term in range(terms):  # of two parts each, the products of all but the second ones
            a_part = a_panels.size // 2 if term == 2 else 0
            b_part = b_panels.size // 2 if term == 1 else 0
            for k0 in range(0, full_depth, longest):
                depth = min(longest, full_depth - k0)
                add = 1 if accumulate or term > 0 or k0 > 0 else 0
                for i in range(i0, min(high, i1)):
                    for j in range(j0, min(wide, j1)):
                        a_start = a_part + ((s * high + i) * full_depth + k0) * height
                        b_start = b_part + ((s * wide + j) * full_depth + k0) * across
                        start = (s * rows + i * height) * row_size + first_column + j * across
                        tall, broad = min(height, rows - i * height), min(across, columns - j * across)
                        whole = tall == height and broad == across
                        if whole:
                            multiply(a_panels, a_start, b_panels, b_start, out, start, depth, row_size, add)
                        else:
                            multiply(a_panels, a_start, b_panels, b_start, scratch, 0, depth, across, 0)
                        last = term == terms - 1 and k0 + depth == full_depth
                        own_bias = bias[j * across : j * across + broad]
                        for r in range(0 if whole and not (last and finishes) else tall):
                            first = start + r * row_size
                            row = out[first : first + broad]
                            if not whole:
                                _put_row(row, scratch[r * across : r * across + broad], add)
                            if last and finishes:
                                finish(row, pre[first : first + broad], own_bias, activation)
        end()

    return block


@lru_cache(None)
def _product_kernel(unit):
    own, block, code = tile(unit), _block(unit), unit.code
    height, across = own.left.across, own.right.across

    @kernel(f"T[3] T[1] <- {code}[1] {code}[1] T[1] i8[1] i8 i8 i8 i8 i8 i8", name=f"product_{unit.name}")
    def product(out, pre, a_panels, b_panels, bias, blocks, depth, first, columns, terms, activation, accumulate):
        stack, rows, row_size = out.shape
        flat = out.reshape(-1)
        tall, broad, longest = blocks[0], blocks[1], blocks[2]
        tasks_high, tasks_wide = -(-rows // (height * tall)), -(-columns // (across * broad))
        for task in prange(stack * tasks_high * tasks_wide):
            s, rest = task // (tasks_high * tasks_wide), task % (tasks_high * tasks_wide)
            i, j = rest // tasks_wide * tall, rest % tasks_wide * broad
            where = s, i, i + tall, j, j + broad, longest
            scratch = np.empty(height * across, out.dtype)
            shape = rows, columns, depth, first, row_size
            block(flat, pre, a_panels, b_panels, bias, scratch, shape, where, terms, activation, accumulate)

    return product


@lru_cache(None)
def _small_kernel(unit):
    own, block = tile(unit), _block(unit)
    height, across, fill_left, fill_right = own.left.across, own.right.across, own.left.fill, own.right.fill

    @subroutine
    def whole(out, pre, a, b, bias, s, longest, activation, accumulate):
        """Matrix s, packed and multiplied by one thread."""
        rows, columns = out.shape[1:]
        high, wide, depth = -(-rows // height), -(-columns // across), a.shape[2]
        left, right = np.empty(high * height * depth, out.dtype), np.empty(wide * across * depth, out.dtype)
        scratch, one = np.empty(height * across, out.dtype), out.dtype.type(1)
        for i in range(high):
            fill_left(left, i * height * depth, a[s], i * height, depth, one)
        for j in range(wide):
            fill_right(right, j * across * depth, b[s].T, j * across, depth, one)
        size = rows * columns
        shape, where = (rows, columns, depth, 0, columns), (0, 0, high, 0, wide, longest)
        own_pre = pre[s * size : (s + 1) * size]
        block(out[s].reshape(-1), own_pre, left, right, bias, scratch, shape, where, 1, activation, accumulate)

    @kernel("T[3] T[1] <- T[3s] T[3s] T[1] i8 i8 i8", name=f"small_product_{unit.name}")
    def product(out, pre, a, b, bias, longest, activation, accumulate):
        if out.size * a.shape[2] < SERIAL:
            for s in range(len(out)):
                whole(out, pre, a, b, bias, s, longest, activation, accumulate)
        else:
            for s in prange(len(out)):
                whole(out, pre, a, b, bias, s, longest, activation, accumulate)

    return product
