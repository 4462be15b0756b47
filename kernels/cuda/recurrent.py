"""Recurrent layers: in each step a product, then a thread for each unit of each row of the batch.

The states, and backward the gradients of the gates, lie by time, so that those of a step are one matrix, and those of
all steps too. As on the CPU, the products of steps are in the dtype in every precision.
"""

from numba import cuda
from numba.cuda import int64

from . import cell as cells_of
from .blas import gemm
from .copies import assign, fill
from .kernel import kernel, primitive
from .matmul import product
from .pointwise import contiguous
from .ptx import load, store
from .reduce import sum_to
from .runtime import empty

_THREADS = 128


def gru(x, weight, bias=None, state=None, save=False):
    h, out, gates = _states(x, weight, state), _like(x, weight, 1), _like(x, weight, 4 if save else 0)
    made = out, gates if save else None
    _forward(_gru_kernel, made, h, (), x, weight, bias)
    return made


def gru_backward(dout, weight, bias, state, out, gates):
    h, ds, dx = _states(out, weight, state, out), _by_time(out, weight, 3), _like(out, weight, 3)
    dh = _values(out.shape[::2], out.dtype)
    dout, gates = contiguous(dout), contiguous(gates)
    for t in reversed(range(out.shape[1] if out.size else 0)):
        _gru_backward_kernel(_grid(dh), dx, ds[t], dh, dout, gates, h[t], *_sizes(out, weight), t)
        gemm(dh, ds[t], weight, accumulate=True)
    return dx, *_sums(ds, h, weight, bias), None if state is None else dh


def lstm(x, weight, bias=None, state=None, cell=None, save=False):
    h, last = _states(x, weight, state), _values((len(x), weight.shape[1]), x.dtype, cell)
    out, gates, cells = (_like(x, weight, n) for n in (1, 4 if save else 0, 1 if save else 0))
    saved = (gates, cells) if save else (None, None)
    _forward(_lstm_kernel, (out, *saved), h, (last,), x, weight, bias)
    return out, last, *saved


def lstm_backward(dout, dlast, weight, bias, state, cell, out, gates, cells):
    h, c, ds = _states(out, weight, state, out), _states(out, weight, cell, cells), _by_time(out, weight, 4)
    da, dh, dc = _like(out, weight, 4), _values(dlast.shape, out.dtype), _values(dlast.shape, out.dtype, dlast)
    dout, gates = contiguous(dout), contiguous(gates)
    for t in reversed(range(out.shape[1] if out.size else 0)):
        inputs = dout, gates, c[t], c[t + 1]
        _lstm_backward_kernel(_grid(dh), da, ds[t], dh, dc, *inputs, *_sizes(out, weight), t)
        gemm(dh, ds[t], weight)
    return da, *_sums(ds, h, weight, bias), None if state is None else dh, None if cell is None else dc


def _forward(run, made, h, carried, x, weight, bias):
    x, weight = contiguous(x), contiguous(weight)
    s, bias = empty((len(x), len(weight)), x.dtype), _values(weight.shape[:1], x.dtype, bias)
    for t in range(x.shape[1] if h.size else 0):
        gemm(s, h[t], weight.T)
        run(_grid(h[t]), *made, h[t + 1], *carried, h[t], x, s, bias, made[1] is not None, *_sizes(x, weight), t)


def _like(x, weight, count):
    """(B, T, count · H)."""
    return empty((*x.shape[:2], count * weight.shape[1]), x.dtype)


def _by_time(x, weight, count):
    """(T, B, count · H)."""
    return empty((x.shape[1], x.shape[0], count * weight.shape[1]), x.dtype)


def _states(x, weight, first, rest=None):
    """(T + 1, B, H) for the states before and after all steps: the first, and (B, T, H) of the others if known."""
    states = empty((x.shape[1] + 1, x.shape[0], weight.shape[1]), x.dtype)
    if first is None:
        fill(states[0], 0)
    else:
        assign(states[0], first)
    if rest is not None:
        assign(states[1:], rest.transpose(1, 0, 2))
    return states


def _values(shape, dtype, values=None):
    """An array of zeros, or a copy of what is given."""
    out = empty(shape, dtype)
    if values is None:
        fill(out, 0)
    else:
        assign(out, values)
    return out


def _grid(h):
    return -(-h.size // _THREADS)


def _sizes(x, weight):
    return x.shape[0], x.shape[1], weight.shape[1]


def _sums(ds, h, weight, bias):
    """dweight and dbias."""
    dweight = empty(weight.shape, weight.dtype)
    rows = ds.shape[0] * ds.shape[1]
    product(dweight, ds.reshape(rows, len(weight)).T, h[:-1].reshape(rows, weight.shape[1]))
    return dweight, None if bias is None else sum_to(ds, (len(weight),))


@primitive
def _unit(steps, units, t):
    """Of this thread: its number, the unit, the row of the batch, and the row of (B, T, ·) arrays."""
    i = int64(cuda.blockIdx.x) * int64(_THREADS) + int64(cuda.threadIdx.x)
    b = i // units
    return i, i - b * units, b, b * steps + t


@primitive
def _sum(x, at, s, own, bias, j):
    return load(x, at) + (load(s, own) + load(bias, j))


@primitive
def _gates(x, at, units):
    """A unit's four gates."""
    return load(x, at), load(x, at + units), load(x, at + int64(2) * units), load(x, at + int64(3) * units)


@primitive
def _put(x, at, units, values):
    """Write what belongs to the gates of a unit."""
    for k in range(len(values)):
        store(x, at + int64(k) * units, values[k])


@kernel("T* T* T* <- T* T* T* T* ? i8 i8 i8 i8", threads=_THREADS)
def _gru_kernel(out, gates, after, before, x, s, bias, saves, batch, steps, units, t):
    i, j, b, row = _unit(steps, units, t)
    if b < batch:
        own = b * int64(3) * units + j
        at = row * int64(3) * units + j
        a_r = _sum(x, at, s, own, bias, j)
        a_z = _sum(x, at + units, s, own + units, bias, j + units)
        q = load(s, own + int64(2) * units) + load(bias, j + int64(2) * units)
        r, z, n, h = cells_of.gru(a_r, a_z, q, load(x, at + int64(2) * units), load(before, i))
        store(after, i, h)
        store(out, row * units + j, h)
        if saves:
            _put(gates, row * int64(4) * units + j, units, (r, z, q, n))


@kernel("T* T* T* <- T* T* T* i8 i8 i8 i8", threads=_THREADS)
def _gru_backward_kernel(dx, ds, dh, dout, gates, h, batch, steps, units, t):
    i, j, b, row = _unit(steps, units, t)
    if b < batch:
        r, z, q, n = _gates(gates, row * int64(4) * units + j, units)
        total = load(dh, i) + load(dout, row * units + j)
        dx_r, dx_z, dx_n, ds_n, rest = cells_of.gru_backward(total, r, z, q, n, load(h, i))
        _put(dx, row * int64(3) * units + j, units, (dx_r, dx_z, dx_n))
        _put(ds, b * int64(3) * units + j, units, (dx_r, dx_z, ds_n))
        store(dh, i, rest)


@kernel("T* T* T* T* T* <- T* T* T* T* ? i8 i8 i8 i8", threads=_THREADS)
def _lstm_kernel(out, gates, cells, after, last, before, x, s, bias, saves, batch, steps, units, t):
    i, j, b, row = _unit(steps, units, t)
    if b < batch:
        own, at = b * int64(4) * units + j, row * int64(4) * units + j
        a_i = _sum(x, at, s, own, bias, j)
        a_f = _sum(x, at + units, s, own + units, bias, j + units)
        a_g = _sum(x, at + int64(2) * units, s, own + int64(2) * units, bias, j + int64(2) * units)
        a_o = _sum(x, at + int64(3) * units, s, own + int64(3) * units, bias, j + int64(3) * units)
        gate_i, f, g, o, c, h = cells_of.lstm(a_i, a_f, a_g, a_o, load(last, i))
        store(after, i, h)
        store(out, row * units + j, h)
        store(last, i, c)
        if saves:
            _put(gates, at, units, (gate_i, f, g, o))
            store(cells, row * units + j, c)


@kernel("T* T* T* T* <- T* T* T* T* i8 i8 i8 i8", threads=_THREADS)
def _lstm_backward_kernel(da, ds, dh, dc, dout, gates, c_before, c, batch, steps, units, t):
    i, j, b, row = _unit(steps, units, t)
    if b < batch:
        at = row * int64(4) * units + j
        gate_i, f, g, o = _gates(gates, at, units)
        total = load(dh, i) + load(dout, row * units + j)
        made = cells_of.lstm_backward(total, load(dc, i), gate_i, f, g, o, load(c, i), load(c_before, i))
        _put(da, at, units, made[:4])
        _put(ds, b * int64(4) * units + j, units, made[:4])
        store(dc, i, made[4])
