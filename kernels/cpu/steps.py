"""How recurrent kernels run: all steps in one launch. A task of a step has some rows of the batch and some units.

What a step makes is multiplied in the next one: the task that makes a part of it packs it, in one of two places that
take turns. Sums are in the dtype in every precision: rounding would go on from step to step.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import prange

from ..device import contiguous, empty
from .few_rows import dot
from .kernel import kernel, primitive, subroutine
from .matmul import SERIAL
from .simd import elements
from .tile import tile
from .unit import unit

_ROWS = 8  # of a tile: batches are mostly multiples of it
_TILES = 4  # one below the other, in a task: what they read of the weight stays in the cache
_OUTPUTS, _INPUTS = 4, 4  # at most, of a kernel


def unit_of(x):
    """What multiplies an array in steps."""
    return unit(x.dtype, "highest")


def run(step, outputs, inputs, weights, bias, weight, few, forward):
    """Run a step for every t, forward or backward; `weights` is the weight, packed, or flat where rows are few.

    `step(unit)` makes a subroutine of outputs and inputs, (B, T or 1, ·) arrays, of which the first output is what the
    next step multiplies, and the second input what the first one does.
    """
    (batch, steps), units = outputs[0].shape[:2], weight.shape[1]
    if batch * steps * units:
        none = empty((0, 0, 0), weight.dtype)
        outputs = *outputs, *[none] * (_OUTPUTS - len(outputs))
        inputs = *map(contiguous, inputs), *[none] * (_INPUTS - len(inputs))
        serial = batch * weight.size < SERIAL
        _kernel(step, unit_of(weight))(*outputs, *inputs, weights, bias, units, steps, forward, few, serial)


class Parts(NamedTuple):
    """What steps are made of, for a unit: rows and units of a task, and what multiplies and packs in it."""

    tall: int
    across: int
    add_products: Any
    pack: Any


@lru_cache(None)
def parts_of(unit):
    own = tile(unit, _ROWS)
    height, across, multiply, fill = own.left.across, own.right.across, own.multiply, own.left.fill
    tall = _TILES * height

    @subroutine
    def add_products(scratch, x, t, left, half, weights, task, units):
        """Add to slots of scratch (A, tall, across) the products of x[:, t], packed in a half of `left` or not at all,
        with those columns of each of A weights."""
        i, p = task
        count, depth = scratch.shape[0], x.shape[2]
        if left.size:
            wide, panel, rows = -(-units // across), across * depth, min(tall, x.shape[0] - i * tall)
            start, flat = half * (left.size // 2) + i * tall * depth, scratch.reshape(-1)
            for a in range(count):
                first = (a * wide + p) * panel
                for r in range(0, rows, height):
                    to = (a * tall + r) * across
                    multiply(left, start + r * depth, weights, first, flat, to, depth, across, 1)
            return
        for b in range(x.shape[0]):
            for a in range(count):
                to, own = scratch[a, b], x[b, t]
                for j in range(min(across, units - p * across)):
                    start = (a * units + p * across + j) * depth
                    to[j] += dot(own, weights[start : start + depth])

    @subroutine
    def pack(left, half, x, t, i, first, columns):
        """Pack columns of rows of x[:, t] for the products of the next step; not where the weight is read in place."""
        depth = x.shape[2]
        start = half * (left.size // 2) + first * height
        for r in range(i * tall, min((i + 1) * tall, x.shape[0]) if left.size else 0, height):
            fill(left, start + r * depth, x[:, t, first : first + columns], r, columns, x.dtype.type(1))

    return Parts(tall, across, add_products, pack)


@lru_cache(None)
def _kernel(make_step, unit):
    parts, step = parts_of(unit), make_step(unit)
    tall, across, pack = parts.tall, parts.across, parts.pack

    @kernel(f"{'T[3] ' * _OUTPUTS}<- {'T[3] ' * _INPUTS}T[1] T[1] i8 i8 b1 b1 b1", name=f"{step.__name__}_{unit.name}")
    def scan(o0, o1, o2, o3, i0, i1, i2, i3, weights, bias, units, steps, forward, few, serial):
        outputs, inputs = (o0, o1, o2, o3), (i0, i1, i2, i3)
        batch, depth = o0.shape[0], o0.shape[2]
        high, wide = -(-batch // tall), -(-units // across)
        left = np.empty(0 if few else 2 * high * tall * depth, o0.dtype)
        for i in range(high if forward else 0):
            pack(left, 0, i1, 0, i, 0, depth)
        for k in range(steps):
            t = k if forward else steps - 1 - k
            if serial:
                for task in range(high * wide):
                    step(outputs, inputs, weights, bias, left, units, t, (task % high, task // high))
            else:
                for task in prange(high * wide):
                    step(outputs, inputs, weights, bias, left, units, t, (task % high, task // high))

    return scan


@subroutine
def place(task, x, tall, across, units):
    """Where a task begins, as (row, unit), and how many rows and units it has."""
    i, j = task[0] * tall, task[1] * across
    return (i, j), min(tall, x.shape[0] - i), min(across, units - j)


@primitive
def _start(x, t, at, first, r):
    """Where row r of a task begins in x[:, t], in columns from `first` on."""
    return ((at[0] + r) * x.shape[1] + t) * x.shape[2] + first + at[1]


@subroutine
def take(slot, x, t, at, first, rows, columns):
    """Write to a slot of scratch the numbers of x[:, t] at a place, of columns from `first` on."""
    to, of, across = elements(slot), elements(x), slot.shape[1]
    for r in range(rows):
        start = _start(x, t, at, first, r)
        for j in range(columns):
            to[r * across + j] = of[start + j]


@subroutine
def put(x, t, at, first, slot, rows, columns):
    """The reverse."""
    to, of, across = elements(x), elements(slot), slot.shape[1]
    for r in range(rows):
        start = _start(x, t, at, first, r)
        for j in range(columns):
            to[start + j] = of[r * across + j]


@subroutine
def add(slot, x, t, at, first, rows, columns):
    to, of, across = elements(slot), elements(x), slot.shape[1]
    for r in range(rows):
        start = _start(x, t, at, first, r)
        for j in range(columns):
            to[r * across + j] += of[start + j]


@subroutine
def add_bias(slot, x, t, bias, at, first, rows, columns):
    take(slot, x, t, at, first, rows, columns)
    to, of, across = elements(slot), elements(bias), slot.shape[1]
    for r in range(rows):
        for j in range(columns):
            to[r * across + j] += of[first + at[1] + j]
