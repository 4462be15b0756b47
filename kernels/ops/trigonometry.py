"""Trigonometric and hyperbolic functions of each element, and their inverses."""

import numpy as np

from ..dispatch import op
from ..signature import Floats


@op("S... -> S...", backward="sin_backward")
def sin(x: Floats) -> Floats:
    """The sine of an angle in radians; NaN at infinities.

    dx = dout · cos x

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Numerics: at most 2 ulp on the CPU for any x: float32 is reduced with a table of 2/π, float64 by the C library.
    Source: elementary.

    >>> sin(np.array([0.0, 1.0])).round(3).tolist()
    [0.0, 0.841]
    """
    return np.sin(x)


@op("S..., S... -> S...", backward_of="sin", outputs="dx")
def sin_backward(dout: Floats, x: Floats) -> Floats:
    """The gradient of `sin`: dx = dout · cos x."""
    return dout * np.cos(x)


@op("S... -> S...", backward="cos_backward")
def cos(x: Floats) -> Floats:
    """The cosine of an angle in radians; NaN at infinities.

    dx = −dout · sin x

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Numerics: at most 2 ulp on the CPU for any x, as `sin`.
    Source: elementary.

    >>> cos(np.array([0.0, 1.0])).round(3).tolist()
    [1.0, 0.54]
    """
    return np.cos(x)


@op("S..., S... -> S...", backward_of="cos", outputs="dx")
def cos_backward(dout: Floats, x: Floats) -> Floats:
    """The gradient of `cos`: dx = −dout · sin x."""
    return -dout * np.sin(x)


@op("S... -> S...", backward="tan_backward")
def tan(x: Floats) -> Floats:
    """The tangent of an angle in radians; NaN at infinities.

    dx = dout · (1 + out²)

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Numerics: the C library's on the CPU.
    Source: elementary.

    >>> tan(np.array([0.0, 1.0])).round(3).tolist()
    [0.0, 1.557]
    """
    return np.tan(x)


@op("S..., S... -> S...", backward_of="tan", outputs="dx")
def tan_backward(dout: Floats, out: Floats) -> Floats:
    """The gradient of `tan`: dx = dout · (1 + out²)."""
    return dout * (1 + out * out)


@op("S... -> S...", backward="asin_backward")
def asin(x: Floats) -> Floats:
    """The angle in [−π/2, π/2] whose sine is x; NaN outside [−1, 1].

    dx = dout / √((1 − x) (1 + x))

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Numerics: the C library's on the CPU.
    Source: elementary.

    >>> asin(np.array([0.0, 1.0])).round(3).tolist()
    [0.0, 1.571]
    """
    return np.arcsin(x)


@op("S..., S... -> S...", backward_of="asin", outputs="dx")
def asin_backward(dout: Floats, x: Floats) -> Floats:
    """The gradient of `asin`: dx = dout / √((1 − x) (1 + x))."""
    return dout / np.sqrt((1 - x) * (1 + x))


@op("S... -> S...", backward="acos_backward")
def acos(x: Floats) -> Floats:
    """The angle in [0, π] whose cosine is x; NaN outside [−1, 1].

    dx = −dout / √((1 − x) (1 + x))

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Numerics: the C library's on the CPU.
    Source: elementary.

    >>> acos(np.array([0.0, 1.0])).round(3).tolist()
    [1.571, 0.0]
    """
    return np.arccos(x)


@op("S..., S... -> S...", backward_of="acos", outputs="dx")
def acos_backward(dout: Floats, x: Floats) -> Floats:
    """The gradient of `acos`: dx = −dout / √((1 − x) (1 + x))."""
    return -dout / np.sqrt((1 - x) * (1 + x))


@op("S... -> S...", backward="atan_backward")
def atan(x: Floats) -> Floats:
    """The angle in [−π/2, π/2] whose tangent is x.

    dx = dout / (1 + x²)

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Numerics: the C library's on the CPU.
    Source: elementary.

    >>> atan(np.array([0.0, 1.0])).round(3).tolist()
    [0.0, 0.785]
    """
    return np.arctan(x)


@op("S..., S... -> S...", backward_of="atan", outputs="dx")
def atan_backward(dout: Floats, x: Floats) -> Floats:
    """The gradient of `atan`: dx = dout / (1 + x²)."""
    with np.errstate(over="ignore"):
        return dout / (1 + x * x)


@op("S... -> S...", backward="sinh_backward")
def sinh(x: Floats) -> Floats:
    """The hyperbolic sine (e^x − e^−x) / 2.

    dx = dout · cosh x

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Numerics: the C library's on the CPU.
    Source: elementary.

    >>> sinh(np.array([0.0, 1.0])).round(3).tolist()
    [0.0, 1.175]
    """
    return np.sinh(x)


@op("S..., S... -> S...", backward_of="sinh", outputs="dx")
def sinh_backward(dout: Floats, x: Floats) -> Floats:
    """The gradient of `sinh`: dx = dout · cosh x."""
    return dout * np.cosh(x)


@op("S... -> S...", backward="cosh_backward")
def cosh(x: Floats) -> Floats:
    """The hyperbolic cosine (e^x + e^−x) / 2.

    dx = dout · sinh x

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Numerics: the C library's on the CPU.
    Source: elementary.

    >>> cosh(np.array([0.0, 1.0])).round(3).tolist()
    [1.0, 1.543]
    """
    return np.cosh(x)


@op("S..., S... -> S...", backward_of="cosh", outputs="dx")
def cosh_backward(dout: Floats, x: Floats) -> Floats:
    """The gradient of `cosh`: dx = dout · sinh x."""
    return dout * np.sinh(x)


@op("S... -> S...", backward="asinh_backward")
def asinh(x: Floats) -> Floats:
    """The number whose hyperbolic sine is x.

    dx = dout / √(1 + x²)

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Numerics: the C library's on the CPU.
    Source: elementary.

    >>> asinh(np.array([0.0, 1.0])).round(3).tolist()
    [0.0, 0.881]
    """
    return np.arcsinh(x)


@op("S..., S... -> S...", backward_of="asinh", outputs="dx")
def asinh_backward(dout: Floats, x: Floats) -> Floats:
    """The gradient of `asinh`: dx = dout / √(1 + x²)."""
    return dout / np.hypot(1, x)


@op("S... -> S...", backward="acosh_backward")
def acosh(x: Floats) -> Floats:
    """The number of at least 0 whose hyperbolic cosine is x; NaN below 1.

    dx = dout / (√(x − 1) √(x + 1))

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Numerics: the C library's on the CPU.
    Source: elementary.

    >>> acosh(np.array([1.0, 2.0])).round(3).tolist()
    [0.0, 1.317]
    """
    return np.arccosh(x)


@op("S..., S... -> S...", backward_of="acosh", outputs="dx")
def acosh_backward(dout: Floats, x: Floats) -> Floats:
    """The gradient of `acosh`: dx = dout / (√(x − 1) √(x + 1))."""
    return dout / (np.sqrt(x - 1) * np.sqrt(x + 1))


@op("S... -> S...", backward="atanh_backward")
def atanh(x: Floats) -> Floats:
    """The number whose hyperbolic tangent is x; infinite at −1 and 1, NaN beyond.

    dx = dout / ((1 − x) (1 + x))

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Numerics: the C library's on the CPU.
    Source: elementary.

    >>> atanh(np.array([0.0, 0.5])).round(3).tolist()
    [0.0, 0.549]
    """
    return np.arctanh(x)


@op("S..., S... -> S...", backward_of="atanh", outputs="dx")
def atanh_backward(dout: Floats, x: Floats) -> Floats:
    """The gradient of `atanh`: dx = dout / ((1 − x) (1 + x))."""
    return dout / ((1 - x) * (1 + x))
