"""Normalisation: a row is held in registers for all passes over it, unless it is too long.

In the backward pass a team goes through a group of rows and keeps the group's sums for dweight and dbias, which a
second kernel adds. The groups depend on the shape alone, so that the bits are the same everywhere.

The `mean` of layer_norm is rounded: under a common offset of 1e4 by a thousandth of the deviations in float32. What
is left of it is found as the mean of x − mean, which is exact where it matters, and taken off in this order.
Source: Chan, Golub and LeVeque, Algorithms for computing the sample variance (1983), the corrected two-pass algorithm.
"""

import math
from functools import lru_cache

import numpy as np
from numba import cuda
from numba.cuda import int64
from numba.cuda.extending import overload

from .block import WARP, lane, warp
from .kernel import kernel
from .pointwise import contiguous
from .ptx import VECTOR, load, registers, store
from .runtime import empty
from .teams import (
    THREADS,
    begin,
    constant,
    grid,
    hold,
    is_aligned,
    joins,
    minus,
    number,
    plus,
    read,
    row_of,
    steps,
    sum_of,
    team_of,
    times,
    vector_of,
    within,
    write,
)

_ROWS = 8  # of a group, at least
_GROUPS = {WARP: 4096, THREADS: 1024}  # at most, for a team of so many threads


def layer_norm(x, weight=None, bias=None, eps=1e-5, save=False):
    out, _, mean, rstd = _forward(_layer_norm, x, None, weight, bias, eps)
    return (out, mean, rstd) if save else (out, None, None)


def layer_norm_backward(dout, x, weight, bias, mean, rstd):
    return _backward(_layer_norm_backward, dout, None, x, weight, bias, mean, rstd)


def add_layer_norm(x, residual, weight=None, bias=None, eps=1e-5, save=False):
    out, total, mean, rstd = _forward(_layer_norm, x, residual, weight, bias, eps)
    return (out, total, mean, rstd) if save else (out, total, None, None)


def add_layer_norm_backward(dout, dtotal, total, weight, bias, mean, rstd):
    dx, dweight, dbias = _backward(_layer_norm_backward, dout, dtotal, total, weight, bias, mean, rstd)
    return dx, dx, dweight, dbias


def rms_norm(x, weight=None, eps=1e-6, save=False):
    out, _, _, rstd = _forward(_rms_norm, x, None, weight, None, eps)
    return (out, rstd) if save else (out, None)


def rms_norm_backward(dout, x, weight, rstd):
    return _backward(_rms_norm_backward, dout, None, x, weight, None, None, rstd)[:2]


def add_rms_norm(x, residual, weight=None, eps=1e-6, save=False):
    out, total, _, rstd = _forward(_rms_norm, x, residual, weight, None, eps)
    return (out, total, rstd) if save else (out, total, None)


def add_rms_norm_backward(dout, dtotal, total, weight, rstd):
    dx, dweight, _ = _backward(_rms_norm_backward, dout, dtotal, total, weight, None, None, rstd)
    return dx, dx, dweight


def _forward(kernel_of, x, residual, weight, bias, eps):
    """The output, what was normalised, its mean and rstd."""
    columns = x.shape[-1]
    rows = math.prod(x.shape[:-1])
    x, residual, weight, bias = map(_contiguous, (x, residual, weight, bias))
    out = empty(x.shape, x.dtype)
    total = None if residual is None else empty(x.shape, x.dtype)
    mean, rstd = empty(x.shape[:-1], _sums(x.dtype)), empty(x.shape[:-1], _sums(x.dtype))
    if rows:
        team, vectors = team_of(columns)
        arrays = out, total, x, residual, weight, bias
        given = [a is not None for a in (residual, weight, bias)]
        run = kernel_of(team, vectors)
        sizes = rows, columns, is_aligned(columns, *arrays)
        run(grid(rows, team), out, mean, rstd, total, x, residual, weight, bias, eps, *sizes, *given)
    return out, x if total is None else total, mean, rstd


def _backward(kernel_of, dout, dtotal, x, weight, bias, mean, rstd):
    """Gradients of x, weight and bias; None for those that are absent."""
    columns, rows = x.shape[-1], math.prod(x.shape[:-1])
    dout, dtotal, x, weight, mean, rstd = map(_contiguous, (dout, dtotal, x, weight, mean, rstd))
    dx = empty(x.shape, x.dtype)
    team, vectors = team_of(columns, 4)
    each = max(_ROWS, -(-rows // _GROUPS[team]))
    groups = -(-rows // each)
    partial = empty((groups, 2, columns), _sums(x.dtype))
    if rows:
        sizes = rows, columns, each, is_aligned(columns, dx, dout, dtotal, x, weight)
        run = kernel_of(team, vectors)
        given = dtotal is not None, weight is not None
        run(grid(groups, team), dx, partial, dout, dtotal, x, weight, mean, rstd, *sizes, *given)
    if weight is None and bias is None:
        return dx, None, None
    sums = empty((2, columns), x.dtype)
    _add_partial_kernel(-(-sums.size // WARP), sums, partial, groups, sums.size)
    return dx, None if weight is None else sums[0], None if bias is None else sums[1]


def _contiguous(x):
    return None if x is None else contiguous(x)


def _sums(dtype):
    """The dtype in which sums are made, and statistics kept."""
    return np.dtype(np.float64 if dtype == np.float64 else np.float32)


def _forward_kernel(team, vectors, is_centred, name):
    total_of, _ = joins(team)
    size = VECTOR * vectors

    @kernel("T* A* A* T* <- T* T* T* T* A i8 i8 ? ? ? ?", threads=THREADS, name=f"{name}-{team}-{vectors}")
    def forward(
        out,
        mean,
        rstd,
        total,
        x,
        residual,
        weight,
        bias,
        eps,
        rows,
        columns,
        aligned,
        has_residual,
        has_weight,
        has_bias,
    ):
        row = row_of(team)
        if row >= rows:
            return
        at = row * columns
        held = registers(x, size)
        zero, one = number(x, 0), number(x, 1)
        count = type(zero)(columns)
        middle, rest, square = zero, zero, zero
        for k in range(steps(columns, team, vectors)):
            j = begin(team, k)
            v = read(x, at, j, columns, aligned, zero)
            if has_residual:
                v = plus(v, read(residual, at, j, columns, aligned, zero))
                write(total, at, j, columns, aligned, v)
            if vectors:
                hold(held, k, v)
            if is_centred:
                middle += sum_of(v)
            else:
                square += sum_of(times(v, v))
        again = total if has_residual else x
        if is_centred:
            middle = total_of(middle) / count
            for k in range(steps(columns, team, vectors)):
                j = begin(team, k)
                v = vector_of(held, k) if vectors else read(again, at, j, columns, aligned, zero)
                d = within(minus(v, constant(middle)), j, columns, zero)
                if vectors:
                    hold(held, k, d)
                rest += sum_of(d)
                square += sum_of(times(d, d))
            rest = total_of(rest) / count
        scale = one / math.sqrt(total_of(square) / count - rest * rest + eps)
        for k in range(steps(columns, team, vectors)):
            j = begin(team, k)
            d = vector_of(held, k) if vectors else minus(read(again, at, j, columns, aligned, zero), constant(middle))
            v = times(minus(d, constant(rest)), constant(scale))
            if has_weight:
                v = times(v, read(weight, 0, j, columns, aligned, zero))
            if has_bias:
                v = plus(v, read(bias, 0, j, columns, aligned, zero))
            write(out, at, j, columns, aligned, v)
        if begin(team, 0) == 0:
            store(mean, row, middle)
            store(rstd, row, scale)

    return forward


def _backward_kernel(team, vectors, is_centred, name):
    """dx, with dtotal added if there is one, and each group's sums of dout · x̂ and dout."""
    total_of, _ = joins(team)
    size = VECTOR * vectors

    @kernel("T* A* <- T* T* T* T* A* A* i8 i8 i8 ? ? ?", threads=THREADS, name=f"{name}-{team}-{vectors}")
    def backward(dx, partial, dout, dtotal, x, weight, mean, rstd, rows, columns, each, aligned, has_total, has_weight):
        group = row_of(team)
        first = group * each
        if first >= rows:
            return
        held, held_dout = registers(x, size), registers(x, size)
        dweight, dbias = registers(x, size), registers(x, size)
        of_weight = 2 * group * columns
        of_bias = of_weight + columns
        zero, one = number(x, 0), number(x, 1)
        count = type(zero)(columns)
        nothing = constant(zero)
        for k in range(vectors):
            hold(dweight, k, nothing)
            hold(dbias, k, nothing)
        for row in range(first, min(rows, first + each)):
            at = row * columns
            middle = load(mean, row) if is_centred else zero
            scale = load(rstd, row)
            rest, total, dot = zero, zero, zero
            for k in range(steps(columns, team, vectors)):
                j = begin(team, k)
                d = minus(read(x, at, j, columns, aligned, middle), constant(middle))
                e = read(dout, at, j, columns, aligned, zero)
                if vectors:
                    hold(held, k, d)
                    hold(held_dout, k, e)
                g = times(e, read(weight, 0, j, columns, aligned, one)) if has_weight else e
                if is_centred:
                    rest += sum_of(d)
                    total += sum_of(g)
                dot += sum_of(times(g, d))
            if is_centred:
                rest = total_of(rest) / count
                total = total_of(total)
            dot = (total_of(dot) - rest * total) * scale / count
            total /= count
            for k in range(steps(columns, team, vectors)):
                j = begin(team, k)
                if vectors:
                    d, e = vector_of(held, k), vector_of(held_dout, k)
                else:
                    d = minus(read(x, at, j, columns, aligned, middle), constant(middle))
                    e = read(dout, at, j, columns, aligned, zero)
                normal = times(minus(d, constant(rest)), constant(scale))
                g = times(e, read(weight, 0, j, columns, aligned, one)) if has_weight else e
                g = minus(minus(g, constant(total)), times(normal, constant(dot)))
                g = times(g, constant(scale))
                if has_total:
                    g = plus(g, read(dtotal, at, j, columns, aligned, zero))
                write(dx, at, j, columns, aligned, g)
                if vectors:
                    hold(dweight, k, plus(vector_of(dweight, k), times(e, normal)))
                    hold(dbias, k, plus(vector_of(dbias, k), e))
                else:
                    before, before_e = nothing, nothing
                    if row > first:
                        before = read(partial, of_weight, j, columns, aligned, zero)
                        before_e = read(partial, of_bias, j, columns, aligned, zero)
                    write(partial, of_weight, j, columns, aligned, plus(before, times(e, normal)))
                    write(partial, of_bias, j, columns, aligned, plus(before_e, e))
        for k in range(vectors):
            j = begin(team, k)
            write(partial, of_weight, j, columns, aligned, vector_of(dweight, k))
            write(partial, of_bias, j, columns, aligned, vector_of(dbias, k))

    return backward


@lru_cache(None)
def _layer_norm(team, vectors):
    return _forward_kernel(team, vectors, True, "layer_norm")


@lru_cache(None)
def _rms_norm(team, vectors):
    return _forward_kernel(team, vectors, False, "rms_norm")


@lru_cache(None)
def _layer_norm_backward(team, vectors):
    return _backward_kernel(team, vectors, True, "layer_norm_backward")


@lru_cache(None)
def _rms_norm_backward(team, vectors):
    return _backward_kernel(team, vectors, False, "rms_norm_backward")


def _over_warps(x):
    """The sum over the block's warps of the numbers that lanes of the same number have."""


@overload(_over_warps, target="cuda")
def _sum_over_warps(x):
    number = x

    def of_all(x):
        partial = cuda.shared.array((WARP, WARP), number)
        partial[warp(), lane()] = x
        cuda.syncthreads()
        total = partial[0, lane()]
        for k in range(1, WARP):
            total += partial[k, lane()]
        return total

    return of_all


@kernel("T* <- A* i8 i8", threads=WARP * WARP)
def _add_partial_kernel(sums, partial, groups, width):
    """A block has 32 columns; its warps take turns with the groups."""
    column = int64(cuda.blockIdx.x) * int64(WARP) + int64(lane())
    total = number(partial, 0)
    if column < width:
        for group in range(int64(warp()), groups, int64(WARP)):
            total += load(partial, group * width + column)
    total = _over_warps(total)
    if warp() == 0 and column < width:
        store(sums, column, total)
