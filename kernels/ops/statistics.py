"""Variance, standard deviation and log-sum-exp over any axes."""

from typing import Annotated, TypeAlias

import numpy as np

from ..dispatch import op
from ..signature import Doubles, Floats, Interval
from .reduce import Dim, check_dim, count, kept

Correction: TypeAlias = Annotated[float, Interval(open="both")]


@op("S... -> R...", backward="var_backward", saves="mean", check=check_dim("var"))
def var(
    x: Floats, dim: Dim = None, correction: Correction = 1, keepdim: bool = False, save: bool = False
) -> tuple[Floats, Doubles]:
    """The variance over some axes, or over all n elements.

    out = Σ (x − mean)² / f;  dx = dout · 2 (x − mean) / f;  f = max(0, n − correction)

    Args:
        x: float32, float64 or bfloat16, of any shape.
        dim: an axis, several, or None for all.
        correction: 1 for the unbiased estimate, 0 for the mean square.
        keepdim: keep those axes, with size 1.

    Returns: NaN where f is 0 and all elements are equal; infinity where they are not.
    Raises: ValueError for an axis that x does not have.
    Numerics: in float64 around the mean, so that a common offset does no harm.
    Source: elementary; degrees of freedom as in PyTorch.

    >>> var(np.array([[1.0, 3.0], [2.0, 2.0]]), dim=1).tolist()
    [2.0, 0.0]
    """
    out, mean = _variance(x, dim, correction, keepdim)
    return out.astype(x.dtype), mean


@op("R..., S..., R... -> S...", backward_of="var", outputs="dx")
def var_backward(dout: Floats, x: Floats, mean: Doubles, dim: Dim, correction: Correction, keepdim: bool) -> Floats:
    """The gradient of `var`: dx = dout · 2 (x − mean) / f."""
    shape = kept(x.shape, dim)
    return ((x - mean.reshape(shape)) * (2 * dout.reshape(shape) / _freedom(x, dim, correction))).astype(x.dtype)


@op("S... -> R...", backward="std_backward", saves="mean", check=check_dim("std"))
def std(
    x: Floats, dim: Dim = None, correction: Correction = 1, keepdim: bool = False, save: bool = False
) -> tuple[Floats, Doubles]:
    """The standard deviation over some axes, or over all n elements: the square root of `var`.

    out = √(Σ (x − mean)² / f);  dx = dout · (x − mean) / (out · f), 0 where out = 0;  f = max(0, n − correction)

    Args:
        x: float32, float64 or bfloat16, of any shape.
        dim: an axis, several, or None for all.
        correction: 1 for the square root of the unbiased variance, 0 for the root mean square.
        keepdim: keep those axes, with size 1.

    Returns: NaN where f is 0 and all elements are equal; infinity where they are not.
    Raises: ValueError for an axis that x does not have.
    Numerics: as `var`.
    Source: elementary; degrees of freedom as in PyTorch.

    >>> std(np.array([[1.0, 3.0], [2.0, 2.0]]), dim=1, correction=0).tolist()
    [1.0, 0.0]
    """
    out, mean = _variance(x, dim, correction, keepdim)
    return np.sqrt(out).astype(x.dtype), mean


@op("R..., S..., R..., R... -> S...", backward_of="std", outputs="dx")
def std_backward(
    dout: Floats, x: Floats, out: Floats, mean: Doubles, dim: Dim, correction: Correction, keepdim: bool
) -> Floats:
    """The gradient of `std`: dx = dout · (x − mean) / (out · f), 0 where out = 0."""
    shape = kept(x.shape, dim)
    dout, out, mean = (a.reshape(shape) for a in (dout, out, mean))
    share = np.where(out == 0, 0, dout / (out * _freedom(x, dim, correction)))
    return ((x - mean) * share).astype(x.dtype)


@op("S... -> R...", backward="logsumexp_backward", saves="lse", check=check_dim("logsumexp"))
def logsumexp(x: Floats, dim: Dim = None, keepdim: bool = False, save: bool = False) -> tuple[Floats, Doubles]:
    """The logarithm of the sum of exponentials over some axes, or over all; -inf over none.

    out = log Σ exp(x);  dx = dout · exp(x − out)

    Args:
        x: float32, float64 or bfloat16, of any shape.
        dim: an axis, several, or None for all.
        keepdim: keep those axes, with size 1.

    Returns: -inf where all elements are -inf (its gradient is NaN, as in PyTorch), infinity where one is.
    Raises: ValueError for an axis that x does not have.
    Numerics: the largest element is subtracted first; sums in float64, and so is the result that is saved.
    Source: elementary.

    >>> np.exp(logsumexp(np.log(np.array([[1.0, 2.0], [3.0, 5.0]])), dim=1)).round(3).tolist()
    [3.0, 8.0]
    """
    top = x.max(axis=dim, keepdims=True, initial=-np.inf).astype(np.float64)
    top = np.where(np.isinf(top), 0, top)
    lse = np.log(np.exp(x - top).sum(axis=dim, keepdims=True)) + top
    lse = lse if keepdim else lse.squeeze(dim)
    return lse.astype(x.dtype), lse


@op("R..., S..., R... -> S...", backward_of="logsumexp", outputs="dx")
def logsumexp_backward(dout: Floats, x: Floats, lse: Doubles, dim: Dim, keepdim: bool) -> Floats:
    """The gradient of `logsumexp`: dx = dout · exp(x − lse)."""
    shape = kept(x.shape, dim)
    return (dout.reshape(shape) * np.exp(x - lse.reshape(shape))).astype(x.dtype)


def _variance(x: np.ndarray, dim: Dim, correction: float, keepdim: bool) -> tuple[np.ndarray, np.ndarray]:
    """(variance, mean), float64."""
    mean = x.sum(axis=dim, keepdims=True, dtype=np.float64) / np.float64(count(x.shape, dim))
    out = ((x - mean) ** 2).sum(axis=dim, keepdims=keepdim) / _freedom(x, dim, correction)
    return out, mean.reshape(out.shape)


def _freedom(x: np.ndarray, dim: Dim, correction: float) -> np.float64:
    n = count(x.shape, dim)
    return np.float64(n - correction if n > correction else 0)
