"""Recurrent layers: a step of a task adds the product of the state before and the weight to the projected inputs, in
scratch, and applies the cell there. Backward the state is the gradient of the gates, and time runs the other way.

The weight is packed into panels once for all steps, or read in place by a batch of few rows.
"""

import numpy as np

from ..device import contiguous, empty, zeros
from . import cell as cells_of
from .copies import copy
from .kernel import subroutine
from .matmul import pack, product
from .reduce import sum_to
from .steps import add, add_bias, parts_of, place, put, run, take, unit_of
from .tile import tile

_FEW = 2  # rows up to which reading the weight in place is faster than tiles


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
        weights = pack(contiguous(weight).reshape(1, -1, units, units), tile(unit_of(x)), "right")
    run(step, outputs, (x, _values(outputs[0], state)), weights, bias, weight, few, True)


def _backward(step, outputs, inputs, weight):
    few, bias = len(inputs[0]) <= _FEW, weight.reshape(-1)[:0]
    weights = contiguous(weight.T).reshape(-1) if few else pack(weight.T[None, None], tile(unit_of(weight)), "right")
    run(step, outputs, inputs, weights, bias, weight, few, False)


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


def _gru(unit):
    tall, across, add_products, pack = parts_of(unit)

    @subroutine
    def gru(outputs, inputs, weights, bias, left, units, t, task):
        out, gates, _, _ = outputs
        x, state, _, _ = inputs
        before, then = (out, t - 1) if t else (state, 0)
        at, rows, columns = place(task, out, tall, across, units)
        s = np.empty((5, tall, across), out.dtype)
        for k in range(2):
            add_bias(s[k], x, t, bias, at, k * units, rows, columns)
        for r in range(rows):
            s[2, r, :columns] = bias[2 * units + at[1] : 2 * units + at[1] + columns]
        take(s[3], x, t, at, 2 * units, rows, columns)
        take(s[4], before, then, at, 0, rows, columns)
        add_products(s[:3], before, then, left, t & 1, weights, task, units)
        _gru_cell(s.reshape(5, tall * across), rows * across)
        put(out, t, at, 0, s[4], rows, columns)
        for k in range(4 if gates.size else 0):
            put(gates, t, at, k * units, s[k], rows, columns)
        pack(left, t + 1 & 1, out, t, task[0], at[1], columns)

    return gru


@subroutine
def _gru_cell(s, count):
    for e in range(count):
        s[0, e], s[1, e], s[3, e], s[4, e] = cells_of.gru(s[0, e], s[1, e], s[2, e], s[3, e], s[4, e])


def _gru_backward(unit):
    tall, across, add_products, pack = parts_of(unit)

    @subroutine
    def gru_backward(outputs, inputs, weights, bias, left, units, t, task):
        ds, dx, dh, _ = outputs
        dout, gates, h, _ = inputs
        at, rows, columns = place(task, dx, tall, across, units)
        s = np.empty((6, tall, across), dx.dtype)
        take(s[0], dout, t, at, 0, rows, columns)
        add(s[0], dh, 0, at, 0, rows, columns)
        for k in range(4):
            take(s[1 + k], gates, t, at, k * units, rows, columns)
        take(s[5], h, t, at, 0, rows, columns)
        if t + 1 < dx.shape[1]:
            add_products(s[:1], ds, t + 1, left, t & 1, weights, task, units)
        _gru_gradients(s.reshape(6, tall * across), rows * across)
        put(dh, 0, at, 0, s[0], rows, columns)
        for k in range(3):
            put(dx, t, at, k * units, s[1 + k], rows, columns)
            put(ds, t, at, k * units, s[4 if k == 2 else 1 + k], rows, columns)
            pack(left, t + 1 & 1, ds, t, task[0], k * units + at[1], columns)

    return gru_backward


@subroutine
def _gru_gradients(s, count):
    for e in range(count):
        made = cells_of.gru_backward(s[0, e], s[1, e], s[2, e], s[3, e], s[4, e], s[5, e])
        s[1, e], s[2, e], s[3, e], s[4, e], s[0, e] = made


def _lstm(unit):
    tall, across, add_products, pack = parts_of(unit)

    @subroutine
    def lstm(outputs, inputs, weights, bias, left, units, t, task):
        out, gates, cells, c = outputs
        x, state, _, _ = inputs
        before, then = (out, t - 1) if t else (state, 0)
        at, rows, columns = place(task, out, tall, across, units)
        s = np.empty((6, tall, across), out.dtype)
        for k in range(4):
            add_bias(s[k], x, t, bias, at, k * units, rows, columns)
        take(s[4], c, 0, at, 0, rows, columns)
        add_products(s[:4], before, then, left, t & 1, weights, task, units)
        _lstm_cell(s.reshape(6, tall * across), rows * across)
        put(out, t, at, 0, s[5], rows, columns)
        put(c, 0, at, 0, s[4], rows, columns)
        if gates.size:
            for k in range(4):
                put(gates, t, at, k * units, s[k], rows, columns)
            put(cells, t, at, 0, s[4], rows, columns)
        pack(left, t + 1 & 1, out, t, task[0], at[1], columns)

    return lstm


@subroutine
def _lstm_cell(s, count):
    for e in range(count):
        made = cells_of.lstm(s[0, e], s[1, e], s[2, e], s[3, e], s[4, e])
        s[0, e], s[1, e], s[2, e], s[3, e], s[4, e], s[5, e] = made


def _lstm_backward(unit):
    tall, across, add_products, pack = parts_of(unit)

    @subroutine
    def lstm_backward(outputs, inputs, weights, bias, left, units, t, task):
        da, dc, _, _ = outputs
        dout, gates, cells, cell = inputs
        before, then = (cells, t - 1) if t else (cell, 0)
        at, rows, columns = place(task, da, tall, across, units)
        s = np.empty((8, tall, across), da.dtype)
        take(s[0], dout, t, at, 0, rows, columns)
        for k in range(4):
            take(s[1 + k], gates, t, at, k * units, rows, columns)
        take(s[5], cells, t, at, 0, rows, columns)
        take(s[6], before, then, at, 0, rows, columns)
        take(s[7], dc, 0, at, 0, rows, columns)
        if t + 1 < da.shape[1]:
            add_products(s[:1], da, t + 1, left, t & 1, weights, task, units)
        _lstm_gradients(s.reshape(8, tall * across), rows * across)
        put(dc, 0, at, 0, s[7], rows, columns)
        for k in range(4):
            put(da, t, at, k * units, s[1 + k], rows, columns)
            pack(left, t + 1 & 1, da, t, task[0], k * units + at[1], columns)

    return lstm_backward


@subroutine
def _lstm_gradients(s, count):
    for e in range(count):
        made = cells_of.lstm_backward(s[0, e], s[7, e], s[1, e], s[2, e], s[3, e], s[4, e], s[5, e], s[6, e])
        s[1, e], s[2, e], s[3, e], s[4, e], s[7, e] = made
