"""Sums, means and products over any axes; any and all."""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ..dispatch import op
from ..signature import Bools, Doubles, Floats

Dim: TypeAlias = int | tuple[int, ...] | None


def check_dim(name: str, *, nonempty: bool = False, one: bool = False) -> Callable[..., None]:
    """The check of the parameter `dim`: axes that x has (with `one`, not several), with elements if `nonempty`."""

    def check(x: np.ndarray, dim: Dim, *_: object) -> None:
        dims: Any = (dim,) if type(dim) is int else tuple(range(x.ndim)) if dim is None else dim
        fits = isinstance(dims, tuple) and {type(d) for d in dims} <= {int} and {*dims} <= {*range(-x.ndim, x.ndim)}
        if not fits or len({d % x.ndim for d in dims}) < len(dims) or dim == () or (one and isinstance(dim, tuple)):
            axes = "an axis" if one else "one or several axes"
            raise ValueError(f"{name}: dim: expected None, or {axes} of a shape {x.shape}, got {dim!r}")
        if nonempty and 0 in (x.shape[d] for d in dims):
            raise ValueError(f"{name}: x: expected at least one element to choose from, got shape {x.shape}")

    return check


@op("S... -> R...", backward="sum_backward", check=check_dim("sum"))
def sum(x: Floats, dim: Dim = None, keepdim: bool = False) -> Floats:
    """The sum over some axes, or over all.

    dx = dout, repeated along those axes

    Args:
        x: float32, float64 or bfloat16, of any shape.
        dim: an axis, several, or None for all.
        keepdim: keep those axes, with size 1.

    Raises: ValueError for an axis that x does not have.
    Numerics: on the CPU in float64, in blocks of fixed size whose sums are rounded to x's dtype.
    Source: elementary.

    >>> sum(np.array([[1.0, 2.0], [3.0, 4.0]]), dim=0).tolist()
    [4.0, 6.0]
    """
    return np.asarray(x.sum(axis=dim, keepdims=keepdim))


@op("R... -> S...", backward_of="sum", outputs="dx", view=True)
def sum_backward(dout: Floats, x_shape: tuple[int, ...], dim: Dim, keepdim: bool) -> Floats:
    """The gradient of `sum`: dout, repeated as a view with strides 0."""
    return np.broadcast_to(dout.reshape(kept(x_shape, dim)), x_shape)


@op("S... -> R...", backward="mean_backward", check=check_dim("mean"))
def mean(x: Floats, dim: Dim = None, keepdim: bool = False) -> Floats:
    """The mean over some axes, or over all; NaN over none.

    dx = dout / count, repeated along those axes

    Args:
        x: float32, float64 or bfloat16, of any shape.
        dim: an axis, several, or None for all.
        keepdim: keep those axes, with size 1.

    Raises: ValueError for an axis that x does not have.
    Numerics: as `sum`, times 1 / count.
    Source: elementary.

    >>> mean(np.array([[1.0, 2.0], [3.0, 4.0]]), dim=0).tolist()
    [2.0, 3.0]
    """
    return np.asarray(x.sum(axis=dim, keepdims=keepdim) / x.dtype.type(count(x.shape, dim)))


@op("R... -> S...", backward_of="mean", outputs="dx")
def mean_backward(dout: Floats, x_shape: tuple[int, ...], dim: Dim, keepdim: bool) -> Floats:
    """The gradient of `mean`: dout / count, repeated."""
    share = dout / dout.dtype.type(count(x_shape, dim))
    return np.broadcast_to(share.reshape(kept(x_shape, dim)), x_shape)


@op("S... -> R...", backward="prod_backward", saves="product zeros", check=check_dim("prod"))
def prod(x: Floats, dim: Dim = None, keepdim: bool = False, save: bool = False) -> tuple[Floats, Doubles, Doubles]:
    """The product over some axes, or over all; 1 over none.

    dx = dout · (the product of the others), which is 0 where another element is 0

    Args:
        x: float32, float64 or bfloat16, of any shape.
        dim: an axis, several, or None for all.
        keepdim: keep those axes, with size 1.

    Raises: ValueError for an axis that x does not have.
    Numerics: in float64; the product of the elements that are not 0 and the number of the others are saved.
    Source: elementary.

    >>> prod(np.array([[1.0, 2.0], [3.0, 4.0]]), dim=0).tolist()
    [3.0, 8.0]
    """
    out = x.prod(axis=dim, keepdims=keepdim)
    product = np.where(x == 0, 1, x).prod(axis=dim, keepdims=keepdim, dtype=np.float64)
    zeros = (x == 0).sum(axis=dim, keepdims=keepdim, dtype=np.float64)
    return out, product, zeros


@op("R..., S..., R..., R... -> S...", backward_of="prod", outputs="dx")
def prod_backward(dout: Floats, x: Floats, product: Doubles, zeros: Doubles, dim: Dim, keepdim: bool) -> Floats:
    """The gradient of `prod`: dout · product / x, or where there are zeros dout · product at the only one, else 0."""
    shape = kept(x.shape, dim)
    product, zeros = (dout * product).reshape(shape), zeros.reshape(shape)
    at_zero = np.where((zeros == 1) & (x == 0), product, 0)
    return np.where(zeros == 0, product / np.where(x == 0, 1, x), at_zero).astype(x.dtype)


@op("S... -> R...", no_gradient="a truth value does not vary smoothly", check=check_dim("any"))
def any(x: Bools, dim: Dim = None, keepdim: bool = False) -> Bools:
    """Whether some element along some axes, or at all, is true; false of none.

    Args:
        x: booleans, of any shape.
        dim: an axis, several, or None for all.
        keepdim: keep those axes, with size 1.

    Raises: ValueError for an axis that x does not have.
    Source: elementary.

    >>> any(np.array([[True, False], [False, False]]), dim=1).tolist()
    [True, False]
    """
    return np.asarray(x.any(axis=dim, keepdims=keepdim))


@op("S... -> R...", no_gradient="a truth value does not vary smoothly", check=check_dim("all"))
def all(x: Bools, dim: Dim = None, keepdim: bool = False) -> Bools:
    """Whether every element along some axes, or of all, is true; true of none.

    Args:
        x: booleans, of any shape.
        dim: an axis, several, or None for all.
        keepdim: keep those axes, with size 1.

    Raises: ValueError for an axis that x does not have.
    Source: elementary.

    >>> all(np.array([[True, True], [True, False]]), dim=1).tolist()
    [True, False]
    """
    return np.asarray(x.all(axis=dim, keepdims=keepdim))


def sum_to(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The sum over the axes along which `shape` was broadcast to x's."""
    new = x.ndim - len(shape)
    axes = tuple(a for a in range(x.ndim) if a < new or shape[a - new] != x.shape[a])
    return x.sum(axis=axes).reshape(shape)


def _axes(ndim: int, dim: Dim) -> set[int]:
    dims = range(ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    return {d % ndim for d in dims}


def kept(shape: tuple[int, ...], dim: Dim) -> tuple[int, ...]:
    """The shape with size 1 along the reduced axes."""
    axes = _axes(len(shape), dim)
    return tuple(1 if a in axes else n for a, n in enumerate(shape))


def count(shape: tuple[int, ...], dim: Dim) -> int:
    """The number of elements along the reduced axes."""
    return math.prod(shape[a] for a in _axes(len(shape), dim))
