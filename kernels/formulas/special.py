"""Special functions, of each element."""

import math

from . import gaussian, maths
from .pointwise import elementwise


@elementwise
def expm1(x):
    return maths.expm1(x)


@elementwise
def expm1_backward(dout, out):
    return dout * (out + type(out)(1))


@elementwise
def log1p(x):
    return maths.log1p(x)


@elementwise
def log1p_backward(dout, x):
    return dout / (type(x)(1) + x)


@elementwise
def erf(x):
    return gaussian.erf(x)


@elementwise
def erf_backward(dout, x):
    return dout * type(x)(2 / math.sqrt(math.pi)) * maths.exp(-x * x)
