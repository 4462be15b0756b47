"""Primitives of the CPU kernels: branch-free, so that a loop over them becomes vector instructions.

Each works on float32 and float64 scalars and keeps their type. Error bounds are in units in the last place, tested
in tests/test_maths.py. Source of the scheme: Cody and Waite, Software Manual for the Elementary Functions
(1980).
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from .kernel import primitive
from .simd import bits, from_bits, horner

_JIT: Any = {"fastmath": {"contract"}, "error_model": "numpy", "forceinline": True}


def by_format(stub: Callable[[Any], Any], single: Any, double: Any) -> None:
    """Let `stub`, called in a kernel, be `single` of a float32 and `double` of a float64."""

    @overload(stub, jit_options=_JIT)
    def choose(x):
        if x == types.float32:
            return lambda x: single(x)
        return lambda x: double(x)


def widen(x):
    """A number as it is stored, int8 or the bits of a bfloat16 (uint16), as a float; a float as it is."""


@overload(widen, jit_options=_JIT)
def _widen(x):
    if x == types.uint16:
        return lambda x: from_bits(np.int32(np.uint32(x) << np.uint32(16)))
    return (lambda x: np.float32(x)) if x == types.int8 else (lambda x: x)


@primitive
def bf16_bits(x):
    """The bits of a float32 rounded to bfloat16, halves to even; a NaN stays one."""
    n = bits(x)
    half = np.int32(0x7FFF) + ((n >> np.int32(16)) & np.int32(1))
    return np.uint16((n | np.int32(0x400000) if x != x else n + half) >> np.int32(16))


_EXPM1 = tuple(map(np.float32, (0.4999999404, 0.1666651964, 0.04166839272, 0.008368755691, 0.001381451730)))
"""Coefficients of (exp(r) - 1 - r) / r**2 for |r| <= ln 2 / 2: the minimax polynomial, off by a twentieth of an ulp."""


@primitive
def _expm1_single(r):
    """exp(r) - 1; the terms are added in pairs, because waiting for each other takes longer than they do."""
    c0, c1, c2, c3, c4 = _EXPM1
    square = r * r
    return ((c0 + c1 * r) + square * ((c2 + c3 * r) + square * c4)) * square + r


_TAYLOR = tuple(1 / math.factorial(k) for k in range(14, 1, -1))


@primitive
def _expm1_double(r):
    return horner(r, _TAYLOR) * r * r + r


class _Format:
    """What the reductions x = n ln 2 + r of exp and x = m 2**n of log need to know of a float format."""

    def __init__(self, f, i, mantissa, bias, near, log_terms, low, high):
        self.f, self.i, self.mantissa, self.bias = f, i, i(mantissa), i(bias)
        self.expm1_near_0 = near
        self.log_coefficients = tuple(f(2 / (2 * k + 1)) for k in range(log_terms, 0, -1))
        self.low, self.high = f(low), f(high)
        self.log2e = f(1 / math.log(2))
        self.round = f(1.5 * 2.0**mantissa)  # adding it rounds to an integer, which the low bits then hold
        self.ln2_high = f(np.float32(0.693359375)) if f is np.float32 else f(float.fromhex("0x1.62e42feep-1"))
        exact_low = {np.float32: -2.12194440e-4, np.float64: 1.90821492927058770002e-10}
        self.ln2_low = f(exact_low[f])


_F32 = _Format(np.float32, np.int32, 23, 127, _expm1_single, 4, -104.0, 89.0)
_F64 = _Format(np.float64, np.int64, 52, 1023, _expm1_double, 10, -746.0, 710.0)


def _make(fmt):
    """exp, expm1, tanh, log, log1p, decay and sigmoid for one format."""
    f, i = fmt.f, fmt.i
    mantissa, bias, log2e, magic = fmt.mantissa, fmt.bias, fmt.log2e, fmt.round
    ln2_high, ln2_low, low, high = fmt.ln2_high, fmt.ln2_low, fmt.low, fmt.high
    near, least = fmt.expm1_near_0, f(-math.log(2) * fmt.bias)  # the power of two that belongs to it is 0
    most = f(math.log(2) * (fmt.bias - 1))
    one, two, half = f(1), f(2), i(1)
    tanh_limit = f(10) if f is np.float32 else f(20)
    log_coefficients, tiny, zero, inf, nan = (
        fmt.log_coefficients,
        np.finfo(f).tiny,
        f(0),
        f(np.inf),
        f(np.nan),
    )
    subnormal_shift, subnormal_scale = i(mantissa + 1), f(2.0 ** (mantissa + 1))
    sqrt_half = i(np.sqrt(f(0.5)).view(i))

    @primitive
    def reduce(x):
        """n as an integer, and exp(r) - 1 for r = x - n ln 2."""
        shifted = x * log2e + magic
        n = i(bits(shifted) - bits(magic))
        whole = shifted - magic
        r = (x - whole * ln2_high) - whole * ln2_low
        return n, near(r)

    @primitive
    def power_of_two(n):
        return from_bits(i(i(n + bias) << mantissa))

    @primitive
    def exp(x):
        x = high if x > high else x
        x = low if x < low else x
        n, e = reduce(x)
        first = i(n >> half)
        scale = power_of_two(first)
        return (e * scale + scale) * power_of_two(i(n - first))

    @primitive
    def decay(x):
        n, e = reduce(least if x > -least else -x)
        scale = power_of_two(n)
        return e * scale + scale

    @primitive
    def sigmoid(x):
        """1 / (1 + 2y), y = exp(-x) / 2, of a power of two that is never infinite."""
        x = -high if x < -high else x
        x = most if x > most else x
        n, e = reduce(-x)
        scale = power_of_two(i(n - half))
        y = e * scale + scale
        return one / (one + two * y)

    @primitive
    def expm1(x):
        sign = x
        x = high if x > high else x
        x = low if x < low else x
        n, e = reduce(x)
        first = i(n >> half)
        second = i(n - first)
        scale = power_of_two(first)
        return math.copysign((e * scale + (scale - power_of_two(i(-second)))) * power_of_two(second), sign)

    @primitive
    def tanh(x):
        a = abs(x)
        a = tanh_limit if a > tanh_limit else a
        n, e = reduce(two * a)
        scale = power_of_two(n)
        e = e * scale + (scale - one)  # exp(2|x|) - 1
        return math.copysign(e / (e + two), x)

    @primitive
    def log(x):
        """log m + n ln 2 with m in [sqrt(1/2), sqrt(2)): log m = 2 artanh s with s = (m - 1) / (m + 1)."""
        is_subnormal = x < tiny
        b = bits(x * subnormal_scale if is_subnormal else x)
        n = i(i(b - sqrt_half) >> mantissa)
        g = from_bits(i(b - i(n << mantissa))) - one  # m - 1
        n = i(n - subnormal_shift) if is_subnormal else n
        s = g / (g + two)
        z = s * s
        p = horner(z, log_coefficients)
        square = g * g / two
        result = f(n) * ln2_high + (g - (square - (s * (square + p * z) + f(n) * ln2_low)))
        result = x if x == inf else result
        result = -inf if x == zero else result
        return nan if (x < zero) | (x != x) else result

    @primitive
    def log1p(x):
        """log u + (x - (u - 1)) / u, where u is 1 + x rounded."""
        u = one + x
        rest = (x - (u - one)) / u
        rest = rest if (u > zero) & (u < inf) else zero
        return math.copysign(log(u) + rest, x)

    return exp, expm1, tanh, log, log1p, decay, sigmoid


def exp(x):
    """e**x, at most 2 ulp; 0 at -inf, inf at +inf, NaN at NaN."""
    return math.exp(x)


def expm1(x):
    """e**x - 1, at most 3 ulp."""
    return math.expm1(x)


def tanh(x):
    """The hyperbolic tangent, at most 3 ulp."""
    return math.tanh(x)


def log(x):
    """The natural logarithm, at most 2 ulp; -inf at 0, NaN below."""
    return math.log(x)


def log1p(x):
    """log(1 + x), at most 3 ulp; -inf at -1, NaN below."""
    return math.log1p(x)


def decay(x):
    """exp(-x) of an x >= 0, at most 2 ulp, but 0 where that is below the least normal number."""
    return math.exp(-x)


def sigmoid(x):
    """1 / (1 + exp(-x)), at most 4 ulp."""
    return 1 / (1 + math.exp(-x))


_STUBS = exp, expm1, tanh, log, log1p, decay, sigmoid
for stub, single, double in zip(_STUBS, _make(_F32), _make(_F64), strict=True):
    by_format(stub, single, double)


def floor(x):
    """The next whole number below."""
    return np.floor(x)


def ceil(x):
    """The next whole number above."""
    return np.ceil(x)


def rint(x):
    """The nearest whole number, halves to even."""
    return np.rint(x)


def trunc(x):
    """The next whole number towards 0."""
    return np.trunc(x)


for stub, rounded in ((floor, np.floor), (ceil, np.ceil), (rint, np.rint), (trunc, np.trunc)):
    by_format(stub, rounded, rounded)
