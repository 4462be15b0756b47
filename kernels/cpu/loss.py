"""Losses element by element: a formula and its slope each, then a sum with float64 accumulators."""

import math

import numpy as np

from ..ops.loss import require_variances, share_of, variances
from . import maths
from .elementwise import add, div, elementwise, exp, mul, neg, sub
from .piecewise import maximum
from .reduce import sum, sum_to


def binary_cross_entropy_with_logits(logits, targets, weight=None, pos_weight=None, reduction="mean"):
    losses = _with_weights(_binary_loss, _positive_loss, logits, targets, weight, pos_weight)
    return _reduced(losses, reduction)


def binary_cross_entropy_with_logits_backward(dloss, logits, targets, weight, pos_weight, reduction):
    slopes = _with_weights(_binary_slope, _positive_slope, logits, targets, weight, pos_weight)
    return _scaled(slopes, dloss, reduction)


def mse_loss(input, target, reduction="mean"):
    d = sub(input, target)
    return _reduced(mul(d, d), reduction)


def mse_loss_backward(dloss, input, target, reduction):
    dinput = _scaled(sub(input, target), dloss, reduction, 2)
    return dinput, neg(dinput)


def huber_loss(input, target, reduction="mean", delta=1.0):
    return _reduced(_huber_loss(sub(input, target), np.asarray(delta, input.dtype)), reduction)


def huber_loss_backward(dloss, input, target, reduction, delta):
    dinput = _scaled(_huber_slope(sub(input, target), np.asarray(delta, input.dtype)), dloss, reduction)
    return dinput, neg(dinput)


def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    require_variances(var)
    losses = _gaussian_loss(sub(input, target), variances(maximum(var, eps), input.ndim))
    return _reduced(add(losses, np.asarray(math.log(2 * math.pi) / 2, losses.dtype)) if full else losses, reduction)


def gaussian_nll_loss_backward(dloss, input, target, var, eps, reduction):
    d, v = sub(input, target), variances(maximum(var, eps), input.ndim)
    dinput = _scaled(div(d, v), dloss, reduction)
    dvar = sum_to(_scaled(_gaussian_slope(d, v), dloss, reduction), v.shape)
    return dinput, neg(dinput), dvar.reshape(var.shape)


def kl_div(input, target, reduction="mean", log_target=False):
    return _reduced((_log_divergence if log_target else _divergence)(input, target), reduction)


def kl_div_backward(dloss, target, reduction, log_target):
    return _scaled(exp(target) if log_target else target, dloss, reduction, -1)


def _with_weights(whole, positive, logits, targets, weight, pos_weight):
    """weight · (whole + (pos_weight − 1) · positive), each a function of logits and targets."""
    out = whole(logits, targets)
    if pos_weight is not None:
        more = sub(pos_weight, np.ones((), logits.dtype))
        out = add(out, mul(positive(logits, targets), more))
    return out if weight is None else mul(out, weight)


def _reduced(losses, reduction):
    if reduction == "none":
        return losses
    total = sum(losses, None, False)
    total[...] = total * share_of(reduction, losses.shape)
    return total


def _scaled(slopes, dloss, reduction, factor=1):
    """slopes · dloss · factor and what the reduction divides by; dloss is a number or of the slopes' shape."""
    factor *= share_of(reduction, slopes.shape)
    return mul(slopes, dloss if factor == 1 else mul(dloss, np.asarray(factor, dloss.dtype)))


@elementwise
def _binary_loss(x, y):
    zero = type(x)(0)
    return (zero if x < zero else x) - x * y + maths.log1p(maths.exp(-abs(x)))


@elementwise
def _binary_slope(x, y):
    one = type(x)(1)
    e = maths.exp(-abs(x))
    yes, no = (e, one) if x < type(x)(0) else (one, e)
    return ((one - y) * yes - y * no) / (one + e)


@elementwise
def _positive_loss(x, y):
    zero = type(x)(0)
    return y * ((zero if x > zero else -x) + maths.log1p(maths.exp(-abs(x))))


@elementwise
def _positive_slope(x, y):
    return -y * maths.sigmoid(-x)


@elementwise
def _huber_loss(d, delta):
    half, a = type(d)(0.5), abs(d)
    return half * a * a if a <= delta else delta * (a - half * delta)


@elementwise
def _huber_slope(d, delta):
    d = delta if d > delta else d
    return -delta if d < -delta else d


@elementwise
def _gaussian_loss(d, v):
    return type(d)(0.5) * (maths.log(v) + d * d / v)


@elementwise
def _gaussian_slope(d, v):
    return type(d)(0.5) * (type(d)(1) - d * d / v) / v


@elementwise
def _divergence(x, q):
    zero = type(x)(0)
    return zero if q == zero else q * (maths.log(q) - x)


@elementwise
def _log_divergence(x, y):
    zero, q = type(x)(0), maths.exp(y)
    return zero if q == zero else q * (y - x)
