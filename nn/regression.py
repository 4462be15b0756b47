"""Linear regression in closed form: where gradient descent of a linear layer on squared errors ends."""

import math
from typing import Any

import numpy as np

from ..kernels import device
from .tensor import Tensor

__all__ = ["least_squares"]


def least_squares(x: Any, y: Any, ridge: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The weight W and bias b, as those of `Linear`, with the least Σ_n ‖y_n − W x_n − b‖² + ridge · ‖W‖².

    Centred data need no bias: W is the least-squares solution for x − x̄ and y − ȳ, with rows √ridge · I and 0 added,
    and b = ȳ − W x̄. For mean squared errors over N rows weigh ‖W‖² with ridge / N.

    Args:
        x: (S..., inputs) and y: (S..., outputs), arrays or tensors of numbers.
        ridge: at least 0. With 0, of all solutions the one of least norm ‖W‖ (where columns of x depend on each other,
            or rows are few).

    Returns: weight (outputs, inputs) and bias (outputs), float64 on the CPU.
    Raises: ValueError for shapes that do not fit, no rows, values that are not finite, or a ridge below 0; TypeError
        for what is no number.
    Numerics: float64, by singular values; those below machine precision times the larger size of x count as 0.
    Source: Hoerl and Kennard, Ridge Regression (1970).

    >>> weight, bias = least_squares(np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [3.0], [5.0]]))
    >>> weight.round(6).tolist(), bias.round(6).tolist()
    ([[2.0]], [1.0])
    """
    x, y = _numbers("x", x), _numbers("y", y)
    if x.ndim < 2 or x.shape[:-1] != y.shape[:-1] or 0 in x.shape[:-1]:
        raise ValueError(
            "least_squares: expected x (S..., inputs) and y (S..., outputs) with at least one row, got "
            f"{x.shape} and {y.shape}"
        )
    if not 0 <= ridge < float("inf"):
        raise ValueError(f"least_squares: ridge: expected a finite number of at least 0, got {ridge}")
    rows, inputs, outputs = math.prod(x.shape[:-1]), x.shape[-1], y.shape[-1]
    x, y = x.reshape(rows, inputs), y.reshape(rows, outputs)
    x_mean, y_mean = x.mean(0), y.mean(0)
    left, right = x - x_mean, y - y_mean
    if ridge:
        left = np.concatenate([left, np.sqrt(ridge) * np.eye(inputs)])
        right = np.concatenate([right, np.zeros((inputs, outputs))])
    weight = np.linalg.lstsq(left, right, rcond=None)[0].T
    return weight, y_mean - weight @ x_mean


def _numbers(name: str, x: Any) -> np.ndarray:
    """In float64 on the CPU."""
    x = x.data if isinstance(x, Tensor) else x
    x = device.to(x, "cpu") if device.is_array(x) else np.asarray(x)
    if x.dtype.kind not in "iub" and not device.is_float(x.dtype):
        raise TypeError(f"least_squares: {name}: expected numbers, got {x.dtype}")
    x = x.astype(np.float64)
    if not np.isfinite(x).all():
        raise ValueError(f"least_squares: {name}: expected finite numbers, got NaN or infinity")
    return x
