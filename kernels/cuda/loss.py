"""Losses element by element: a formula and its slope each.

What scales a slope, the gradient of the loss, the reduction's share and weights, is one operand.
"""

import math

from ..layout import broadcast
from ..ops.loss import share_of, variances
from . import maths
from .elementwise import mul, neg
from .kernel import accumulator
from .pointwise import elementwise
from .reduce import SUM, sum_to
from .runtime import empty


def binary_cross_entropy_with_logits(logits, targets, weight=None, pos_weight=None, reduction="mean"):
    return _reduced(_binary_loss, reduction, logits, targets, _factor(pos_weight), _factor(weight))


def binary_cross_entropy_with_logits_backward(dloss, logits, targets, weight, pos_weight, reduction):
    scale = _scale(dloss, reduction, logits.shape)
    return _binary_slope(logits, targets, _factor(pos_weight), scale if weight is None else mul(weight, scale))


def mse_loss(input, target, reduction="mean"):
    return _reduced(_square, reduction, input, target)


def mse_loss_backward(dloss, input, target, reduction):
    dinput = _square_slope(input, target, _scale(dloss, reduction, input.shape))
    return dinput, neg(dinput)


def huber_loss(input, target, reduction="mean", delta=1.0):
    return _reduced(_huber_loss, reduction, input, target, float(delta))


def huber_loss_backward(dloss, input, target, reduction, delta):
    dinput = _huber_slope(input, target, float(delta), _scale(dloss, reduction, input.shape))
    return dinput, neg(dinput)


def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    constant = math.log(2 * math.pi) / 2 if full else 0.0
    return _reduced(_gaussian_loss, reduction, input, target, _variances(var, eps, input), constant)


def gaussian_nll_loss_backward(dloss, input, target, var, eps, reduction):
    v = _variances(var, eps, input)
    args = input, target, v, _scale(dloss, reduction, input.shape)
    dinput = _gaussian_slope(*args)
    return dinput, neg(dinput), sum_to(_gaussian_var_slope(*args), v.shape).reshape(var.shape)


def kl_div(input, target, reduction="mean", log_target=False):
    return _reduced(_log_divergence if log_target else _divergence, reduction, input, target)


def kl_div_backward(dloss, target, reduction, log_target):
    scale = mul(dloss, -share_of(reduction, target.shape))
    return (_scaled_exp if log_target else mul)(target, scale)


def _factor(weight):
    return 1.0 if weight is None else weight


def _variances(var, eps, input):
    return variances(_limited(var, float(eps)), input.ndim)


def _reduced(formula, reduction, *operands):
    arrays = [x for x in operands if not isinstance(x, float)]
    losses = formula(*operands, out=empty(broadcast(*(x.shape for x in arrays)), accumulator(arrays[0].dtype)))
    if reduction == "none":
        return losses
    return SUM(losses.reshape(1, -1, 1), share_of(reduction, losses.shape))[0].reshape(())


def _scale(dloss, reduction, shape):
    """dloss times what the reduction multiplies by."""
    return mul(dloss, share_of(reduction, shape))


@elementwise
def _binary_loss(x, y, positive, weight):
    f = type(x)
    rest = maths.log1p(maths.exp(-abs(x)))
    yes, no = (rest, rest - x) if x < f(0) else (x + rest, rest)  # softplus of x and of -x
    return weight * ((f(1) - y) * yes + positive * y * no)


@elementwise
def _binary_slope(x, y, positive, scale):
    f = type(x)
    e = maths.exp(-abs(x))
    yes, no = (e, f(1)) if x < f(0) else (f(1), e)
    return scale * ((f(1) - y) * yes - positive * y * no) / (f(1) + e)


@elementwise
def _square(x, y):
    return (x - y) * (x - y)


@elementwise
def _square_slope(x, y, scale):
    return type(x)(2) * (x - y) * scale


@elementwise
def _huber_loss(x, y, delta):
    half = type(x)(0.5)
    a = abs(x - y)
    return half * a * a if a <= delta else delta * (a - half * delta)


@elementwise
def _huber_slope(x, y, delta, scale):
    d = x - y
    d = delta if d > delta else d
    return (-delta if d < -delta else d) * scale


@elementwise
def _limited(var, eps):
    """max(var, eps); NaN of a negative variance."""
    v = eps if var < eps else var
    return type(var)(math.nan) if var < type(var)(0) else v


@elementwise
def _gaussian_loss(x, y, var, constant):
    d = x - y
    return type(x)(0.5) * (maths.log(var) + d * d / var) + constant


@elementwise
def _gaussian_slope(x, y, var, scale):
    return (x - y) / var * scale


@elementwise
def _gaussian_var_slope(x, y, var, scale):
    d = x - y
    return type(x)(0.5) * (type(x)(1) - d * d / var) / var * scale


@elementwise
def _divergence(x, q):
    zero = type(q)(0)
    return zero if q == zero else q * (maths.log(q) - x)


@elementwise
def _log_divergence(x, y):
    q = maths.exp(y)
    return type(q)(0) if q == type(q)(0) else q * (y - x)


@elementwise
def _scaled_exp(x, scale):
    return maths.exp(x) * scale
