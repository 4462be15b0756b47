"""The primitives of the CPU kernels against long double NumPy, in units in the last place."""

import math

import numba
import numpy as np
import pytest

from octavo.kernels.cpu import gates, gaussian, maths, sincos
from octavo.kernels.cpu.kernel import FASTMATH

DTYPES = (np.float32, np.float64)
GELUS = ("gelu", "gelu_tanh")
FAR = (np.inf, -np.inf, np.nan, 1e30, -1e30)


def _map(primitive, x):
    @numba.njit(fastmath=FASTMATH, error_model="numpy")
    def apply(x):
        out = np.empty_like(x)
        for i in range(x.size):
            out[i] = primitive(x[i])
        return out

    return apply(x)


def _wide(low, high, dtype, signed=False):
    """Numbers spread evenly and by magnitude over [low, high]."""
    rng = np.random.default_rng(3)
    magnitudes = np.exp(rng.uniform(np.log(max(low, 1e-30)), np.log(high), 50_000))
    evenly = rng.uniform(-high if signed else low, high, 50_000)
    return np.concatenate([magnitudes, -magnitudes if signed else magnitudes, evenly]).astype(dtype)


def _primitive(name):
    return next(getattr(m, name) for m in (maths, gaussian, gates, sincos) if name in vars(m))


_erf = np.vectorize(math.erf, otypes=[np.longdouble])


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _gelu(x):
    return x * (1 + _erf(x / np.sqrt(np.longdouble(2)))) / 2


def _gelu_derivative(x):
    density = np.exp(-x * x / 2) / np.sqrt(2 * np.longdouble(np.pi))
    return (1 + _erf(x / np.sqrt(np.longdouble(2)))) / 2 + x * density


def _gelu_exponent(x):
    return np.sqrt(8 / np.longdouble(np.pi)) * (x + np.longdouble(0.044715) * x**3)


def _gelu_tanh(x):
    return x * _sigmoid(_gelu_exponent(x))


def _gelu_tanh_derivative(x):
    s = _sigmoid(_gelu_exponent(x))
    slope = np.sqrt(8 / np.longdouble(np.pi)) * (1 + 3 * np.longdouble(0.044715) * x**2)
    return s + x * slope * s * (1 - s)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "exact", "ulps", "low", "high", "signed"),
    [
        ("exp", np.exp, 2, 1e-9, 80, True),
        ("decay", lambda x: np.exp(-x), 2, 1e-9, 80, False),
        ("expm1", np.expm1, 3, 1e-9, 80, True),
        ("tanh", np.tanh, 3, 1e-9, 30, True),
        ("log", np.log, 2, 1e-37, 1e37, False),
        ("log", np.log, 2, 0.5, 2, False),
        ("log1p", np.log1p, 3, 1e-9, 0.999, True),
        ("log1p", np.log1p, 3, 1e-9, 1e37, False),
        ("erf", _erf, 2, 1e-9, 7, True),
        ("sin", np.sin, 2, 1e-9, 100, True),
        ("sin", np.sin, 2, 1, 3e38, True),
        ("cos", np.cos, 2, 1e-9, 100, True),
        ("cos", np.cos, 2, 1, 3e38, True),
        ("sigmoid", _sigmoid, 4, 1e-9, 80, True),
    ],
)
def test_ulps(name, exact, ulps, low, high, signed, dtype):
    x = _wide(low, high, dtype, signed)
    got = _map(_primitive(name), x)
    expected = exact(x.astype(np.longdouble))
    error = np.abs(got - expected) / np.spacing(np.abs(expected).astype(dtype))
    assert error.max() <= ulps, f"{name}({x[error.argmax()]}): {error.max():.2f} ulp"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "exact"),
    [
        ("gelu", _gelu),
        ("gelu_derivative", _gelu_derivative),
        ("gelu_tanh", _gelu_tanh),
        ("gelu_tanh_derivative", _gelu_tanh_derivative),
    ],
)
def test_gelu(name, exact, dtype):
    x = np.linspace(-12, 12, 100_001, dtype=dtype)
    got = _map(_primitive(name), x)
    error = np.abs(got - exact(x.astype(np.longdouble))) / (np.finfo(dtype).eps * np.maximum(1, np.abs(x)))
    assert error.max() <= 2, f"{name}({x[error.argmax()]}): {error.max():.2f} eps"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("exp", [0, -0.0, np.inf, -np.inf, np.nan, 1e4, -1e4], [1, 1, np.inf, 0, np.nan, np.inf, 0]),
        ("decay", [0, np.inf, np.nan, 1e4], [1, 0, np.nan, 0]),
        ("tanh", [0, -0.0, np.inf, -np.inf, np.nan, 1e4], [0, -0.0, 1, -1, np.nan, 1]),
        ("log", [0, -0.0, np.inf, -np.inf, np.nan, -1, 1], [-np.inf, -np.inf, np.inf, *[np.nan] * 3, 0]),
        ("sigmoid", [0, np.inf, -np.inf, np.nan, 1e4, -1e4], [0.5, 1, 0, np.nan, 1, 0]),
        ("expm1", [0, -0.0, np.inf, -np.inf, np.nan, 1e4, -1e4], [0, -0.0, np.inf, -1, np.nan, np.inf, -1]),
        ("log1p", [0, -0.0, np.inf, -np.inf, np.nan, -1, -2], [0, -0.0, np.inf, np.nan, np.nan, -np.inf, np.nan]),
        ("erf", [0, -0.0, np.inf, -np.inf, np.nan, 1e30], [0, -0.0, 1, -1, np.nan, 1]),
        ("sin", [0, -0.0, np.inf, -np.inf, np.nan, 1e-40], [0, -0.0, *[np.nan] * 3, 1e-40]),
        ("cos", [0, -0.0, np.inf, -np.inf, np.nan, 1e-40], [1, 1, *[np.nan] * 3, 1]),
        *((gelu, [0, -0.0, np.inf, np.nan, 1e30, -1e30], [0, -0.0, np.inf, np.nan, 1e30, -0.0]) for gelu in GELUS),
        *((f"{gelu}_derivative", FAR, [1, 0, np.nan, 1, 0]) for gelu in GELUS),
    ],
)
def test_special_values(name, x, expected, dtype):
    got, expected = _map(_primitive(name), np.array(x, dtype)), np.array(expected, dtype)
    assert np.array_equal(got, expected, equal_nan=True)
    assert np.array_equal(np.signbit(got)[expected == expected], np.signbit(expected)[expected == expected])


@pytest.mark.parametrize("dtype", DTYPES)
def test_expm1_just_below_overflow(dtype):
    x = np.nextafter(np.log(np.finfo(dtype).max), dtype(0), dtype=dtype)
    assert np.isclose(_map(maths.expm1, x[None]), np.expm1(x.astype(np.longdouble)).astype(dtype), rtol=1e-6)


def test_cos_of_the_float32_nearest_to_a_zero():
    x = np.array([16367173 * 2.0**72], np.float32)
    expected = math.cos(x[0])
    assert abs(expected) < 1e-8 and abs(_map(sincos.cos, x)[0] - expected) <= 2 * np.spacing(np.float32(abs(expected)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_log_of_subnormals(dtype):
    smallest = np.finfo(dtype).smallest_subnormal
    x = np.arange(1, 1000, dtype=dtype) * smallest
    expected = np.log(x.astype(np.longdouble))
    assert np.abs(_map(maths.log, x) - expected).max() <= 2 * np.spacing(dtype(1000))
