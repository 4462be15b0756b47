"""Variance and log-sum-exp: a block is read twice while it is in cache, then blocks are joined around their pivots.

Source: Chan, Golub and LeVeque, Algorithms for Computing the Sample Variance (1983), for the pairs (mean, Σ squares).
"""

import sys
from math import inf, prod

import numpy as np

from .extremum import larger
from .fold import as_rows, axes_of, kept, measure, measured, spread
from .maths import exp
from .reduce import plus, row_sum
from .simd import row_max

_LIMIT = sys.float_info.max


def var(x, dim, correction, keepdim, save):
    out, mean = _variance(x, dim, correction, keepdim)
    return out.astype(x.dtype), mean if save else None


def std(x, dim, correction, keepdim, save):
    out, mean = _variance(x, dim, correction, keepdim)
    return np.asarray(np.sqrt(out), x.dtype), mean if save else None


def _variance(x, dim, correction, keepdim):
    axes = axes_of(x.ndim, dim)
    means, squares, sizes = measured(_VARIANCE, as_rows(x, axes)[0])
    count = sizes.sum()
    with np.errstate(all="ignore"):
        mean = (means * sizes).sum(1) / count
        square = squares.sum(1) + (sizes * (means - mean[:, None]) ** 2).sum(1)
        out = square / max(0.0, count - correction)
    shape = kept(x.shape, axes, keepdim)
    return out.reshape(shape), mean.reshape(shape)


def var_backward(dout, x, mean, dim, correction, keepdim):
    with np.errstate(all="ignore"):
        share = np.multiply(dout, 2.0, dtype=np.float64) / _freedom(x.shape, dim, correction)
    return _variance_spread(x, mean, share, dim)


def std_backward(dout, x, out, mean, dim, correction, keepdim):
    with np.errstate(all="ignore"):
        share = np.where(out == 0, 0.0, dout / (out * _freedom(x.shape, dim, correction)))
    return _variance_spread(x, mean, share, dim)


def _freedom(shape, dim, correction):
    count = prod(shape[a] for a in axes_of(len(shape), dim))
    return np.float64(max(0.0, count - correction))


def logsumexp(x, dim, keepdim, save):
    axes = axes_of(x.ndim, dim)
    pivots, sums, _ = measured(_LOGSUMEXP, as_rows(x, axes)[0])
    with np.errstate(all="ignore"):
        pivot = pivots.max(1, initial=-inf)
        lse = pivot + np.log((sums * np.exp(pivots - pivot[:, None])).sum(1))
    lse = lse.reshape(kept(x.shape, axes, keepdim))
    return lse.astype(x.dtype), lse if save else None


def logsumexp_backward(dout, x, lse, dim, keepdim):
    return _logsumexp_spread(x, lse, dout, dim)


def _mean(total, count):
    return total / count


def _squared_distance(x, mean):
    return (x - mean) * (x - mean)


def _finite(largest, _):
    """So that differences from the pivot are never inf - inf: exp of them is 0, or inf, as it should be."""
    largest = _LIMIT if largest > _LIMIT else largest
    return -_LIMIT if largest < -_LIMIT else largest


def _exponential(x, pivot):
    return exp(type(x)(x - pivot))


_VARIANCE = measure("_variance", row_sum, plus, 0.0, _mean, _squared_distance)
_LOGSUMEXP = measure("_logsumexp", row_max, larger, -inf, _finite, _exponential)
_variance_spread = spread("_variance_spread", lambda x, mean, share: (x - mean) * share)
_logsumexp_spread = spread("_logsumexp_spread", lambda x, lse, dout: exp(type(x)(x - lse)) * dout)
