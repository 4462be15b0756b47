"""Recurrent layers, all steps in one launch: a task of a step has some rows of the batch and some units of the layer.

It starts from the projected inputs, adds the product of the state before and the weight, and applies the cell to what
is in scratch. The weight is packed into panels once for all steps; the task that makes a part of the state packs it
for the next step. Backward the state is the gradient of the gates, and time runs the other way. The products of a batch
of few rows read the weight in place instead. Sums are in the dtype in every precision: rounding would go on from step
to step.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import prange

from ..device import contiguous, empty, zeros
from . import cell as cells_of
from .copies import copy
from .few_rows import dot
from .kernel import kernel, subroutine
from .matmul import SERIAL, pack, product
from .reduce import sum_to
from .tile import tile
from .unit import unit

_FEW = 2  # rows up to which reading the weight in place is faster than tiles
_ROWS = 8  # of a tile: batches are mostly multiples of it
_TILES = 4  # one below the other, in a task: what they read of the weight stays in the cache
_OUTPUTS, _INPUTS = 4, 4  # at most, of a kernel


def gru(x, weight, bias=None, state=None, save=False):
    out, gates = _like(x, weight, 1), _like(x, weight, 4 if save else 0)
    _forward(_gru, (out, gates), x, state, weight, bias)
    return out, gates if save else None


def gru_backward(dout, weight, bias, state, out, gates):
    h, ds, dx, dh = _before(out, state), _like(out, weight, 3), _like(out, weight, 3), _values(out)
    _backward(_gru_backward, (ds, dx, dh), (dout, gates, h), weight)
    return dx, *_sums(ds, h, weight, bias), _first(dh[:, 0], ds, weight, state)


def lstm(x, weight, bias=None, state=None, cell=None, save=False):
    out, gates, cells = (_like(x, weight, n) for n in (1, 4 if save else 0, 1 if save else 0))
    last = _values(out, cell)
    _forward(_lstm, (out, gates, cells, last), x, state, weight, bias)
    return (out, last[:, 0], gates, cells) if save else (out, last[:, 0], None, None)


def lstm_backward(dout, dlast, weight, bias, state, cell, out, gates, cells):
    da, dc = _like(out, weight, 4), _values(out, dlast)
    _backward(_lstm_backward, (da, dc), (dout, gates, cells, _values(out, cell)), weight)
    sums = _sums(da, _before(out, state), weight, bias)
    return da, *sums, _first(_values(out)[:, 0], da, weight, state), None if cell is None else dc[:, 0]


def _forward(step, outputs, x, state, weight, bias):
    few, units = len(x) <= _FEW, weight.shape[1]
    bias = zeros((len(weight),), x.dtype) if bias is None else contiguous(bias)
    if few:
        weights = contiguous(weight).reshape(-1)
    else:
        weights = pack(contiguous(weight).reshape(1, -1, units, units), tile(_unit(x)), "right")
    _run(step, outputs, (x, _values(outputs[0], state)), weights, bias, weight, few, True)


def _backward(step, outputs, inputs, weight):
    few, bias = len(inputs[0]) <= _FEW, weight.reshape(-1)[:0]
    weights = contiguous(weight.T).reshape(-1) if few else pack(weight.T[None, None], tile(_unit(weight)), "right")
    _run(step, outputs, inputs, weights, bias, weight, few, False)


def _run(step, outputs, inputs, weights, bias, weight, few, forward):
    (batch, steps), units = outputs[0].shape[:2], weight.shape[1]
    if batch * steps * units:
        none = empty((0, 0, 0), weight.dtype)
        outputs = *outputs, *[none] * (_OUTPUTS - len(outputs))
        inputs = *map(contiguous, inputs), *[none] * (_INPUTS - len(inputs))
        serial = batch * weight.size < SERIAL
        _kernel(step, _unit(weight))(*outputs, *inputs, weights, bias, units, steps, forward, few, serial)


def _like(x, weight, count):
    """(B, T, count · H)."""
    return empty((*x.shape[:2], count * weight.shape[1]), x.dtype)


def _values(like, values=None):
    """(B, 1, H) of an array (B, T, H): zeros, or a copy of values (B, H)."""
    out = empty((len(like), 1, like.shape[2]), like.dtype)
    out[...] = 0 if values is None else values[:, None]
    return out


def _before(xs, first):
    """xs (B, T, H) a step later: the first one, or zeros, then all but the last."""
    before = empty(xs.shape, xs.dtype)
    before[:, :1] = 0 if first is None else first[:, None]
    copy(xs[:, :-1], out=before[:, 1:])
    return before


def _unit(x):
    return unit(x.dtype, "highest")


def _sums(ds, h, weight, bias):
    """dweight and dbias."""
    dweight = empty(weight.shape, weight.dtype)
    rows = (1, ds.shape[0] * ds.shape[1])
    product(dweight[None], ds.reshape(*rows, len(weight)).swapaxes(1, 2), h.reshape(*rows, weight.shape[1]))
    return dweight, None if bias is None else sum_to(ds, (len(weight),))


def _first(dh, ds, weight, state):
    """The gradient of the first state: its product is added to what else there is of it."""
    if state is not None and ds.size:
        product(dh[None], ds[None, :, 0], weight[None], accumulate=True)
    return None if state is None else dh


class _Parts(NamedTuple):
    """What steps are made of, for a unit: rows and units of a task, and what multiplies and packs in it."""

    tall: int
    across: int
    add_products: Any
    pack: Any


@lru_cache(None)
def _parts(unit):
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

    return _Parts(tall, across, add_products, pack)


@lru_cache(None)
def _kernel(make_step, unit):
    parts, step = _parts(unit), make_step(unit)
    tall, across, pack = parts.tall, parts.across, parts.pack

    @kernel(f"{'T[3] ' * _OUTPUTS}<- {'T[3] ' * _INPUTS}T[1] T[1] i8 i8 b1 b1 b1", name=f"{step.__name__}_{unit.name}")
    def scan(o0, o1, o2, o3, i0, i1, i2, i3, weights, bias, units, steps, forward, few, serial):
        """All steps; the first output is what the next step multiplies, before all steps the second input."""
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


def _gru(unit):
    tall, across, add_products, pack = _parts(unit)

    @subroutine
    def gru(outputs, inputs, weights, bias, left, units, t, task):
        out, gates, _, _ = outputs
        x, state, _, _ = inputs
        before, then = (out, t - 1) if t else (state, 0)
        at, rows, columns = _place(task, out, tall, across, units)
        s = np.empty((5, tall, across), out.dtype)
        for k in range(2):
            _add_bias(s[k], x, t, bias, at, k * units, rows, columns)
        for r in range(rows):
            s[2, r, :columns] = bias[2 * units + at[1] : 2 * units + at[1] + columns]
        _take(s[3], x, t, at, 2 * units, rows, columns)
        _take(s[4], before, then, at, 0, rows, columns)
        add_products(s[:3], before, then, left, t & 1, weights, task, units)
        _gru_cell(s.reshape(5, tall * across), rows * across)
        _put(out, t, at, 0, s[4], rows, columns)
        for k in range(4 if gates.size else 0):
            _put(gates, t, at, k * units, s[k], rows, columns)
        pack(left, t + 1 & 1, out, t, task[0], at[1], columns)

    return gru


@subroutine
def _gru_cell(s, count):
    for e in range(count):
        s[0, e], s[1, e], s[3, e], s[4, e] = cells_of.gru(s[0, e], s[1, e], s[2, e], s[3, e], s[4, e])


def _gru_backward(unit):
    tall, across, add_products, pack = _parts(unit)

    @subroutine
    def gru_backward(outputs, inputs, weights, bias, left, units, t, task):
        ds, dx, dh, _ = outputs
        dout, gates, h, _ = inputs
        at, rows, columns = _place(task, dx, tall, across, units)
        s = np.empty((6, tall, across), dx.dtype)
        _take(s[0], dout, t, at, 0, rows, columns)
        _add(s[0], dh, 0, at, 0, rows, columns)
        for k in range(4):
            _take(s[1 + k], gates, t, at, k * units, rows, columns)
        _take(s[5], h, t, at, 0, rows, columns)
        if t + 1 < dx.shape[1]:
            add_products(s[:1], ds, t + 1, left, t & 1, weights, task, units)
        _gru_gradients(s.reshape(6, tall * across), rows * across)
        _put(dh, 0, at, 0, s[0], rows, columns)
        for k in range(3):
            _put(dx, t, at, k * units, s[1 + k], rows, columns)
            _put(ds, t, at, k * units, s[4 if k == 2 else 1 + k], rows, columns)
            pack(left, t + 1 & 1, ds, t, task[0], k * units + at[1], columns)

    return gru_backward


@subroutine
def _gru_gradients(s, count):
    for e in range(count):
        made = cells_of.gru_backward(s[0, e], s[1, e], s[2, e], s[3, e], s[4, e], s[5, e])
        s[1, e], s[2, e], s[3, e], s[4, e], s[0, e] = made


def _lstm(unit):
    tall, across, add_products, pack = _parts(unit)

    @subroutine
    def lstm(outputs, inputs, weights, bias, left, units, t, task):
        out, gates, cells, c = outputs
        x, state, _, _ = inputs
        before, then = (out, t - 1) if t else (state, 0)
        at, rows, columns = _place(task, out, tall, across, units)
        s = np.empty((6, tall, across), out.dtype)
        for k in range(4):
            _add_bias(s[k], x, t, bias, at, k * units, rows, columns)
        _take(s[4], c, 0, at, 0, rows, columns)
        add_products(s[:4], before, then, left, t & 1, weights, task, units)
        _lstm_cell(s.reshape(6, tall * across), rows * across)
        _put(out, t, at, 0, s[5], rows, columns)
        _put(c, 0, at, 0, s[4], rows, columns)
        if gates.size:
            for k in range(4):
                _put(gates, t, at, k * units, s[k], rows, columns)
            _put(cells, t, at, 0, s[4], rows, columns)
        pack(left, t + 1 & 1, out, t, task[0], at[1], columns)

    return lstm


@subroutine
def _lstm_cell(s, count):
    for e in range(count):
        made = cells_of.lstm(s[0, e], s[1, e], s[2, e], s[3, e], s[4, e])
        s[0, e], s[1, e], s[2, e], s[3, e], s[4, e], s[5, e] = made


def _lstm_backward(unit):
    tall, across, add_products, pack = _parts(unit)

    @subroutine
    def lstm_backward(outputs, inputs, weights, bias, left, units, t, task):
        da, dc, _, _ = outputs
        dout, gates, cells, cell = inputs
        before, then = (cells, t - 1) if t else (cell, 0)
        at, rows, columns = _place(task, da, tall, across, units)
        s = np.empty((8, tall, across), da.dtype)
        _take(s[0], dout, t, at, 0, rows, columns)
        for k in range(4):
            _take(s[1 + k], gates, t, at, k * units, rows, columns)
        _take(s[5], cells, t, at, 0, rows, columns)
        _take(s[6], before, then, at, 0, rows, columns)
        _take(s[7], dc, 0, at, 0, rows, columns)
        if t + 1 < da.shape[1]:
            add_products(s[:1], da, t + 1, left, t & 1, weights, task, units)
        _lstm_gradients(s.reshape(8, tall * across), rows * across)
        _put(dc, 0, at, 0, s[7], rows, columns)
        for k in range(4):
            _put(da, t, at, k * units, s[1 + k], rows, columns)
            pack(left, t + 1 & 1, da, t, task[0], k * units + at[1], columns)

    return lstm_backward


@subroutine
def _lstm_gradients(s, count):
    for e in range(count):
        made = cells_of.lstm_backward(s[0, e], s[7, e], s[1, e], s[2, e], s[3, e], s[4, e], s[5, e], s[6, e])
        s[1, e], s[2, e], s[3, e], s[4, e], s[7, e] = made


@subroutine
def _place(task, x, tall, across, units):
    """Where a task begins, as (row, unit), and how many rows and units it has."""
    i, j = task[0] * tall, task[1] * across
    return (i, j), min(tall, x.shape[0] - i), min(across, units - j)


@subroutine
def _take(slot, x, t, at, first, rows, columns):
    """Write to a slot of scratch the numbers of x[:, t] at a place, of columns from `first` on."""
    for r in range(rows):
        to, row = slot[r], x[at[0] + r, t, first + at[1] : first + at[1] + columns]
        for j in range(columns):
            to[j] = row[j]


@subroutine
def _add(slot, x, t, at, first, rows, columns):
    for r in range(rows):
        to, row = slot[r], x[at[0] + r, t, first + at[1] : first + at[1] + columns]
        for j in range(columns):
            to[j] += row[j]


@subroutine
def _put(x, t, at, first, slot, rows, columns):
    for r in range(rows):
        row, to = slot[r], x[at[0] + r, t, first + at[1] : first + at[1] + columns]
        for j in range(columns):
            to[j] = row[j]


@subroutine
def _add_bias(slot, x, t, bias, at, first, rows, columns):
    own = bias[first + at[1] : first + at[1] + columns]
    for r in range(rows):
        to, row = slot[r], x[at[0] + r, t, first + at[1] : first + at[1] + columns]
        for j in range(columns):
            to[j] = row[j] + own[j]
