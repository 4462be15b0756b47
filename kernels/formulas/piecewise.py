"""Functions made of straight pieces: formulas and their gradients."""

import math

import numpy as np

from ..device import zeros_like
from . import maths
from .comparison import where
from .pointwise import elementwise
from .reduce import sum_to


@elementwise
def abs(x):
    return math.fabs(x)


@elementwise
def abs_backward(dout, x):
    zero, one = type(x)(0), type(x)(1)
    return dout * (one if x > zero else -one if x < zero else zero)


@elementwise
def sign(x):
    zero, one = type(x)(0), type(x)(1)
    return one if x > zero else -one if x < zero else zero


@elementwise
def maximum(x, y):
    return x if (x >= y) | (x != x) else y


@elementwise
def minimum(x, y):
    return x if (x <= y) | (x != x) else y


@elementwise
def _share(dout, x, y):
    zero, half = type(dout)(0), type(dout)(0.5)
    return zero if x < y else half * dout if x == y else dout


def maximum_backward(dout, x, y):
    return sum_to(_share(dout, x, y), x.shape), sum_to(_share(dout, y, x), y.shape)


def minimum_backward(dout, x, y):
    return sum_to(_share(dout, y, x), x.shape), sum_to(_share(dout, x, y), y.shape)


def clip(x, min, max):
    return _clip(x, *_bounds(min, max))


@elementwise
def _clip(x, low, high):
    x = low if x < low else x
    return high if x > high else x


def clip_backward(dout, x, min, max):
    return where(_is_inside(x, *_bounds(min, max)), dout, 0.0)


@elementwise(returns=np.bool_)
def _is_inside(x, low, high):
    return (low <= x) & (x <= high)


def _bounds(low: float | None, high: float | None) -> tuple[float, float]:
    return -math.inf if low is None else low, math.inf if high is None else high


@elementwise
def floor(x):
    return maths.floor(x)


@elementwise
def ceil(x):
    return maths.ceil(x)


@elementwise
def round(x):
    return maths.rint(x)


@elementwise
def trunc(x):
    return maths.trunc(x)


def _no_gradient(dout):
    return zeros_like(dout)


sign_backward = floor_backward = ceil_backward = round_backward = trunc_backward = _no_gradient
