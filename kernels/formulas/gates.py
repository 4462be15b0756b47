"""Units that let x pass by a share of it, and the derivatives of these: gelu and silu."""

import math

from .gaussian import tail
from .kernel import primitive
from .maths import decay, sigmoid


@primitive
def gelu(x):
    """x (1 + erf(x / sqrt(2))) / 2, from the tail, so that nothing cancels."""
    f = type(x)
    _, t = tail(f(math.sqrt(0.5)) * abs(x))
    rest = f(1) - t
    return x * (t if x < f(0) else rest)


@primitive
def gelu_derivative(x):
    """(1 + erf(x / sqrt(2))) / 2 + x exp(-x**2 / 2) / sqrt(2 pi); 0 or 1 far out."""
    f = type(x)
    a = abs(x)
    a = f(40) if a > f(40) else a
    e, t = tail(f(math.sqrt(0.5)) * a)
    slope = f(1 / math.sqrt(2 * math.pi)) * a * e
    right, left = (f(1) - t) + slope, t - slope
    return left if x < f(0) else right


_GELU_SCALE, _GELU_CUBIC = math.sqrt(8 / math.pi), 0.044715


@primitive
def gelu_tanh(x):
    """x (1 + tanh u) / 2, u = sqrt(2/pi) (x + 0.044715 x**3), as x sigmoid(2u), so that nothing cancels."""
    f = type(x)
    return x * sigmoid(f(_GELU_SCALE) * x * (f(1) + f(_GELU_CUBIC) * x * x))


@primitive
def gelu_tanh_derivative(x):
    """s + 2 x u' s (1 - s), s = sigmoid(2u), from exp(-|2u|), which cannot overflow; 0 or 1 far out."""
    f = type(x)
    a = abs(x)
    a = f(25) if a > f(25) else a
    cubic = f(_GELU_CUBIC) * a * a
    e = decay(f(_GELU_SCALE) * a * (f(1) + cubic))
    s = f(1) / (f(1) + e)
    slope = f(_GELU_SCALE) * a * (f(1) + f(3) * cubic) * e * s * s
    right, left = s + slope, e * s - slope
    return left if x < f(0) else right


@primitive
def silu(x):
    return x * sigmoid(x)


@primitive
def silu_derivative(x):
    """s + x s (1 - s), s = sigmoid(x), from exp(-|x|), so that 1 - s does not cancel; 0 or 1 far out."""
    f = type(x)
    a = abs(x)
    a = f(1000) if a > f(1000) else a
    e = decay(a)
    s = f(1) / (f(1) + e)
    slope = a * e * s * s
    right, left = s + slope, e * s - slope
    return left if x < f(0) else right
