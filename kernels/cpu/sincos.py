"""sin and cos of float32, branch-free as in maths.py and for every size of argument; float64 has the C library's.

The number of quarter turns in x is x 2/pi, of which multiples of 4 do not matter: for each exponent of a float32 a
table has 2/pi less what would give such multiples, as the sum of a double of 29 bits, whose product with x is exact,
and one of 53. What is left of x after whole quarter turns is then right to 2**-57, and no float32 leaves less than some
2**-30.
Source: Payne and Hanek, Radian reduction for trigonometric functions (1983).
"""

import math
from fractions import Fraction

import numpy as np

from .kernel import primitive
from .maths import by_format
from .simd import bits, from_bits, horner

_TWO_OVER_PI = Fraction(0xA2F9836E4E441529FC2757D1F534DDC0DB6295993C439041FE5163ABDEBBC561, 1 << 256)
_SIN = tuple(np.float32((-1) ** k / math.factorial(2 * k + 1)) for k in range(4, 0, -1))
_COS = tuple(np.float32((-1) ** k / math.factorial(2 * k)) for k in range(5, 0, -1))
_MAGIC = 1.5 * 2.0**52  # adding it rounds to an integer, which the low bits then hold


def _quarter_turns():
    """The two parts of the table; NaN for the exponent of inf and NaN."""
    high, low = np.full((2, 256), np.nan)
    for exponent in range(255):
        ulp = Fraction(2) ** (max(exponent, 1) - 150)
        turns = _TWO_OVER_PI * ulp % 4
        rounded = np.float64(float(turns)).view(np.int64) + (1 << 23) & -(1 << 24)  # to 29 bits
        first = Fraction(float(rounded.view(np.float64)))
        high[exponent], low[exponent] = first / ulp, (turns - first) / ulp
    return high, low


_HIGH, _LOW = _quarter_turns()


@primitive
def _turned(x, shift):
    """sin(x + shift pi / 2)."""
    exponent = (bits(x) >> np.int32(23)) & np.int32(255)
    wide = np.float64(x)
    turns = wide * _HIGH[exponent]
    whole = (turns + _MAGIC) - _MAGIC
    quarter = np.int32(bits(turns + _MAGIC)) + shift
    r = np.float32(((turns - whole) + wide * _LOW[exponent]) * (math.pi / 2))
    one = np.float32(1)
    z = r * r
    s, c = r * (one + z * horner(z, _SIN)), one + z * horner(z, _COS)
    y = c if quarter & np.int32(1) else s
    return from_bits(np.int32(bits(y) ^ ((quarter & np.int32(2)) << np.int32(30))))


@primitive
def _sin32(x):
    return math.copysign(np.float32(1), x) * _turned(abs(x), np.int32(0))  # keeps the sign of 0


@primitive
def _cos32(x):
    return _turned(x, np.int32(1))


@primitive
def _sin64(x):
    return math.sin(x)


@primitive
def _cos64(x):
    return math.cos(x)


@primitive
def tan(x):
    """The tangent, by the C library."""
    return math.tan(x)


def sin(x):
    """The sine, at most 2 ulp; NaN at infinities."""
    return math.sin(x)


def cos(x):
    """The cosine, at most 2 ulp; NaN at infinities."""
    return math.cos(x)


by_format(sin, _sin32, _sin64)
by_format(cos, _cos32, _cos64)
