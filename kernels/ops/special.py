"""Special functions of each element: exponential and logarithm near 0, erf."""

import math

import numpy as np

from ..dispatch import op
from ..signature import Floats

_erf = np.vectorize(math.erf, otypes=[np.float64])


@op("S... -> S...", backward="expm1_backward")
def expm1(x: Floats) -> Floats:
    """The exponential less 1, e^x − 1, without cancellation near 0.

    dx = dout · (out + 1)

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Numerics: at most 3 ulp on the CPU.
    Source: elementary.

    >>> expm1(np.array([0.0, 1.0])).round(3).tolist()
    [0.0, 1.718]
    """
    return np.expm1(x)


@op("S..., S... -> S...", backward_of="expm1", outputs="dx")
def expm1_backward(dout: Floats, out: Floats) -> Floats:
    """The gradient of `expm1`: dx = dout · (out + 1)."""
    return dout * (out + 1)


@op("S... -> S...", backward="log1p_backward")
def log1p(x: Floats) -> Floats:
    """The logarithm log(1 + x), without cancellation near 0; -inf at -1, NaN below.

    dx = dout / (1 + x)

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Numerics: at most 3 ulp on the CPU.
    Source: elementary.

    >>> log1p(np.array([0.0, 1.0])).round(3).tolist()
    [0.0, 0.693]
    """
    return np.log1p(x)


@op("S..., S... -> S...", backward_of="log1p", outputs="dx")
def log1p_backward(dout: Floats, x: Floats) -> Floats:
    """The gradient of `log1p`: dx = dout / (1 + x)."""
    return dout / (1 + x)


@op("S... -> S...", backward="erf_backward")
def erf(x: Floats) -> Floats:
    """The error function 2/√π ∫₀ˣ exp(−t²) dt.

    dx = dout · 2/√π · exp(−x²)

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Numerics: at most 2 ulp on the CPU.
    Source: elementary.

    >>> erf(np.array([0.0, 1.0])).round(3).tolist()
    [0.0, 0.843]
    """
    return _erf(x).astype(x.dtype)


@op("S..., S... -> S...", backward_of="erf", outputs="dx")
def erf_backward(dout: Floats, x: Floats) -> Floats:
    """The gradient of `erf`: dx = dout · 2/√π · exp(−x²)."""
    with np.errstate(over="ignore"):
        return dout * (2 / math.sqrt(math.pi)) * np.exp(-x * x)
