"""Losses element by element: a formula and its slope each, in float64 inside, so that a result is rounded once.

What scales a slope, the gradient of the loss, the reduction's share and weights, is one float64 operand.
"""

import math

import numpy as np

from ..device import empty
from ..ops.loss import require_variances, share_of, variances
from . import maths
from .elementwise import mul, neg
from .pointwise import elementwise
from .reduce import sum, sum_to

_ONE = np.ones(())


def binary_cross_entropy_with_logits(logits, targets, weight=None, pos_weight=None, reduction="mean"):
    return _reduced(_binary_loss, reduction, logits, targets, _factor(pos_weight), _factor(weight))


def binary_cross_entropy_with_logits_backward(dloss, logits, targets, weight, pos_weight, reduction):
    scale = np.asarray(_factor(weight) * _scale(dloss, reduction, logits.shape))
    return _binary_slope(logits, targets, _factor(pos_weight), scale)


def mse_loss(input, target, reduction="mean"):
    return _reduced(_square, reduction, input, target)


def mse_loss_backward(dloss, input, target, reduction):
    dinput = _square_slope(input, target, _scale(dloss, reduction, input.shape))
    return dinput, neg(dinput)


def huber_loss(input, target, reduction="mean", delta=1.0):
    return _reduced(_huber_loss, reduction, input, target, np.asarray(delta))


def huber_loss_backward(dloss, input, target, reduction, delta):
    dinput = _huber_slope(input, target, np.asarray(delta), _scale(dloss, reduction, input.shape))
    return dinput, neg(dinput)


def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    require_variances(var)
    constant = np.asarray(math.log(2 * math.pi) / 2 if full else 0.0)
    return _reduced(_gaussian_loss, reduction, input, target, _variances(var, eps, input), constant)


def gaussian_nll_loss_backward(dloss, input, target, var, eps, reduction):
    v = _variances(var, eps, input)
    args = input, target, v, _scale(dloss, reduction, input.shape)
    dinput = _gaussian_slope(*args)
    dvar = sum_to(_gaussian_var_slope(*args, out=empty(input.shape, "f8")), v.shape)
    return dinput, neg(dinput), dvar.reshape(var.shape).astype(var.dtype)


def kl_div(input, target, reduction="mean", log_target=False):
    return _reduced(_log_divergence if log_target else _divergence, reduction, input, target)


def kl_div_backward(dloss, target, reduction, log_target):
    scale = _scale(dloss, reduction, target.shape, -1)
    return (_scaled_exp if log_target else mul)(target, scale)


def _factor(weight):
    return _ONE if weight is None else weight.astype(np.float64)


def _variances(var, eps, input):
    return variances(np.asarray(np.maximum(var, eps, dtype=np.float64)), input.ndim)


def _reduced(formula, reduction, input, *others):
    losses = formula(input, *others, out=empty(input.shape, "f8"))
    if reduction != "none":
        losses = np.asarray(sum(losses, None, False) * share_of(reduction, input.shape))
    return losses.astype(input.dtype)


def _scale(dloss, reduction, shape, factor=1):
    """dloss · factor and what the reduction divides by, float64."""
    return np.asarray(np.multiply(dloss, factor * share_of(reduction, shape), dtype=np.float64))


@elementwise
def _binary_loss(x, y, positive, weight):
    x, y = np.float64(x), np.float64(y)
    rest = maths.log1p(maths.exp(-abs(x)))
    yes, no = (rest, rest - x) if x < 0.0 else (x + rest, rest)  # softplus of x and of -x
    return weight * ((1.0 - y) * yes + positive * y * no)


@elementwise
def _binary_slope(x, y, positive, scale):
    x, y = np.float64(x), np.float64(y)
    e = maths.exp(-abs(x))
    yes, no = (e, 1.0) if x < 0.0 else (1.0, e)
    return scale * ((1.0 - y) * yes - positive * y * no) / (1.0 + e)


@elementwise
def _square(x, y):
    d = np.float64(x) - np.float64(y)
    return d * d


@elementwise
def _square_slope(x, y, scale):
    return 2.0 * (np.float64(x) - np.float64(y)) * scale


@elementwise
def _huber_loss(x, y, delta):
    a = abs(np.float64(x) - np.float64(y))
    return 0.5 * a * a if a <= delta else delta * (a - 0.5 * delta)


@elementwise
def _huber_slope(x, y, delta, scale):
    d = np.float64(x) - np.float64(y)
    d = delta if d > delta else d
    return (-delta if d < -delta else d) * scale


@elementwise
def _gaussian_loss(x, y, var, constant):
    d = np.float64(x) - np.float64(y)
    return 0.5 * (maths.log(var) + d * d / var) + constant


@elementwise
def _gaussian_slope(x, y, var, scale):
    return (np.float64(x) - np.float64(y)) / var * scale


@elementwise
def _gaussian_var_slope(x, y, var, scale):
    d = np.float64(x) - np.float64(y)
    return 0.5 * (1.0 - d * d / var) / var * scale


@elementwise
def _divergence(x, q):
    x, q = np.float64(x), np.float64(q)
    return 0.0 if q == 0.0 else q * (maths.log(q) - x)


@elementwise
def _log_divergence(x, y):
    x, y = np.float64(x), np.float64(y)
    q = maths.exp(y)
    return 0.0 if q == 0.0 else q * (y - x)


@elementwise
def _scaled_exp(x, scale):
    return maths.exp(np.float64(x)) * scale
