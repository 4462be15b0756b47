"""Primitives of the CPU kernels: branch-free, so that a loop over them becomes vector instructions.

Each works on float32 and float64 scalars and keeps their type. Error bounds are in units in the last place, tested
in tests/test_maths.py. Source of the scheme: Cody and Waite, Software Manual for the Elementary Functions
(1980).
"""

import math

import numpy as np
from numba import types
from numba.extending import overload

from .kernel import primitive
from .simd import bits, from_bits

_JIT = {"fastmath": {"contract"}, "error_model": "numpy"}


def _taylor_expm1(dtype, degree):
    """Coefficients of (exp(r) - 1 - r) / r**2, highest power first: its Taylor series ends below half an ulp."""
    return tuple(dtype(1 / math.factorial(k)) for k in range(degree, 1, -1))


class _Format:
    """What the reduction x = n ln 2 + r needs to know of a float format."""

    def __init__(self, f, i, mantissa, bias, degree, low, high):
        self.f, self.i, self.mantissa, self.bias = f, i, i(mantissa), i(bias)
        self.coefficients = _taylor_expm1(f, degree)
        self.low, self.high = f(low), f(high)
        self.log2e = f(1 / math.log(2))
        self.round = f(1.5 * 2.0**mantissa)  # adding it rounds to an integer, which the low bits then hold
        self.ln2_high = f(np.float32(0.693359375)) if f is np.float32 else f(float.fromhex("0x1.62e42feep-1"))
        exact_low = {np.float32: -2.12194440e-4, np.float64: 1.90821492927058770002e-10}
        self.ln2_low = f(exact_low[f])


_F32 = _Format(np.float32, np.int32, 23, 127, 8, -104.0, 89.0)
_F64 = _Format(np.float64, np.int64, 52, 1023, 14, -746.0, 710.0)


def _make(fmt):
    """exp and tanh for one format."""
    f, i = fmt.f, fmt.i
    mantissa, bias, log2e, magic = fmt.mantissa, fmt.bias, fmt.log2e, fmt.round
    ln2_high, ln2_low, low, high = fmt.ln2_high, fmt.ln2_low, fmt.low, fmt.high
    coefficients = fmt.coefficients
    one, two, half = f(1), f(2), i(1)
    tanh_limit = f(10) if f is np.float32 else f(20)

    @primitive
    def reduce(x):
        """n as an integer, and exp(r) - 1 for r = x - n ln 2."""
        shifted = x * log2e + magic
        n = i(bits(shifted) - bits(magic))
        whole = shifted - magic
        r = (x - whole * ln2_high) - whole * ln2_low
        p = coefficients[0]
        for c in coefficients[1:]:
            p = p * r + c
        return n, p * r * r + r

    @primitive
    def power_of_two(n):
        return from_bits(i(i(n + bias) << mantissa))

    @primitive
    def exp(x):
        x = high if x > high else x
        x = low if x < low else x
        n, e = reduce(x)
        first = i(n >> half)
        return (e + one) * power_of_two(first) * power_of_two(i(n - first))

    @primitive
    def tanh(x):
        a = abs(x)
        a = tanh_limit if a > tanh_limit else a
        n, e = reduce(two * a)
        scale = power_of_two(n)
        e = e * scale + (scale - one)  # exp(2|x|) - 1
        return math.copysign(e / (e + two), x)

    return exp, tanh


_EXP32, _TANH32 = _make(_F32)
_EXP64, _TANH64 = _make(_F64)


def exp(x):
    """e**x, at most 2 ulp; 0 at -inf, inf at +inf, NaN at NaN."""
    return math.exp(x)


def tanh(x):
    """The hyperbolic tangent, at most 3 ulp."""
    return math.tanh(x)


@overload(exp, jit_options=_JIT)
def _exp(x):
    if x == types.float32:
        return lambda x: _EXP32(x)
    return lambda x: _EXP64(x)


@overload(tanh, jit_options=_JIT)
def _tanh(x):
    if x == types.float32:
        return lambda x: _TANH32(x)
    return lambda x: _TANH64(x)


@primitive
def sigmoid(x):
    """1 / (1 + exp(-x)), at most 4 ulp."""
    one = type(x)(1)
    return one / (one + exp(-x))


_GELU_SCALE, _GELU_CUBIC = math.sqrt(8 / math.pi), 0.044715


@primitive
def gelu(x):
    """x (1 + tanh u) / 2, u = sqrt(2/pi) (x + 0.044715 x**3), as x sigmoid(2u), so that nothing cancels."""
    f = type(x)
    return x * sigmoid(f(_GELU_SCALE) * x * (f(1) + f(_GELU_CUBIC) * x * x))


@primitive
def gelu_derivative(x):
    """s + 2 x u' s (1 - s), s = sigmoid(2u), from exp(-|2u|), which cannot overflow; 0 or 1 far out."""
    f = type(x)
    a = abs(x)
    a = f(25) if a > f(25) else a
    cubic = f(_GELU_CUBIC) * a * a
    e = exp(-f(_GELU_SCALE) * a * (f(1) + cubic))
    s = f(1) / (f(1) + e)
    slope = f(_GELU_SCALE) * a * (f(1) + f(3) * cubic) * e * s * s
    right, left = s + slope, e * s - slope
    return left if x < f(0) else right
