"""Softmax over the last axis."""

import numpy as np

from ..dispatch import op
from ..signature import Floats


@op("S... V -> S... V", backward="softmax_backward")
def softmax(x: Floats) -> Floats:
    """Probabilities proportional to exp(x), along the last axis.

    out_j = exp(x_j) / Σ_k exp(x_k);  dx = out · (dout − Σ_k dout_k out_k)

    Args:
        x: (..., V) float32 or float64 scores.

    Returns:
        (..., V) of x's dtype; rows sum to 1.

    Numerics: the row's maximum is subtracted first, so that no finite score overflows; -inf gives 0; a row of -inf
    alone, or with NaN or +inf, is NaN.
    Source: Bridle, Probabilistic interpretation of feedforward classification network outputs (1990).

    >>> softmax(np.array([[0.0, np.log(3.0)]])).round(2).tolist()
    [[0.25, 0.75]]
    """
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@op("S... V, S... V -> S... V", backward_of="softmax", outputs="dx")
def softmax_backward(dout: Floats, out: Floats) -> Floats:
    """The gradient of `softmax`: dx = out · (dout − Σ_k dout_k out_k)."""
    return out * (dout - (dout * out).sum(-1, keepdims=True))
