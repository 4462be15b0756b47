"""Variance and log-sum-exp, on the machinery of fold.py: every element is read once.

The float64 that ops of float32 save is written by kernels of its own, and read as two float32: what it is rounded to,
and the rest.
"""

import math

import numpy as np
from numba import cuda
from numba.cuda import float32, float64

from ..layout import axes_of, kept
from . import maths
from .fold import Fold, as_rows
from .kernel import primitive
from .pointwise import cast, elementwise
from .reduce import add, value


def var(x, dim, correction, keepdim, save):
    return _variance(_VAR, x, dim, correction, keepdim, save)


def std(x, dim, correction, keepdim, save):
    return _variance(_STD, x, dim, correction, keepdim, save)


def _variance(fold, x, dim, correction, keepdim, save):
    axes = axes_of(x.ndim, dim)
    shape = kept(x.shape, axes, keepdim)
    rows = as_rows(x, axes)[0]
    n = rows.shape[1]
    freedom = max(0.0, n - correction)
    out, shift, rest = fold(rows, n, 1 / freedom if freedom else math.inf)
    mean = None
    if save:
        mean = (_mean(rows[:, 0, :], shift, rest) if n else cast(shift, np.float64)).reshape(shape)
    return out.reshape(shape), mean


def var_backward(dout, x, mean, dim, correction, keepdim):
    axes = axes_of(x.ndim, dim)
    shape = kept(x.shape, axes, True)
    share = _var_share(dout, _freedom(x.shape, axes, correction))
    return _variance_slope(x, *_split(mean.reshape(shape), x.dtype), share.reshape(shape))


def std_backward(dout, x, out, mean, dim, correction, keepdim):
    axes = axes_of(x.ndim, dim)
    shape = kept(x.shape, axes, True)
    share = _std_share(dout, out, _freedom(x.shape, axes, correction))
    return _variance_slope(x, *_split(mean.reshape(shape), x.dtype), share.reshape(shape))


def _freedom(shape, axes, correction):
    return max(0.0, math.prod(shape[a] for a in axes) - correction)


def logsumexp(x, dim, keepdim, save):
    axes = axes_of(x.ndim, dim)
    shape = kept(x.shape, axes, keepdim)
    lse, top, rest = _LOGSUMEXP(as_rows(x, axes)[0])
    return lse.reshape(shape), _double_sum(top, rest).reshape(shape) if save else None


def logsumexp_backward(dout, x, lse, dim, keepdim):
    shape = kept(x.shape, axes_of(x.ndim, dim), True)
    return _logsumexp_slope(x, *_split(lse.reshape(shape), x.dtype), dout.reshape(shape))


def _split(x, dtype):
    """float64 as two numbers of the type in which x's dtype is computed."""
    return (x, 0.0) if dtype == np.float64 else (_rounded(x), _lost(x))


@elementwise(returns=np.float32)
def _rounded(x):
    return float32(x)


@elementwise(returns=np.float32)
def _lost(x):
    rest = x - float64(float32(x))
    return float32(0.0 if rest != rest else rest)  # of infinities


@elementwise(returns=np.float64)
def _double_sum(x, y):
    return float64(x) + float64(y)


@elementwise(returns=np.float64)
def _mean(first, shift, rest):
    mean = float64(_pivot(first)) + float64(shift)
    return mean + float64(rest) if abs(mean) < math.inf else mean


@elementwise
def _var_share(dout, freedom):
    return (dout + dout) / freedom


@elementwise
def _std_share(dout, out, freedom):
    return type(out)(0) if out == type(out)(0) else dout / (out * freedom)


@elementwise
def _variance_slope(x, mean, rest, share):
    return ((x - mean) - rest) * share


@elementwise
def _logsumexp_slope(x, lse, rest, dout):
    return maths.exp((x - lse) - rest) * dout


@primitive
def _pivot(first):
    """What is subtracted of a column before it is squared: its first element, if that is finite."""
    return first if abs(first) < type(first)(math.inf) else type(first)(0)


def _no_moments(like):
    return like, like, like, like


def _moments_of(x, row, first):
    """x less the pivot and the square of that, each with what was lost by rounding it."""
    pivot = _pivot(first)
    d = x - pivot
    part = d - x
    lost = (x - (d - part)) - (pivot + part)
    square = d * d
    return d, lost, square, cuda.fma(d, d, -square) + (d + d) * lost


def _moments_joined(a, b):
    first, second = add((a[0], a[1]), (b[0], b[1])), add((a[2], a[3]), (b[2], b[3]))
    return first[0], first[1], second[0], second[1]


@primitive
def _variance_of(state, n, share):
    """The variance, and the mean less the pivot in two parts: m and the rest r.

    Σ (d − m − r)² = Σ d² − m (n m + 2 n r), less n r², which is nothing.
    """
    f = type(n)
    total, square = value((state[0], state[1])), state[2]
    m = total / n
    near = n * m
    lost = cuda.fma(n, m, -near)
    rest = ((state[0] - near) - lost) + state[1]
    product = m * near
    squares = (square - product) + (state[3] - cuda.fma(m, near, -product)) - m * (lost + f(2) * rest)
    squares = square if (square == f(math.inf)) & (abs(m) < f(math.inf)) else squares
    return (f(0) if squares < f(0) else squares) * share, m, rest / n


def _var(state, n, share):
    return _variance_of(state, n, share)


def _std(state, n, share):
    variance, m, rest = _variance_of(state, n, share)
    return math.sqrt(variance), m, rest


def _nothing(like):
    return type(like)(-math.inf), like


def _exponential(x, row, pivot):
    return x, type(x)(1)


def _exponentials(a, b):
    """(largest, Σ exp(x − largest)) of both."""
    is_first = (a[0] >= b[0]) | (a[0] != a[0])
    top = a[0] if is_first else b[0]
    scale = maths.exp(type(top)(0) if a[0] == b[0] else -abs(a[0] - b[0]))
    return top, (a[1] + b[1] * scale if is_first else a[1] * scale + b[1])


def _logarithm(state, p, q):
    rest = maths.log(state[1])
    return state[0] + rest, state[0], rest


_VAR = Fold(__name__, "_var", _no_moments, _moments_of, _moments_joined, _var, "A* A* A* A*", "A* A* A*")
_STD = Fold(__name__, "_std", _no_moments, _moments_of, _moments_joined, _std, "A* A* A* A*", "A* A* A*")
_LOGSUMEXP = Fold(__name__, "_logsumexp", _nothing, _exponential, _exponentials, _logarithm, "A* A*", "A* A* A*")
