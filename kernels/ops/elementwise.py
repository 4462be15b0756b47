"""Functions of each element; those of two arguments broadcast as NumPy does."""

import numpy as np

from ..dispatch import op
from ..signature import Floats
from .reduce import sum_to


@op("..., ... -> ...", backward="add_backward")
def add(x: Floats, y: Floats) -> Floats:
    """The sum x + y.

    dx = dout;  dy = dout, each summed over the axes along which it was broadcast

    Args:
        x, y: float32, float64 or bfloat16 arrays of shapes that broadcast.

    Source: elementary.

    >>> add(np.array([1.0, 2.0]), np.array(3.0)).tolist()
    [4.0, 5.0]
    """
    return x + y


@op("... -> ..., ...", backward_of="add", outputs="dx dy")
def add_backward(dout: Floats, x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """The gradients of `add`; one of dout's shape is dout itself."""
    return sum_to(dout, x_shape), sum_to(dout, y_shape)


@op("..., ... -> ...", backward="sub_backward")
def sub(x: Floats, y: Floats) -> Floats:
    """The difference x − y.

    dx = dout;  dy = −dout, each summed over the axes along which it was broadcast

    Args:
        x, y: float32, float64 or bfloat16 arrays of shapes that broadcast.

    Source: elementary.

    >>> sub(np.array([1.0, 2.0]), np.array(3.0)).tolist()
    [-2.0, -1.0]
    """
    return x - y


@op("... -> ..., ...", backward_of="sub", outputs="dx dy")
def sub_backward(dout: Floats, x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """The gradients of `sub`; one of dout's shape is dout itself."""
    return sum_to(dout, x_shape), -sum_to(dout, y_shape)


@op("..., ... -> ...", backward="mul_backward")
def mul(x: Floats, y: Floats) -> Floats:
    """The product x · y.

    dx = dout · y;  dy = dout · x, each summed over the axes along which it was broadcast

    Args:
        x, y: float32, float64 or bfloat16 arrays of shapes that broadcast.

    Source: elementary.

    >>> mul(np.array([1.0, 2.0]), np.array(3.0)).tolist()
    [3.0, 6.0]
    """
    return x * y


@op("..., ..., ... -> ..., ...", backward_of="mul", outputs="dx dy")
def mul_backward(dout: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The gradients of `mul`: dx = dout · y, dy = dout · x."""
    return sum_to(dout * y, x.shape), sum_to(dout * x, y.shape)


@op("..., ... -> ...", backward="div_backward")
def div(x: Floats, y: Floats) -> Floats:
    """The quotient x / y; IEEE infinities and NaN where y is 0.

    dx = dout / y;  dy = −dout · out / y, each summed over the axes along which it was broadcast

    Args:
        x, y: float32, float64 or bfloat16 arrays of shapes that broadcast.

    Source: elementary.

    >>> div(np.array([1.0, 2.0]), np.array(4.0)).tolist()
    [0.25, 0.5]
    """
    return x / y


@op("..., ..., ... -> ..., ...", backward_of="div", outputs="dx dy")
def div_backward(dout: Floats, y: Floats, out: Floats, x_shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """The gradients of `div`: dx = dout / y, dy = −dx · out."""
    dx = dout / y
    return sum_to(dx, x_shape), sum_to(-(dx * out), y.shape)


@op("S... -> S...", backward="neg_backward")
def neg(x: Floats) -> Floats:
    """The negative −x.

    dx = −dout

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Source: elementary.

    >>> neg(np.array([1.0, -2.0])).tolist()
    [-1.0, 2.0]
    """
    return -x


@op("S... -> S...", backward_of="neg", outputs="dx")
def neg_backward(dout: Floats) -> Floats:
    """The gradient of `neg`: dx = −dout."""
    return -dout


@op("S... -> S...", backward="exp_backward")
def exp(x: Floats) -> Floats:
    """The exponential e**x.

    dx = dout · out

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Numerics: at most 2 ulp on the CPU.
    Source: elementary.

    >>> exp(np.array([0.0, 1.0])).round(3).tolist()
    [1.0, 2.718]
    """
    return np.exp(x)


@op("S..., S... -> S...", backward_of="exp", outputs="dx")
def exp_backward(dout: Floats, out: Floats) -> Floats:
    """The gradient of `exp`: dx = dout · out."""
    return dout * out


@op("S... -> S...", backward="log_backward")
def log(x: Floats) -> Floats:
    """The natural logarithm; -inf at 0, NaN below.

    dx = dout / x

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Numerics: at most 2 ulp on the CPU.
    Source: elementary.

    >>> log(np.array([1.0, 10.0])).round(3).tolist()
    [0.0, 2.303]
    """
    return np.log(x)


@op("S..., S... -> S...", backward_of="log", outputs="dx")
def log_backward(dout: Floats, x: Floats) -> Floats:
    """The gradient of `log`: dx = dout / x."""
    return dout / x


@op("S... -> S...", backward="sqrt_backward")
def sqrt(x: Floats) -> Floats:
    """The square root; NaN below 0.

    dx = dout / (2 out)

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Source: elementary.

    >>> sqrt(np.array([0.25, 4.0])).tolist()
    [0.5, 2.0]
    """
    return np.sqrt(x)


@op("S..., S... -> S...", backward_of="sqrt", outputs="dx")
def sqrt_backward(dout: Floats, out: Floats) -> Floats:
    """The gradient of `sqrt`: dx = dout / (2 out), infinite at 0."""
    return dout / (2 * out)


@op("S... -> S...", backward="tanh_backward")
def tanh(x: Floats) -> Floats:
    """The hyperbolic tangent (exp(2x) − 1) / (exp(2x) + 1).

    dx = dout · (1 − out²)

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Numerics: at most 3 ulp on the CPU.
    Source: elementary.

    >>> tanh(np.array([0.0, 1.0])).round(3).tolist()
    [0.0, 0.762]
    """
    return np.tanh(x)


@op("S..., S... -> S...", backward_of="tanh", outputs="dx")
def tanh_backward(dout: Floats, out: Floats) -> Floats:
    """The gradient of `tanh`: dx = dout · (1 − out²)."""
    return dout * (1 - out * out)


@op("S... -> S...", backward="sigmoid_backward")
def sigmoid(x: Floats) -> Floats:
    """The logistic function 1 / (1 + exp(−x)).

    dx = dout · out · (1 − out)

    Args:
        x: float32, float64 or bfloat16, of any shape.

    Numerics: at most 4 ulp on the CPU; no overflow reaches the result.
    Source: elementary.

    >>> sigmoid(np.array([0.0, 2.0])).round(3).tolist()
    [0.5, 0.881]
    """
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


@op("S..., S... -> S...", backward_of="sigmoid", outputs="dx")
def sigmoid_backward(dout: Floats, out: Floats) -> Floats:
    """The gradient of `sigmoid`: dx = dout · out · (1 − out)."""
    return dout * out * (1 - out)
