"""Sums, means and products, on the machinery of fold.py."""

import math

import numpy as np
from numba.cuda import float64, int32

from ..layout import axes_of, kept
from .fold import Fold, as_rows
from .kernel import primitive
from .pointwise import elementwise


def sum(x, dim, keepdim):
    axes = axes_of(x.ndim, dim)
    return SUM(as_rows(x, axes)[0], 1.0)[0].reshape(kept(x.shape, axes, keepdim))


def mean(x, dim, keepdim):
    axes = axes_of(x.ndim, dim)
    return SUM(as_rows(x, axes)[0], _share(x.shape, axes))[0].reshape(kept(x.shape, axes, keepdim))


def mean_backward(dout, x_shape, dim, keepdim):
    axes = axes_of(len(x_shape), dim)
    share = _scaled(dout, _share(x_shape, axes))
    return np.broadcast_to(share.reshape(kept(x_shape, axes, True)), x_shape)


def prod(x, dim, keepdim, save):
    axes = axes_of(x.ndim, dim)
    out, product, zeros = (found.reshape(kept(x.shape, axes, keepdim)) for found in _PROD(as_rows(x, axes)[0]))
    return (out, product, zeros) if save else (out, None, None)


def prod_backward(dout, x, product, zeros, dim, keepdim):
    shape = kept(x.shape, axes_of(x.ndim, dim), True)
    return _product_of_others(x, dout.reshape(shape), product.reshape(shape), zeros.reshape(shape))


def any(x, dim, keepdim):
    axes = axes_of(x.ndim, dim)
    return _ANY(as_rows(x, axes)[0])[0].reshape(kept(x.shape, axes, keepdim))


def all(x, dim, keepdim):
    axes = axes_of(x.ndim, dim)
    return _ALL(as_rows(x, axes)[0])[0].reshape(kept(x.shape, axes, keepdim))


def sum_to(x, shape):
    """The sum over the axes along which `shape` was broadcast to x's; x itself if there are none."""
    if x.shape == shape:
        return x
    new = x.ndim - len(shape)
    axes = tuple(a for a, n in enumerate(x.shape) if a < new or shape[a - new] != n)
    return SUM(as_rows(x, axes)[0], 1.0)[0].reshape(shape)


def _share(shape: tuple[int, ...], axes: tuple[int, ...]) -> float:
    count = math.prod(shape[a] for a in axes)
    return 1 / count if count else math.nan


@elementwise
def _scaled(x, share):
    return x * share


@elementwise
def _product_of_others(x, dout, product, zeros):
    """In float64, as the product that was saved: its range is needed."""
    others = float64(dout) * product
    at_zero = others if (zeros == 1.0) & (x == type(x)(0)) else 0.0
    return type(x)(others / float64(x) if zeros == 0.0 else at_zero)


def _no_sum(like):
    return type(like)(0), type(like)(0)


@primitive
def add(a, b):
    """The sum of two sums that are each a number and what was lost by rounding it.

    Source: Knuth, The Art of Computer Programming 2, 4.2.2 (the sum and its error, of numbers of any sizes).
    """
    total = a[0] + b[0]
    part = total - a[0]
    return total, a[1] + b[1] + ((a[0] - (total - part)) + (b[0] - part))


@primitive
def value(total):
    """The number that a sum is; what an infinite one has lost is NaN."""
    x = total[0] + total[1]
    return total[0] if x != x else x


def _finished(state, p, q):
    return (value(state) * p,)


def _one_of(x, row, pivot):
    return x, type(x)(0)


def _no_product(like):
    return 1.0, 0.0


def _factor(x, row, pivot):
    is_zero = x == type(x)(0)
    return 1.0 if is_zero else float64(x), 1.0 if is_zero else 0.0


def _times(a, b):
    return a[0] * b[0], a[1] + b[1]


def _product(state, p, q):
    product = state[0] * 0.0 if state[1] > 0.0 else state[0]
    return type(p)(product), state[0], state[1]


def _none(like):
    return (int32(0),)


def _is_true(x, row, pivot):
    return (int32(1) if x else int32(0),)


def _is_false(x, row, pivot):
    return (int32(0) if x else int32(1),)


def _either(a, b):
    return (a[0] | b[0],)


def _found(state, p, q):
    return (state[0] != int32(0),)


def _not_found(state, p, q):
    return (state[0] == int32(0),)


SUM = Fold(__name__, "_sum", _no_sum, _one_of, add, _finished, "A* A*", "A*")
_PROD = Fold(__name__, "_prod", _no_product, _factor, _times, _product, "f8* f8*", "A* f8* f8*")  # for the range
_ANY = Fold(__name__, "_any", _none, _is_true, _either, _found, "i4*", "?*")
_ALL = Fold(__name__, "_all", _none, _is_false, _either, _not_found, "i4*", "?*")
