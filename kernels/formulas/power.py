"""Powers: formulas and their gradients."""

import math

from . import maths
from .elementwise import mul
from .pointwise import elementwise
from .reduce import sum_to


@elementwise
def pow(x, y):
    return x**y


WIDENED = ("pow_backward",)  # as mul_backward


def pow_backward(dout, x, y, out):
    return sum_to(_base_gradient(dout, x, y), x.shape), sum_to(mul(dout, _exponent_slope(x, y, out)), y.shape)


@elementwise
def _base_gradient(dout, x, y):
    f = type(x)
    return f(0) if y == f(0) else dout * y * x ** (y - f(1))


@elementwise
def _exponent_slope(x, y, out):
    zero = type(x)(0)
    return zero if (x == zero) & (y >= zero) else out * maths.log(x)


@elementwise
def square(x):
    return x * x


@elementwise
def square_backward(dout, x):
    return (dout + dout) * x


@elementwise
def reciprocal(x):
    return type(x)(1) / x


@elementwise
def reciprocal_backward(dout, out):
    return -dout * out * out


@elementwise
def rsqrt(x):
    return type(x)(1) / math.sqrt(x)


@elementwise
def rsqrt_backward(dout, out):
    return type(out)(-0.5) * dout * (out * out * out)
