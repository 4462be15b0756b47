"""Softmax and its logarithm, along an axis."""

import numpy as np

from ..dispatch import op
from ..signature import Floats


def _check_dim(name: str):
    def check(x: np.ndarray, dim: int) -> None:
        if type(dim) is not int or not -x.ndim <= dim < x.ndim:
            raise ValueError(f"{name}: dim: expected an axis of a shape {x.shape}, got {dim!r}")

    return check


@op("S... V -> S... V", backward="softmax_backward", check=_check_dim("softmax"))
def softmax(x: Floats, dim: int = -1) -> Floats:
    """Probabilities proportional to exp(x), along an axis.

    out_j = exp(x_j) / Σ_k exp(x_k);  dx = out · (dout − Σ_k dout_k out_k)

    Args:
        x: (..., V) float32, float64 or bfloat16 scores.
        dim: the axis; another than the last is brought there by a copy.

    Returns:
        An array of x's shape and dtype; along the axis it sums to 1.

    Raises:
        ValueError: an axis that x does not have.

    Numerics: the largest score is subtracted first, so that no finite one overflows; -inf gives 0; scores of -inf
    alone, or with NaN or +inf, give NaN.
    Source: Bridle, Probabilistic interpretation of feedforward classification network outputs (1990).

    >>> softmax(np.array([[0.0, np.log(3.0)]])).round(2).tolist()
    [[0.25, 0.75]]
    """
    e = np.exp(x - x.max(dim, keepdims=True))
    return e / e.sum(dim, keepdims=True)


@op("S... V, S... V -> S... V", backward_of="softmax", outputs="dx")
def softmax_backward(dout: Floats, out: Floats, dim: int) -> Floats:
    """The gradient of `softmax`: dx = out · (dout − Σ_k dout_k out_k)."""
    return out * (dout - (dout * out).sum(dim, keepdims=True))


@op("S... V -> S... V", backward="log_softmax_backward", check=_check_dim("log_softmax"))
def log_softmax(x: Floats, dim: int = -1) -> Floats:
    """The logarithm of `softmax`, also where that is too small for a float.

    out_j = x_j − log Σ_k exp(x_k);  dx = dout − exp(out) · Σ_k dout_k

    Args:
        x: (..., V) float32, float64 or bfloat16 scores.
        dim: the axis; another than the last is brought there by a copy.

    Returns:
        An array of x's shape and dtype, at most 0.

    Raises:
        ValueError: an axis that x does not have.

    Numerics: the largest score is subtracted first; -inf stays so; scores of -inf alone, or with NaN or +inf, give
    NaN.
    Source: Bridle, Probabilistic interpretation of feedforward classification network outputs (1990).

    >>> log_softmax(np.array([[0.0, 1000.0]])).tolist()
    [[-1000.0, 0.0]]
    """
    x = x - x.max(dim, keepdims=True)
    return x - np.log(np.exp(x).sum(dim, keepdims=True))


@op("S... V, S... V -> S... V", backward_of="log_softmax", outputs="dx")
def log_softmax_backward(dout: Floats, out: Floats, dim: int) -> Floats:
    """The gradient of `log_softmax`: dx = dout − exp(out) · Σ_k dout_k."""
    return dout - np.exp(out) * dout.sum(dim, keepdims=True)
