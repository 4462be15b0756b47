"""erf and the tail of the normal distribution, by libdevice."""

import math

from .kernel import primitive


@primitive
def erf(x):
    """The error function."""
    return math.erf(x)


@primitive
def tail(x):
    """exp(-x**2) and erfc(x) / 2, for x >= 0."""
    return math.exp(-x * x), math.erfc(x) * type(x)(0.5)
