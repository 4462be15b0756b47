"""Sums, means and maxima over any axes."""

from collections.abc import Callable
from math import prod
from typing import Any, TypeAlias

import numpy as np

from ..dispatch import op
from ..signature import Floats

Dim: TypeAlias = int | tuple[int, ...] | None


def _check_dim(name: str, *, nonempty: bool = False) -> Callable[..., None]:
    def check(x: np.ndarray, dim: Dim, keepdim: bool) -> None:
        dims: Any = (dim,) if type(dim) is int else tuple(range(x.ndim)) if dim is None else dim
        fits = isinstance(dims, tuple) and all(type(d) is int and -x.ndim <= d < x.ndim for d in dims)
        if not fits or len({d % x.ndim for d in dims}) < len(dims) or dim == ():
            raise ValueError(f"{name}: dim: expected None, or one or several axes of a shape {x.shape}, got {dim!r}")
        if nonempty and 0 in (x.shape[d] for d in dims):
            raise ValueError(f"{name}: x: expected at least one element to choose from, got shape {x.shape}")

    return check


@op("S... -> R...", backward="sum_backward", check=_check_dim("sum"))
def sum(x: Floats, dim: Dim = None, keepdim: bool = False) -> Floats:
    """The sum over some axes, or over all.

    dx = dout, repeated along those axes

    Args:
        x: float32 or float64, of any shape.
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
    return np.broadcast_to(dout.reshape(_kept(x_shape, dim)), x_shape)


@op("S... -> R...", backward="mean_backward", check=_check_dim("mean"))
def mean(x: Floats, dim: Dim = None, keepdim: bool = False) -> Floats:
    """The mean over some axes, or over all; NaN over none.

    dx = dout / count, repeated along those axes

    Args:
        x: float32 or float64, of any shape.
        dim: an axis, several, or None for all.
        keepdim: keep those axes, with size 1.

    Raises: ValueError for an axis that x does not have.
    Numerics: as `sum`, times 1 / count.
    Source: elementary.

    >>> mean(np.array([[1.0, 2.0], [3.0, 4.0]]), dim=0).tolist()
    [2.0, 3.0]
    """
    return np.asarray(x.sum(axis=dim, keepdims=keepdim) / x.dtype.type(_count(x.shape, dim)))


@op("R... -> S...", backward_of="mean", outputs="dx")
def mean_backward(dout: Floats, x_shape: tuple[int, ...], dim: Dim, keepdim: bool) -> Floats:
    """The gradient of `mean`: dout / count, repeated."""
    share = dout / dout.dtype.type(_count(x_shape, dim))
    return np.broadcast_to(share.reshape(_kept(x_shape, dim)), x_shape)


@op("S... -> R...", backward="max_backward", check=_check_dim("max", nonempty=True))
def max(x: Floats, dim: Dim = None, keepdim: bool = False) -> Floats:
    """The largest element along some axes, or of all; NaN where there is a NaN.

    dx = dout / ties where x = out, else 0: elements that tie for the maximum share the gradient equally

    Args:
        x: float32 or float64, of any shape.
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
    kept = _kept(x.shape, dim)
    largest = x == out.reshape(kept)
    share = dout.reshape(kept) / largest.sum(axis=dim, keepdims=True)
    return np.where(largest, share, 0).astype(x.dtype)


def sum_to(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The sum over the axes along which `shape` was broadcast to x's."""
    new = x.ndim - len(shape)
    axes = tuple(a for a in range(x.ndim) if a < new or shape[a - new] != x.shape[a])
    return x.sum(axis=axes).reshape(shape)


def _axes(ndim: int, dim: Dim) -> set[int]:
    dims = range(ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    return {d % ndim for d in dims}


def _kept(shape: tuple[int, ...], dim: Dim) -> tuple[int, ...]:
    """The shape with size 1 along the reduced axes."""
    axes = _axes(len(shape), dim)
    return tuple(1 if a in axes else n for a, n in enumerate(shape))


def _count(shape: tuple[int, ...], dim: Dim) -> int:
    return prod(shape[a] for a in _axes(len(shape), dim))
