"""Softmax: the maximum and the sum of a row are found in one pass, the results are written in a second one.

In the first a thread's sum is of exponentials relative to the largest score that it has seen, and is scaled when a
larger one comes.
Source: Milakov and Gimelshein, Online normalizer calculation for softmax (2018).
"""

import math
from functools import lru_cache

import numpy as np

from .block import larger
from .kernel import kernel, primitive
from .maths import exp
from .pointwise import contiguous
from .ptx import VECTOR, registers
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
    read,
    row_of,
    steps,
    sum_of,
    team_of,
    times,
    top_of,
    vector_of,
    write,
)


def softmax(x, dim=-1):
    return _run(_softmax, 8, dim, x)


def softmax_backward(dout, out, dim):
    return _run(_softmax_backward, 4, dim, dout, out)


def log_softmax(x, dim=-1):
    return _run(_log_softmax, 8, dim, x)


def log_softmax_backward(dout, out, dim):
    return _run(_log_softmax_backward, 4, dim, dout, out)


def _run(kernel_of, most, dim, *arrays):
    """A kernel of rows on arrays whose rows lie along an axis; the result is a view where that is not the last."""
    moved = [x if dim in (-1, x.ndim - 1) else np.moveaxis(x, dim, -1) for x in arrays]
    out = empty(moved[0].shape, moved[0].dtype)
    if out.size:
        columns = out.shape[-1]
        rows = out.size // columns
        given = [contiguous(x) for x in moved]
        team, vectors = team_of(columns, most)
        run = kernel_of(team, vectors)
        run(grid(rows, team), out, *given, rows, columns, is_aligned(columns, out, *given))
    return out if moved[0] is arrays[0] else np.moveaxis(out, -1, dim)


@primitive
def exponentials(v):
    """exp of four numbers."""
    return exp(v[0]), exp(v[1]), exp(v[2]), exp(v[3])


@primitive
def base_of(top):
    """What is subtracted of scores: the largest one, or 0 where all are -inf: their exponentials are 0 then too."""
    return type(top)(0) if top == type(top)(-math.inf) else top


def _forward(team, vectors, finish, name):
    """`finish(v, top, total)` makes results of four scores."""
    total_of, largest_of = joins(team)
    size = VECTOR * vectors

    @kernel("T* <- T* i8 i8 ?", threads=THREADS, name=f"{name}-{team}-{vectors}")
    def forward(out, x, rows, columns, aligned):
        row = row_of(team)
        if row >= rows:
            return
        at = row * columns
        held = registers(x, size)
        lowest = number(x, -math.inf)
        top, total = lowest, number(x, 0)
        for k in range(steps(columns, team, vectors)):
            v = read(x, at, begin(team, k), columns, aligned, lowest)
            if vectors:
                hold(held, k, v)
            new = larger(top, top_of(v))
            base = base_of(new)
            total = total * exp(top - base) + sum_of(exponentials(minus(v, constant(base))))
            top = new
        highest = largest_of(top)
        total = total_of(total * exp(top - highest))
        for k in range(steps(columns, team, vectors)):
            j = begin(team, k)
            v = vector_of(held, k) if vectors else read(x, at, j, columns, aligned, lowest)
            write(out, at, j, columns, aligned, finish(v, highest, total))

    return forward


@primitive
def _shares(v, top, total):
    return times(exponentials(minus(v, constant(top))), constant(type(total)(1) / total))


@primitive
def _logarithms(v, top, total):
    """In this order: top may be large, and the logarithm would be lost in it."""
    return minus(minus(v, constant(top)), constant(math.log(total)))


def _backward(team, vectors, term, finish, name):
    """The row's sum is of `term(dout, out)`, with which `finish(dout, out, total)` makes the gradient of a score."""
    total_of, _ = joins(team)
    size = VECTOR * vectors

    @kernel("T* <- T* T* i8 i8 ?", threads=THREADS, name=f"{name}-{team}-{vectors}")
    def backward(dx, dout, out, rows, columns, aligned):
        row = row_of(team)
        if row >= rows:
            return
        at = row * columns
        held, held_out = registers(out, size), registers(out, size)
        zero = number(out, 0)
        total = zero
        for k in range(steps(columns, team, vectors)):
            j = begin(team, k)
            d, v = read(dout, at, j, columns, aligned, zero), read(out, at, j, columns, aligned, zero)
            if vectors:
                hold(held, k, d)
                hold(held_out, k, v)
            total += sum_of((term(d[0], v[0]), term(d[1], v[1]), term(d[2], v[2]), term(d[3], v[3])))
        total = total_of(total)
        for k in range(steps(columns, team, vectors)):
            j = begin(team, k)
            d = vector_of(held, k) if vectors else read(dout, at, j, columns, aligned, zero)
            v = vector_of(held_out, k) if vectors else read(out, at, j, columns, aligned, zero)
            found = finish(d[0], v[0], total), finish(d[1], v[1], total), finish(d[2], v[2], total)
            write(dx, at, j, columns, aligned, (*found, finish(d[3], v[3], total)))

    return backward


@primitive
def _product(d, v):
    return d * v


@primitive
def _first(d, v):
    return d


@primitive
def _of_share(d, v, total):
    return v * (d - total)


@primitive
def _of_logarithm(d, v, total):
    return d - exp(v) * total


@lru_cache(None)
def _softmax(team, vectors):
    return _forward(team, vectors, _shares, "softmax")


@lru_cache(None)
def _softmax_backward(team, vectors):
    return _backward(team, vectors, _product, _of_share, "softmax_backward")


@lru_cache(None)
def _log_softmax(team, vectors):
    return _forward(team, vectors, _logarithms, "log_softmax")


@lru_cache(None)
def _log_softmax_backward(team, vectors):
    return _backward(team, vectors, _first, _of_logarithm, "log_softmax_backward")
