"""Primitives of the CUDA kernels, of float32 and float64: libdevice's functions, which err by at most 2 ulp."""

import math
from collections.abc import Callable
from typing import Any

from numba.cuda import libdevice, types
from numba.cuda.extending import overload

from .kernel import primitive


def by_format(stub: Callable[[Any], Any], single: Any, double: Any) -> None:
    """Let `stub`, called in a kernel, be `single` of a float32 and `double` of a float64."""

    @overload(stub, target="cuda", strict=False)
    def choose(x):
        if x == types.float32:
            return lambda x: single(x)
        return lambda x: double(x)


@primitive
def exp(x):
    """e**x."""
    return math.exp(x)


@primitive
def expm1(x):
    """e**x - 1."""
    return math.expm1(x)


@primitive
def tanh(x):
    """The hyperbolic tangent."""
    return math.tanh(x)


@primitive
def log(x):
    """The natural logarithm."""
    return math.log(x)


@primitive
def log1p(x):
    """log(1 + x)."""
    return math.log1p(x)


@primitive
def decay(x):
    """exp(-x) of an x >= 0."""
    return math.exp(-x)


@primitive
def sigmoid(x):
    """1 / (1 + exp(-x))."""
    one = type(x)(1)
    return one / (one + math.exp(-x))


def floor(x):
    """The next whole number below."""
    return math.floor(x)


def ceil(x):
    """The next whole number above."""
    return math.ceil(x)


def rint(x):
    """The nearest whole number, halves to even."""
    return round(x)


def trunc(x):
    """The next whole number towards 0."""
    return math.trunc(x)


by_format(floor, libdevice.floorf, libdevice.floor)
by_format(ceil, libdevice.ceilf, libdevice.ceil)
by_format(rint, libdevice.rintf, libdevice.rint)
by_format(trunc, libdevice.truncf, libdevice.trunc)
