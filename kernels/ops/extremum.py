"""Maxima and minima over any axes, and where they are."""

import numpy as np

from ..dispatch import op
from ..signature import Arrays, Floats, Ints
from .reduce import Dim, check_dim, kept


@op("S... -> R...", backward="max_backward", check=check_dim("max", nonempty=True))
def max(x: Floats, dim: Dim = None, keepdim: bool = False) -> Floats:
    """The largest element along some axes, or of all; NaN where there is a NaN.

    dx = dout / ties where x = out, else 0: elements that tie for the maximum share the gradient equally

    Args:
        x: float32, float64 or bfloat16, of any shape.
        dim: an axis, several, or None for all.
        keepdim: keep those axes, with size 1.

    Raises: ValueError for an axis that x does not have, or along which there is nothing.
    Source: elementary; ties as in PyTorch's amax.

    >>> max(np.array([[1.0, 2.0], [3.0, 4.0]]), dim=0).tolist()
    [3.0, 4.0]
    """
    return np.asarray(x.max(axis=dim, keepdims=keepdim))


@op("R..., S..., R... -> S...", backward_of="max", outputs="dx")
def max_backward(dout: Floats, x: Floats, out: Floats, dim: Dim, keepdim: bool) -> Floats:
    """The gradient of `max`: dout / ties where x = out, else 0."""
    return _among_ties(dout, x, out, dim)


@op("S... -> R...", backward="min_backward", check=check_dim("min", nonempty=True))
def min(x: Floats, dim: Dim = None, keepdim: bool = False) -> Floats:
    """The smallest element along some axes, or of all; NaN where there is a NaN.

    dx = dout / ties where x = out, else 0: elements that tie for the minimum share the gradient equally

    Args:
        x: float32, float64 or bfloat16, of any shape.
        dim: an axis, several, or None for all.
        keepdim: keep those axes, with size 1.

    Raises: ValueError for an axis that x does not have, or along which there is nothing.
    Source: elementary; ties as in PyTorch's amin.

    >>> min(np.array([[1.0, 2.0], [3.0, 4.0]]), dim=0).tolist()
    [1.0, 2.0]
    """
    return np.asarray(x.min(axis=dim, keepdims=keepdim))


@op("R..., S..., R... -> S...", backward_of="min", outputs="dx")
def min_backward(dout: Floats, x: Floats, out: Floats, dim: Dim, keepdim: bool) -> Floats:
    """The gradient of `min`: dout / ties where x = out, else 0."""
    return _among_ties(dout, x, out, dim)


@op("S... -> R...", no_gradient="a position does not vary smoothly", check=check_dim("argmax", nonempty=True, one=True))
def argmax(x: Arrays, dim: int | None = None, keepdim: bool = False) -> Ints:
    """Where the largest element along an axis is, or of all elements in C order: the first of those that tie.

    Args:
        x: numbers or booleans, of any shape. NaN counts as largest.
        dim: an axis, or None for all.
        keepdim: keep that axis, or all, with size 1.

    Returns: int64 positions.
    Raises: ValueError for an axis that x does not have, or along which there is nothing.
    Source: elementary; ties and NaN as in NumPy.

    >>> argmax(np.array([[1.0, 2.0], [3.0, 0.0]]), dim=1).tolist()
    [1, 0]
    """
    return np.asarray(np.argmax(x, axis=dim, keepdims=keepdim))


@op("S... -> R...", no_gradient="a position does not vary smoothly", check=check_dim("argmin", nonempty=True, one=True))
def argmin(x: Arrays, dim: int | None = None, keepdim: bool = False) -> Ints:
    """Where the smallest element along an axis is, or of all elements in C order: the first of those that tie.

    Args:
        x: numbers or booleans, of any shape. NaN counts as smallest.
        dim: an axis, or None for all.
        keepdim: keep that axis, or all, with size 1.

    Returns: int64 positions.
    Raises: ValueError for an axis that x does not have, or along which there is nothing.
    Source: elementary; ties and NaN as in NumPy.

    >>> argmin(np.array([[1.0, 2.0], [3.0, 0.0]]), dim=1).tolist()
    [0, 1]
    """
    return np.asarray(np.argmin(x, axis=dim, keepdims=keepdim))


def _among_ties(dout: np.ndarray, x: np.ndarray, out: np.ndarray, dim: Dim) -> np.ndarray:
    shape = kept(x.shape, dim)
    chosen = x == out.reshape(shape)
    share = dout.reshape(shape) / chosen.sum(axis=dim, keepdims=True)
    return np.where(chosen, share, 0).astype(x.dtype)
