"""Sums, means and products, on the traversal of fold.py; NumPy reduces booleans as fast as memory gives them."""

import math

import numpy as np

from ..device import contiguous
from .fold import as_rows, axes_of, fold, kept, measure, measured, reduce, spread
from .kernel import subroutine


def sum(x, dim, keepdim):
    axes = axes_of(x.ndim, dim)
    return reduce(_SUM, as_rows(x, axes)[0]).reshape(kept(x.shape, axes, keepdim))


def mean(x, dim, keepdim):
    axes = axes_of(x.ndim, dim)
    return reduce(_SUM, as_rows(x, axes)[0], _share(x.shape, axes)).reshape(kept(x.shape, axes, keepdim))


def mean_backward(dout, x_shape, dim, keepdim):
    axes = axes_of(len(x_shape), dim)
    share = reduce(_SUM, contiguous(dout).reshape(1, 1, -1), _share(x_shape, axes))
    return np.broadcast_to(share.reshape(kept(x_shape, axes, True)), x_shape)


def prod(x, dim, keepdim, save):
    axes = axes_of(x.ndim, dim)
    products, counts, _ = measured(_PROD, as_rows(x, axes)[0])
    shape = kept(x.shape, axes, keepdim)
    with np.errstate(all="ignore"):
        product, zeros = products.prod(1).reshape(shape), counts.sum(1).reshape(shape)
        out = np.asarray(np.where(zeros, 0 * product, product).astype(x.dtype))
    return (out, product, zeros) if save else (out, None, None)


def prod_backward(dout, x, product, zeros, dim, keepdim):
    with np.errstate(all="ignore"):
        others = np.where(zeros < 2, dout * product.astype(np.float64), 0)
    return _prod_spread(x, others, zeros, dim)


def any(x, dim, keepdim):
    return np.asarray(x.any(axis=dim, keepdims=keepdim))


def all(x, dim, keepdim):
    return np.asarray(x.all(axis=dim, keepdims=keepdim))


def sum_to(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The sum over the axes along which `shape` was broadcast to x's; x itself if there are none."""
    if x.shape == shape:
        return x
    new = x.ndim - len(shape)
    axes = tuple(a for a, n in enumerate(x.shape) if a < new or shape[a - new] != n)
    return reduce(_SUM, as_rows(x, axes)[0]).reshape(shape)


def _share(shape: tuple[int, ...], axes: tuple[int, ...]) -> float:
    count = math.prod(shape[a] for a in axes)
    return 1 / count if count else math.nan


@subroutine
def row_sum(x, begin, size):
    """The sum of x[begin : begin + size], float64."""
    row, total = x[begin : begin + size], 0.0
    for k in range(row.size):
        total += row[k]
    return total


def plus(a, b):
    return a + b


@subroutine
def _row_product(x, begin, size):
    row, total = x[begin : begin + size], 1.0
    for k in range(row.size):
        total *= row[k] if row[k] != 0 else 1.0
    return total


def _times(a, b):
    return a * (b if b != 0 else 1.0)


def _product_of_others(x, a, zeros):
    if zeros == 0:
        return a / x
    return a if x == 0 else 0.0


_SUM = fold("_sum", row_sum, plus, 0.0)
_PROD = measure("_prod", _row_product, _times, 1.0, lambda product, _: product, lambda x, _: x == 0)
_prod_spread = spread("_prod_spread", _product_of_others)
