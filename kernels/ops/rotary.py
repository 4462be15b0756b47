"""Rotary position embedding."""

import numpy as np

from ..dispatch import op
from ..signature import Floats, Sums


def _check(x: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> None:
    if x.shape[3] != 2 * cos.shape[1]:
        raise ValueError(
            f"rotary: cos: expected (T, D/2) = ({x.shape[1]}, {x.shape[3] / 2:g}) for x of shape {x.shape}, "
            f"got {cos.shape}"
        )


@op("B T H D, T P, T P -> B T H D", backward="rotary_backward", check=_check)
def rotary(x: Floats, cos: Sums, sin: Sums) -> Floats:
    """Rotate pairs of channels by angles that grow with the position, so that products of queries and keys depend on
    distances alone.

    out_i = x_i cos_i − x_{i+P} sin_i,  out_{i+P} = x_{i+P} cos_i + x_i sin_i,  i < P = D/2;
    dx is dout rotated by the negative angles

    Args:
        x: (B, T, H, D) float32, float64 or bfloat16, of any strides: queries or keys.
        cos, sin: (T, P) of the angles at the T positions; no gradient.

    Returns:
        (B, T, H, D).

    Raises:
        ValueError: D is not 2P.

    Numerics: the halves are paired, as in Llama's published weights for Hugging Face; GPT-J pairs neighbours.
    Source: Su et al., RoFormer: Enhanced Transformer with Rotary Position Embedding (2021), section 3.4.2.

    >>> rotary(np.array([[[[1.0, 0.0]]]]), np.array([[0.0]]), np.array([[1.0]])).ravel().tolist()
    [0.0, 1.0]
    """
    return _rotate(x, cos, sin)


@op("B T H D, T P, T P -> B T H D", backward_of="rotary", outputs="dx")
def rotary_backward(dout: Floats, cos: Sums, sin: Sums) -> Floats:
    """The gradient of `rotary`: dout rotated by the negative angles."""
    return _rotate(dout, cos, -sin)


def _rotate(x: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> np.ndarray:
    left, right = np.split(x, 2, axis=3)
    cos, sin = cos[:, None], sin[:, None]
    return np.concatenate([left * cos - right * sin, right * cos + left * sin], 3)
