"""Normalisation over the last axis, alone or after a residual connection."""

from typing import Annotated

import numpy as np

from ..dispatch import op
from ..signature import Floats, Interval, Sums

Eps = Annotated[float, Interval(0)]


@op("S... C, C, C -> S... C", backward="layer_norm_backward", saves="mean rstd")
def layer_norm(
    x: Floats,
    weight: Floats | None = None,
    bias: Floats | None = None,
    eps: Eps = 1e-5,
    save: bool = False,
) -> tuple[Floats, Floats | None, Floats | None]:
    """Bring each row to mean 0 and variance 1, then scale and shift its channels.

    x̂ = (x − mean) · rstd, rstd = 1 / √(var + eps);  out = x̂ · weight + bias
    g = dout · weight;  dx = rstd · (g − mean(g) − x̂ · mean(g · x̂));  dweight = Σ dout · x̂;  dbias = Σ dout

    Args:
        x: (..., C) float32, float64 or bfloat16.
        weight, bias: (C), or None for 1 and 0.
        eps: added to the variance, which is that of the population (divided by C).

    Returns:
        (..., C) of x's dtype.

    Numerics: two passes; the rows' mean rounding, large under a common offset, is found and taken off again.
    Source: Ba, Kiros and Hinton, Layer Normalization (2016).

    >>> layer_norm(np.array([[1.0, 3.0]])).round(3).tolist()
    [[-1.0, 1.0]]
    """
    mean = x.mean(-1)
    centred = _centred(x, mean)
    rstd = 1 / np.sqrt((centred * centred).mean(-1) + eps)
    out = centred * rstd[..., None]
    out = out if weight is None else out * weight
    out = out if bias is None else out + bias
    return (out, np.asarray(mean), np.asarray(rstd)) if save else (out, None, None)


@op(
    "S... C, S... C, C, C, S..., S... -> S... C, C, C",
    backward_of="layer_norm",
    outputs="dx dweight dbias",
)
def layer_norm_backward(
    dout: Floats, x: Floats, weight: Floats | None, bias: Floats | None, mean: Sums, rstd: Sums
) -> tuple[Floats, Floats | None, Floats | None]:
    """The gradients of `layer_norm`: see there. That of an absent weight or bias is None."""
    normal = _centred(x, mean) * rstd[..., None]
    g = dout if weight is None else dout * weight
    dx = g - g.mean(-1, keepdims=True) - normal * (g * normal).mean(-1, keepdims=True)
    dx = dx * rstd[..., None]
    rows = tuple(range(x.ndim - 1))
    return (
        dx,
        None if weight is None else (dout * normal).sum(rows),
        None if bias is None else dout.sum(rows),
    )


@op("S... C, C -> S... C", backward="rms_norm_backward", saves="rstd")
def rms_norm(
    x: Floats, weight: Floats | None = None, eps: Eps = 1e-6, save: bool = False
) -> tuple[Floats, Floats | None]:
    """Bring each row to a root mean square of 1, then scale its channels.

    x̂ = x · rstd, rstd = 1 / √(mean(x²) + eps);  out = x̂ · weight
    g = dout · weight;  dx = rstd · (g − x̂ · mean(g · x̂));  dweight = Σ dout · x̂

    Args:
        x: (..., C) float32, float64 or bfloat16.
        weight: (C), or None for 1.
        eps: added to the mean square.

    Returns:
        (..., C) of x's dtype.

    Numerics: sums along a row in x's dtype, in as many parts as vectors hold.
    Source: Zhang and Sennrich, Root Mean Square Layer Normalization (2019).

    >>> rms_norm(np.array([[3.0, -3.0]]), np.array([1.0, 2.0])).round(3).tolist()
    [[1.0, -2.0]]
    """
    rstd = 1 / np.sqrt((x * x).mean(-1) + eps)
    out = x * rstd[..., None]
    out = out if weight is None else out * weight
    return (out, np.asarray(rstd)) if save else (out, None)


@op("S... C, S... C, C, S... -> S... C, C", backward_of="rms_norm", outputs="dx dweight")
def rms_norm_backward(dout: Floats, x: Floats, weight: Floats | None, rstd: Sums) -> tuple[Floats, Floats | None]:
    """The gradients of `rms_norm`: see there. That of an absent weight is None."""
    normal = x * rstd[..., None]
    g = dout if weight is None else dout * weight
    dx = (g - normal * (g * normal).mean(-1, keepdims=True)) * rstd[..., None]
    return dx, None if weight is None else (dout * normal).sum(tuple(range(x.ndim - 1)))


@op(
    "S... C, S... C, C, C -> S... C, S... C", backward="add_layer_norm_backward", saves="mean rstd", outputs="out total"
)
def add_layer_norm(
    x: Floats,
    residual: Floats,
    weight: Floats | None = None,
    bias: Floats | None = None,
    eps: Eps = 1e-5,
    save: bool = False,
) -> tuple[Floats, Floats, Floats | None, Floats | None]:
    """A residual connection and the `layer_norm` after it, in one pass.

    total = x + residual, out = layer_norm(total);  dx = dresidual = dtotal + the gradient of layer_norm

    Args:
        x, residual: (..., C) float32, float64 or bfloat16: a branch and the stream that it is added to.
        weight, bias: (C), or None for 1 and 0.
        eps: added to the variance.

    Returns:
        out and total, (..., C).

    Numerics: as `layer_norm`.
    Source: He et al., Deep Residual Learning for Image Recognition (2015); Ba, Kiros and Hinton (2016).

    >>> [y.round(3).tolist() for y in add_layer_norm(np.array([[1.0, 1.0]]), np.array([[0.0, 2.0]]))]
    [[[-1.0, 1.0]], [[1.0, 3.0]]]
    """
    total = x + residual
    out, mean, rstd = layer_norm.reference(total, weight, bias, eps, save)
    return out, total, mean, rstd


@op(
    "S... C, S... C, S... C, C, C, S..., S... -> S... C, S... C, C, C",
    backward_of="add_layer_norm",
    outputs="dx dresidual dweight dbias",
)
def add_layer_norm_backward(
    dout: Floats,
    dtotal: Floats,
    total: Floats,
    weight: Floats | None,
    bias: Floats | None,
    mean: Sums,
    rstd: Sums,
) -> tuple[Floats, Floats, Floats | None, Floats | None]:
    """The gradients of `add_layer_norm`; those of x and residual are one array."""
    dx, dweight, dbias = layer_norm_backward.reference(dout, total, weight, bias, mean, rstd)
    dx = dx + dtotal
    return dx, dx, dweight, dbias


@op("S... C, S... C, C -> S... C, S... C", backward="add_rms_norm_backward", saves="rstd", outputs="out total")
def add_rms_norm(
    x: Floats, residual: Floats, weight: Floats | None = None, eps: Eps = 1e-6, save: bool = False
) -> tuple[Floats, Floats, Floats | None]:
    """A residual connection and the `rms_norm` after it, in one pass.

    total = x + residual, out = rms_norm(total);  dx = dresidual = dtotal + the gradient of rms_norm

    Args:
        x, residual: (..., C) float32, float64 or bfloat16: a branch and the stream that it is added to.
        weight: (C), or None for 1.
        eps: added to the mean square.

    Returns:
        out and total, (..., C).

    Numerics: as `rms_norm`.
    Source: He et al., Deep Residual Learning for Image Recognition (2015); Zhang and Sennrich (2019).

    >>> [y.round(3).tolist() for y in add_rms_norm(np.array([[1.0, 1.0]]), np.array([[1.0, -3.0]]))]
    [[[1.0, -1.0]], [[2.0, -2.0]]]
    """
    total = x + residual
    out, rstd = rms_norm.reference(total, weight, eps, save)
    return out, total, rstd


@op(
    "S... C, S... C, S... C, C, S... -> S... C, S... C, C",
    backward_of="add_rms_norm",
    outputs="dx dresidual dweight",
)
def add_rms_norm_backward(
    dout: Floats, dtotal: Floats, total: Floats, weight: Floats | None, rstd: Sums
) -> tuple[Floats, Floats, Floats | None]:
    """The gradients of `add_rms_norm`; those of x and residual are one array."""
    dx, dweight = rms_norm_backward.reference(dout, total, weight, rstd)
    dx = dx + dtotal
    return dx, dx, dweight


def _centred(x: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """x less its mean, of which `mean` is a rounding: the mean of what is left is the rest."""
    centred = x - mean[..., None]
    return centred - centred.mean(-1, keepdims=True)
