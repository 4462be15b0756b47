"""Trigonometric and hyperbolic functions; sin, cos and tan are each backend's own."""

import math

from . import sincos
from .pointwise import elementwise


@elementwise
def sin(x):
    return sincos.sin(x)


@elementwise
def sin_backward(dout, x):
    return dout * sincos.cos(x)


@elementwise
def cos(x):
    return sincos.cos(x)


@elementwise
def cos_backward(dout, x):
    return -dout * sincos.sin(x)


@elementwise
def tan(x):
    return sincos.tan(x)


@elementwise
def tan_backward(dout, out):
    return dout * (type(out)(1) + out * out)


@elementwise
def asin(x):
    return math.asin(x)


@elementwise
def asin_backward(dout, x):
    return dout / math.sqrt((type(x)(1) - x) * (type(x)(1) + x))


@elementwise
def acos(x):
    return math.acos(x)


@elementwise
def acos_backward(dout, x):
    return -dout / math.sqrt((type(x)(1) - x) * (type(x)(1) + x))


@elementwise
def atan(x):
    return math.atan(x)


@elementwise
def atan_backward(dout, x):
    return dout / (type(x)(1) + x * x)


@elementwise
def sinh(x):
    return math.sinh(x)


@elementwise
def sinh_backward(dout, x):
    return dout * math.cosh(x)


@elementwise
def cosh(x):
    return math.cosh(x)


@elementwise
def cosh_backward(dout, x):
    return dout * math.sinh(x)


@elementwise
def asinh(x):
    return math.asinh(x)


@elementwise
def asinh_backward(dout, x):
    return dout / math.hypot(type(x)(1), x)


@elementwise
def acosh(x):
    return math.acosh(x)


@elementwise
def acosh_backward(dout, x):
    return dout / (math.sqrt(x - type(x)(1)) * math.sqrt(x + type(x)(1)))


@elementwise
def atanh(x):
    return math.atanh(x)


@elementwise
def atanh_backward(dout, x):
    return dout / ((type(x)(1) - x) * (type(x)(1) + x))
