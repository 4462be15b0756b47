"""Activation functions: what stands between the linear layers of a network."""

import math
from typing import Annotated, Literal

import numpy as np

from ..dispatch import op
from ..signature import Floats, Interval
from .elementwise import sigmoid
from .special import erf

Approximate = Literal["none", "tanh"]


@op("S... -> S...", backward="relu_backward")
def relu(x: Floats) -> Floats:
    """The rectifier max(x, 0).

    dx = dout where out > 0, else 0

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Source: Nair & Hinton, Rectified Linear Units Improve Restricted Boltzmann Machines (2010).

    >>> relu(np.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    return np.where(x <= 0, x.dtype.type(0), x)


@op("S..., S... -> S...", backward_of="relu", outputs="dx")
def relu_backward(dout: Floats, out: Floats) -> Floats:
    """The gradient of `relu`: dx = dout where out > 0, else 0."""
    return np.where(out <= 0, out.dtype.type(0), dout)


@op("S... -> S...", backward="leaky_relu_backward")
def leaky_relu(x: Floats, negative_slope: Annotated[float, Interval()] = 0.01) -> Floats:
    """The rectifier with a slope below 0.

    out = x where x > 0, else negative_slope · x;  dx = dout where x > 0, else negative_slope · dout

    Args:
        x: float32, float64 or bfloat16, of any shape.
        negative_slope: the slope below 0.

    Source: Maas, Hannun and Ng, Rectifier Nonlinearities Improve Neural Network Acoustic Models (2013).

    >>> leaky_relu(np.array([-1.0, 2.0])).tolist()
    [-0.01, 2.0]
    """
    return np.where(x > 0, x, negative_slope * x)


@op("S..., S... -> S...", backward_of="leaky_relu", outputs="dx")
def leaky_relu_backward(dout: Floats, x: Floats, negative_slope: float) -> Floats:
    """The gradient of `leaky_relu`: dx = dout where x > 0, else negative_slope · dout."""
    return np.where(x > 0, dout, negative_slope * dout)


@op("S... -> S...", backward="elu_backward")
def elu(x: Floats, alpha: Annotated[float, Interval()] = 1.0) -> Floats:
    """The exponential linear unit.

    out = x where x > 0, else α (e^x − 1);  dx = dout where x > 0, else dout · α e^x

    Args:
        x: float32, float64 or bfloat16, of any shape.
        alpha: α; −α is the limit far below 0.

    Source: Clevert, Unterthiner and Hochreiter, Fast and Accurate Deep Network Learning by ELUs (2015).

    >>> elu(np.array([-1.0, 2.0])).round(3).tolist()
    [-0.632, 2.0]
    """
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


@op("S..., S... -> S...", backward_of="elu", outputs="dx")
def elu_backward(dout: Floats, x: Floats, alpha: float) -> Floats:
    """The gradient of `elu`: dx = dout where x > 0, else dout · α e^x."""
    return np.where(x > 0, dout, dout * (alpha * np.exp(np.minimum(x, 0))))


@op("S... -> S...", backward="softplus_backward")
def softplus(
    x: Floats,
    beta: Annotated[float, Interval(0, open="both")] = 1.0,
    threshold: Annotated[float, Interval()] = 20.0,
) -> Floats:
    """A smooth rectifier, log(1 + exp(βx)) / β.

    dx = dout / (1 + exp(−βx));  where βx > threshold, out = x and dx = dout

    Args:
        x: float32, float64 or bfloat16, of any shape.
        beta: β, how sharply it bends.
        threshold: of βx.

    Numerics: as (max(βx, 0) + log1p(exp(−|βx|))) / β, which cannot overflow.
    Source: Dugas et al., Incorporating Second-Order Functional Knowledge for Better Option Pricing (2000).

    >>> softplus(np.array([0.0, 30.0])).round(3).tolist()
    [0.693, 30.0]
    """
    return np.where(beta * x > threshold, x, np.logaddexp(beta * x, 0) / beta)


@op("S..., S... -> S...", backward_of="softplus", outputs="dx")
def softplus_backward(dout: Floats, x: Floats, beta: float, threshold: float) -> Floats:
    """The gradient of `softplus`: dx = dout / (1 + exp(−βx)), or dout where βx > threshold."""
    return np.where(beta * x > threshold, dout, dout * sigmoid.reference(beta * x))


@op("S... -> S...", backward="silu_backward", rounds="x")
def silu(x: Floats) -> Floats:
    """The sigmoid linear unit x s with s = 1 / (1 + exp(−x)), also called swish.

    dx = dout · (s + x s (1 − s))

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Numerics: no overflow reaches the result; NaN at −∞, where x s is ∞ · 0.
    Source: Elfwing, Uchibe and Doya, Sigmoid-Weighted Linear Units for Reinforcement Learning (2017).

    >>> silu(np.array([-1.0, 0.0, 1.0])).round(3).tolist()
    [-0.269, 0.0, 0.731]
    """
    return x * sigmoid.reference(x)


@op("S..., S... -> S...", backward_of="silu", outputs="dx")
def silu_backward(dout: Floats, x: Floats) -> Floats:
    """The gradient of `silu`: dx = dout · (s + x s (1 − s)); 0 or dout far out."""
    return dout * _silu_slope(x)


@op("S..., S... -> S...", backward="swiglu_backward", rounds="gate up")
def swiglu(gate: Floats, up: Floats) -> Floats:
    """The gated linear unit of LLaMA: silu(gate) · up.

    dgate = dout · up · silu'(gate);  dup = dout · silu(gate)

    Args:
        gate, up: float32, float64 or bfloat16 of one shape: two linear functions of the same input.

    Numerics: as `silu`; both gradients in one pass.
    Source: Shazeer, GLU Variants Improve Transformer (2020).

    >>> swiglu(np.array([-1.0, 1.0]), np.array([2.0, 3.0])).round(3).tolist()
    [-0.538, 2.193]
    """
    return silu.reference(gate) * up


@op("S..., S..., S... -> S..., S...", backward_of="swiglu", outputs="dgate dup")
def swiglu_backward(dout: Floats, gate: Floats, up: Floats) -> tuple[Floats, Floats]:
    """The gradients of `swiglu`: dgate = dout · up · silu'(gate), dup = dout · silu(gate)."""
    return dout * up * _silu_slope(gate), dout * silu.reference(gate)


@op("S... -> S...", backward="gelu_backward", rounds="x")
def gelu(x: Floats, approximate: Approximate = "none") -> Floats:
    """The Gaussian error linear unit x Φ(x), Φ the distribution function of the normal distribution.

    "none": Φ = (1 + erf(x / √2)) / 2;  dx = dout · (Φ + x φ), φ = exp(−x² / 2) / √(2π)
    "tanh": Φ ≈ (1 + t) / 2, t = tanh(√(2/π) (x + 0.044715 x³));  dx = dout · ((1 + t) / 2 + x t' / 2)

    Args:
        x: float32, float64 or bfloat16, of any shape.
        approximate: "none", or "tanh" as in GPT-2.

    Numerics: on the CPU within 2 epsilon of max(1, |x|); NaN at −∞, where x Φ is ∞ · 0.
    Source: Hendrycks & Gimpel, Gaussian Error Linear Units (2016).

    >>> gelu(np.array([-1.0, 0.0, 1.0])).round(3).tolist()
    [-0.159, 0.0, 0.841]
    """
    return x * _normal_distribution(x, approximate)


@op("S..., S... -> S...", backward_of="gelu", outputs="dx")
def gelu_backward(dout: Floats, x: Floats, approximate: Approximate) -> Floats:
    """The gradient of `gelu`: dx = dout · (Φ + x Φ'); 0 or dout far out."""
    return dout * _gelu_slope(x, approximate)


@op("S... C, C -> S... C", backward="bias_gelu_backward", rounds="x")
def bias_gelu(x: Floats, bias: Floats, approximate: Approximate = "none") -> Floats:
    """gelu(x + bias), in one pass each way.

    dx = dout · gelu'(x + bias);  dbias = Σ dx over all axes but the last

    Args:
        x: (..., C) float32, float64 or bfloat16.
        bias: (C,).
        approximate: as in `gelu`.

    Returns:
        (..., C).

    Numerics: as `gelu`; dbias is summed in the dtype over 32 rows, beyond that in float64, in a fixed order.
    Source: Hendrycks & Gimpel, Gaussian Error Linear Units (2016).

    >>> bias_gelu(np.array([[-2.0, 0.0]]), np.array([1.0, 1.0])).round(3).tolist()
    [[-0.159, 0.841]]
    """
    return gelu.reference(x + bias, approximate)


@op("S... C, S... C, C -> S... C, C", backward_of="bias_gelu", outputs="dx dbias")
def bias_gelu_backward(dout: Floats, x: Floats, bias: Floats, approximate: Approximate) -> tuple[Floats, Floats]:
    """The gradients of `bias_gelu`: dx = dout · gelu'(x + bias), dbias = Σ dx."""
    dx = gelu_backward.reference(dout, x + bias, approximate)
    return dx, dx.sum(tuple(range(dx.ndim - 1)))


def _normal_distribution(x: np.ndarray, approximate: str) -> np.ndarray:
    if approximate == "none":
        return (1 + erf.reference(math.sqrt(0.5) * x)) / 2
    return (1 + np.tanh(_tanh_argument(x))) / 2


def _gelu_slope(x: np.ndarray, approximate: str) -> np.ndarray:
    """gelu', whose limits are 0 and 1; beyond ±40 it has reached them."""
    x = np.clip(x, -40, 40)
    phi = _normal_distribution(x, approximate)
    if approximate == "none":
        return phi + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    return phi + 2 * x * phi * (1 - phi) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)


def _tanh_argument(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, -40, 40)
    return math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)


def _silu_slope(x: np.ndarray) -> np.ndarray:
    """silu', whose limits are 0 and 1; beyond ±1000 it has reached them."""
    x = np.clip(x, -1000, 1000)
    s = sigmoid.reference(x)
    return s + x * s * (1 - s)
