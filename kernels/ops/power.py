"""Powers: x to the y, and those that have a name."""

import numpy as np

from ..dispatch import op
from ..signature import Floats
from .reduce import sum_to


@op("..., ... -> ...", backward="pow_backward")
def pow(x: Floats, y: Floats) -> Floats:
    """The power x**y; NaN for a negative x with a y that is not whole, 1 where y is 0.

    dx = dout · y · x**(y − 1), 0 where y is 0
    dy = dout · out · log x, 0 where x is 0 and y >= 0; each summed over the axes along which it was broadcast

    Args:
        x, y: float32, float64 or bfloat16 arrays of shapes that broadcast.

    Source: elementary.

    >>> pow(np.array([2.0, 9.0]), np.array([3.0, 0.5])).tolist()
    [8.0, 3.0]
    """
    return np.power(x, y)


@op("..., ..., ..., ... -> ..., ...", backward_of="pow", outputs="dx dy")
def pow_backward(dout: Floats, x: Floats, y: Floats, out: Floats) -> tuple[Floats, Floats]:
    """The gradients of `pow`: dx = dout · y · x**(y − 1), dy = dout · out · log x."""
    zero = out.dtype.type(0)
    dx = np.where(y == 0, zero, dout * y * np.power(x, y - 1))
    dy = np.where((x == 0) & (y >= 0), zero, dout * (out * np.log(x)))
    return sum_to(dx, x.shape), sum_to(dy, y.shape)


@op("S... -> S...", backward="square_backward")
def square(x: Floats) -> Floats:
    """The square x².

    dx = 2 dout · x

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Source: elementary.

    >>> square(np.array([-3.0, 0.5])).tolist()
    [9.0, 0.25]
    """
    return x * x


@op("S..., S... -> S...", backward_of="square", outputs="dx")
def square_backward(dout: Floats, x: Floats) -> Floats:
    """The gradient of `square`: dx = 2 dout · x."""
    return 2 * dout * x


@op("S... -> S...", backward="reciprocal_backward")
def reciprocal(x: Floats) -> Floats:
    """The reciprocal 1 / x; infinite at 0.

    dx = −dout · out²

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Source: elementary.

    >>> reciprocal(np.array([-4.0, 0.5])).tolist()
    [-0.25, 2.0]
    """
    return 1 / x


@op("S..., S... -> S...", backward_of="reciprocal", outputs="dx")
def reciprocal_backward(dout: Floats, out: Floats) -> Floats:
    """The gradient of `reciprocal`: dx = −dout · out²."""
    return -dout * out * out


@op("S... -> S...", backward="rsqrt_backward")
def rsqrt(x: Floats) -> Floats:
    """The reciprocal square root 1 / √x; infinite at 0, NaN below.

    dx = −dout · out³ / 2

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Source: elementary.

    >>> rsqrt(np.array([4.0, 0.25])).tolist()
    [0.5, 2.0]
    """
    return 1 / np.sqrt(x)


@op("S..., S... -> S...", backward_of="rsqrt", outputs="dx")
def rsqrt_backward(dout: Floats, out: Floats) -> Floats:
    """The gradient of `rsqrt`: dx = −dout · out³ / 2."""
    return -0.5 * dout * (out * out * out)
