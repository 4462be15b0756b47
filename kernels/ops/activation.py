"""Activation functions: what stands between the linear layers of a network."""

import math

import numpy as np

from ..dispatch import op
from ..signature import Floats


@op("S... -> S...", backward="relu_backward")
def relu(x: Floats) -> Floats:
    """The rectifier max(x, 0).

    dx = dout where out > 0, else 0

    Args:
        x: float32 or float64, of any shape.

    Source: Nair & Hinton, Rectified Linear Units Improve Restricted Boltzmann Machines (2010).

    >>> relu(np.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    return np.where(x <= 0, x.dtype.type(0), x)


@op("S..., S... -> S...", backward_of="relu", outputs="dx")
def relu_backward(dout: Floats, out: Floats) -> Floats:
    """The gradient of `relu`: dx = dout where out > 0, else 0."""
    return np.where(out <= 0, out.dtype.type(0), dout)


@op("S... -> S...", backward="gelu_backward")
def gelu(x: Floats) -> Floats:
    """The Gaussian error linear unit in its tanh form, as in GPT-2.

    out = x (1 + tanh u) / 2 with u = √(2/π) (x + 0.044715 x³)
    dx = dout · ((1 + tanh u) / 2 + x (1 − tanh² u) u' / 2),  u' = √(2/π) (1 + 3 · 0.044715 x²)

    Args:
        x: float32 or float64, of any shape.

    Numerics: on the CPU as x · sigmoid(2u), within 2 epsilon of max(1, |x|).
    Source: Hendrycks & Gimpel, Gaussian Error Linear Units (2016).

    >>> gelu(np.array([-1.0, 0.0, 1.0])).round(3).tolist()
    [-0.159, 0.0, 0.841]
    """
    return 0.5 * x * (1 + np.tanh(_gelu_argument(x)))


@op("S..., S... -> S...", backward_of="gelu", outputs="dx")
def gelu_backward(dout: Floats, x: Floats) -> Floats:
    """The gradient of `gelu`: dx = dout · ((1 + tanh u) / 2 + x (1 − tanh² u) u' / 2)."""
    t = np.tanh(_gelu_argument(x))
    slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
    return dout * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope)


def _gelu_argument(x: np.ndarray) -> np.ndarray:
    return math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
