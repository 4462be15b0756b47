"""sin, cos and tan for every size of argument, with neither libdevice's local memory nor float64 in float32.

Of a float32 up to 8192, multiples of pi/2 are subtracted in three parts, whose products with a whole number FMA has
exactly. Beyond, and in float64, the quarter turns in x are its mantissa times 192 bits of 2/pi, from the first one on that does not give
multiples of 4: in integers.
Source: Cody and Waite, Software Manual for the Elementary Functions (1980); Payne and Hanek, Radian reduction for
trigonometric functions (1983).
"""

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numba import cuda
from numba.cuda import float32, float64, int32, int64, libdevice, uint64

from .kernel import primitive
from .maths import by_format, rint

_BITS = 1400


def _arctangent(n: int) -> int:
    """arctan(1 / n), times 2 ** _BITS."""
    total = term = (1 << _BITS) // n
    k = 1
    while term:
        term //= -n * n
        k += 2
        total += term // k
    return total


_HALF_PI = Fraction(8 * _arctangent(5) - 2 * _arctangent(239), 1 << _BITS)  # Machin's formula
_TURNS = (1 << (64 * 19)) * _HALF_PI.denominator // _HALF_PI.numerator
_TWO_OVER_PI = np.array(
    [_TURNS >> (64 * k) & (1 << 64) - 1 for k in range(19, -1, -1)], np.uint64
)  # a word of 0, then bits


@primitive
def _beyond(mantissa, shift):
    """Quarter turns in mantissa 2**shift: whole ones, of which those mod 4 are right, and the rest in 2**-62 + 2**-126."""
    words = cuda.const.array_like(_TWO_OVER_PI)
    first = shift + int32(62)
    k, left = first >> int32(6), uint64(first & int32(63))
    right = uint64(63) - left
    a, b, c, d = words[k], words[k + int32(1)], words[k + int32(2)], words[k + int32(3)]
    a = (a << left) | ((b >> uint64(1)) >> right)
    b = (b << left) | ((c >> uint64(1)) >> right)
    c = (c << left) | ((d >> uint64(1)) >> right)
    carried = uint64(libdevice.umul64hi(mantissa, c))
    low = mantissa * b + carried
    high = mantissa * a + uint64(libdevice.umul64hi(mantissa, b)) + (uint64(1) if low < carried else uint64(0))
    whole = (high + (uint64(1) << uint64(61))) >> uint64(62)
    return int32(whole), int64(high - (whole << uint64(62))), low


@primitive
def _parts32(a):
    """Mantissa and shift."""
    bits = libdevice.float_as_int(a)
    return uint64((bits & int32(0x7FFFFF)) | int32(0x800000)), (bits >> int32(23)) - int32(150)


@primitive
def _parts64(a):
    bits = libdevice.double_as_longlong(a)
    mantissa = (bits & int64(0xFFFFFFFFFFFFF)) | int64(0x10000000000000)
    return uint64(mantissa), int32(bits >> int64(52)) - int32(1075)


def _functions(number: Any, f: Any, parts: Any, terms: int, near: float) -> tuple[Any, Any, Any]:
    """sin, cos and tan of a format; so many terms of the series are enough up to pi/4; FMA is used for what is near."""
    rest = _HALF_PI
    split = []
    for _ in range(3):
        split.append(f(float(rest)))
        rest -= Fraction(float(split[-1]))
    c1, c2, c3 = split
    per_quarter = f(1 / float(_HALF_PI))
    sines = tuple(f((-1) ** k / math.factorial(2 * k + 1)) for k in range(terms, 0, -1))
    cosines = tuple(f((-1) ** k / math.factorial(2 * k)) for k in range(terms + 1, 0, -1))
    high_unit, low_unit = f(math.pi / 2 * 2.0**-62), f(math.pi / 2 * 2.0**-126)

    @primitive
    def quarters(a):
        """Whole quarter turns in a >= 0, and what is left."""
        if a <= number(near):
            whole = rint(a * per_quarter)
            r = cuda.fma(-whole, c3, cuda.fma(-whole, c2, cuda.fma(-whole, c1, a)))
            return int32(whole), r
        if a < number(math.inf):
            mantissa, shift = parts(a)
            n, high, low = _beyond(mantissa, shift)
            return n, number(high) * high_unit + number(low) * low_unit
        return int32(0), number(math.nan)

    @primitive
    def sine(r):
        z = r * r
        y = sines[0]
        for k in range(1, terms):
            y = y * z + sines[k]
        return r + r * (z * y)

    @primitive
    def cosine(r):
        z = r * r
        y = cosines[0]
        for k in range(1, terms + 1):
            y = y * z + cosines[k]
        return number(1) + z * y

    @primitive
    def turned(r, quarter):
        y = cosine(r) if quarter & int32(1) else sine(r)
        return -y if quarter & int32(2) else y

    @primitive
    def sin(x):
        quarter, r = quarters(abs(x))
        return math.copysign(number(1), x) * turned(r, quarter)  # keeps the sign of 0

    @primitive
    def cos(x):
        quarter, r = quarters(abs(x))
        return turned(r, quarter + int32(1))

    @primitive
    def tan(x):
        quarter, r = quarters(abs(x))
        s, c = sine(r), cosine(r)
        y = -c / s if quarter & int32(1) else s / c
        return math.copysign(number(1), x) * y

    return sin, cos, tan


def sin(x):
    """The sine; NaN at infinities."""
    return math.sin(x)


def cos(x):
    """The cosine; NaN at infinities."""
    return math.cos(x)


def tan(x):
    """The tangent; NaN at infinities."""
    return math.tan(x)


_SINGLE = _functions(float32, np.float32, _parts32, 4, 8192.0)
_DOUBLE = _functions(float64, np.float64, _parts64, 8, 0.75)
for stub, single, double in zip((sin, cos, tan), _SINGLE, _DOUBLE, strict=True):
    by_format(stub, single, double)
