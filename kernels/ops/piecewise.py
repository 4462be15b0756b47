"""Functions made of straight pieces: magnitude and sign, bounds, rounding. Gradients at kinks are PyTorch's."""

from typing import Annotated

import numpy as np

from ..dispatch import op
from ..signature import Floats, Interval
from .reduce import sum_to


@op("S... -> S...", backward="abs_backward")
def abs(x: Floats) -> Floats:
    """The magnitude |x|.

    dx = dout · sign(x)

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Source: elementary.

    >>> abs(np.array([-1.5, 2.0])).tolist()
    [1.5, 2.0]
    """
    return np.abs(x)


@op("S..., S... -> S...", backward_of="abs", outputs="dx")
def abs_backward(dout: Floats, x: Floats) -> Floats:
    """The gradient of `abs`: dx = dout · sign(x)."""
    return dout * _sign(x)


@op("S... -> S...", backward="sign_backward")
def sign(x: Floats) -> Floats:
    """1 where x is positive, −1 where it is negative, else 0, also for NaN.

    dx = 0

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Source: elementary.

    >>> sign(np.array([-1.5, 0.0, 2.0])).tolist()
    [-1.0, 0.0, 1.0]
    """
    return _sign(x)


@op("S... -> S...", backward_of="sign", outputs="dx")
def sign_backward(dout: Floats) -> Floats:
    """The gradient of `sign`: 0."""
    return np.zeros_like(dout)


def _sign(x: np.ndarray) -> np.ndarray:
    one = x.dtype.type(1)
    return np.where(x > 0, one, np.where(x < 0, -one, x.dtype.type(0)))


@op("..., ... -> ...", backward="maximum_backward")
def maximum(x: Floats, y: Floats) -> Floats:
    """The larger of x and y; NaN where either is.

    dx = dout where x > y, dout / 2 where x = y, else 0; dy likewise; each summed over the axes along which it was
    broadcast

    Args:
        x, y: float32, float64 or bfloat16 arrays of shapes that broadcast.

    Source: elementary; ties as in PyTorch, both gradients whole where either is NaN.

    >>> maximum(np.array([1.0, 3.0]), np.array(2.0)).tolist()
    [2.0, 3.0]
    """
    return np.maximum(x, y)


@op("..., ..., ... -> ..., ...", backward_of="maximum", outputs="dx dy")
def maximum_backward(dout: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The gradients of `maximum`: dout to the larger, halves to both where they are equal."""
    return sum_to(_share(dout, x, y), x.shape), sum_to(_share(dout, y, x), y.shape)


@op("..., ... -> ...", backward="minimum_backward")
def minimum(x: Floats, y: Floats) -> Floats:
    """The smaller of x and y; NaN where either is.

    dx = dout where x < y, dout / 2 where x = y, else 0; dy likewise; each summed over the axes along which it was
    broadcast

    Args:
        x, y: float32, float64 or bfloat16 arrays of shapes that broadcast.

    Source: elementary; ties as in PyTorch, both gradients whole where either is NaN.

    >>> minimum(np.array([1.0, 3.0]), np.array(2.0)).tolist()
    [1.0, 2.0]
    """
    return np.minimum(x, y)


@op("..., ..., ... -> ..., ...", backward_of="minimum", outputs="dx dy")
def minimum_backward(dout: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The gradients of `minimum`: dout to the smaller, halves to both where they are equal."""
    return sum_to(_share(dout, y, x), x.shape), sum_to(_share(dout, x, y), y.shape)


def _share(dout: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The part of dout that goes to x where the larger takes it."""
    return np.where(x < y, dout.dtype.type(0), np.where(x == y, dout / 2, dout))


def _check_bounds(x: np.ndarray, min: float | None, max: float | None) -> None:
    if min is None and max is None:
        raise ValueError("clip: expected min, max or both, got neither")


@op("S... -> S...", backward="clip_backward", check=_check_bounds)
def clip(
    x: Floats, min: Annotated[float, Interval()] | None = None, max: Annotated[float, Interval()] | None = None
) -> Floats:
    """x, raised to `min` and then lowered to `max`; NaN stays.

    dx = dout where min <= x <= max, else 0

    Args:
        x: float32, float64 or bfloat16, of any shape.
        min, max: bounds; None is no bound.

    Raises:
        ValueError: neither bound is given.

    Source: elementary.

    >>> clip(np.array([-2.0, 0.5, 3.0]), 0, 1).tolist()
    [0.0, 0.5, 1.0]
    """
    low, high = _bounds(x, min, max)
    return np.minimum(np.maximum(x, low), high)


@op("S..., S... -> S...", backward_of="clip", outputs="dx")
def clip_backward(dout: Floats, x: Floats, min: float | None, max: float | None) -> Floats:
    """The gradient of `clip`: dx = dout where min <= x <= max, else 0."""
    low, high = _bounds(x, min, max)
    return np.where((low <= x) & (x <= high), dout, dout.dtype.type(0))


def _bounds(x: np.ndarray, low: float | None, high: float | None) -> tuple[np.floating, np.floating]:
    f = x.dtype.type
    return f(-np.inf if low is None else low), f(np.inf if high is None else high)


@op("S... -> S...", backward="floor_backward")
def floor(x: Floats) -> Floats:
    """The largest whole number that is not above x.

    dx = 0

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Source: elementary.

    >>> floor(np.array([-1.5, 0.5, 2.5])).tolist()
    [-2.0, 0.0, 2.0]
    """
    return np.floor(x)


@op("S... -> S...", backward_of="floor", outputs="dx")
def floor_backward(dout: Floats) -> Floats:
    """The gradient of `floor`: 0."""
    return np.zeros_like(dout)


@op("S... -> S...", backward="ceil_backward")
def ceil(x: Floats) -> Floats:
    """The smallest whole number that is not below x.

    dx = 0

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Source: elementary.

    >>> ceil(np.array([-1.5, 0.5, 2.5])).tolist()
    [-1.0, 1.0, 3.0]
    """
    return np.ceil(x)


@op("S... -> S...", backward_of="ceil", outputs="dx")
def ceil_backward(dout: Floats) -> Floats:
    """The gradient of `ceil`: 0."""
    return np.zeros_like(dout)


@op("S... -> S...", backward="round_backward")
def round(x: Floats) -> Floats:
    """The nearest whole number, the even one of two.

    dx = 0

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Source: elementary.

    >>> round(np.array([-1.5, 0.5, 2.5])).tolist()
    [-2.0, 0.0, 2.0]
    """
    return np.rint(x)


@op("S... -> S...", backward_of="round", outputs="dx")
def round_backward(dout: Floats) -> Floats:
    """The gradient of `round`: 0."""
    return np.zeros_like(dout)


@op("S... -> S...", backward="trunc_backward")
def trunc(x: Floats) -> Floats:
    """The whole number next to x towards 0.

    dx = 0

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Source: elementary.

    >>> trunc(np.array([-1.5, 0.5, 2.5])).tolist()
    [-1.0, 0.0, 2.0]
    """
    return np.trunc(x)


@op("S... -> S...", backward_of="trunc", outputs="dx")
def trunc_backward(dout: Floats) -> Floats:
    """The gradient of `trunc`: 0."""
    return np.zeros_like(dout)
