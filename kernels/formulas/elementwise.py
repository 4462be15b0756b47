"""Scalar formulas and their gradients; `pointwise` makes functions on arrays of them."""

import math

from . import maths
from .pointwise import elementwise
from .reduce import sum_to


@elementwise
def add(x, y):
    return x + y


@elementwise
def sub(x, y):
    return x - y


@elementwise
def mul(x, y):
    return x * y


@elementwise
def div(x, y):
    return x / y


def add_backward(dout, x_shape, y_shape):
    return sum_to(dout, x_shape), sum_to(dout, y_shape)


def sub_backward(dout, x_shape, y_shape):
    return sum_to(dout, x_shape), neg(sum_to(dout, y_shape))


WIDENED = "mul_backward", "div_backward"  # what they sum over broadcast axes has not been rounded then


def mul_backward(dout, x, y):
    return sum_to(mul(dout, y), x.shape), sum_to(mul(dout, x), y.shape)


def div_backward(dout, y, out, x_shape):
    dx = div(dout, y)
    return sum_to(dx, x_shape), sum_to(_negative_product(dx, out), y.shape)


@elementwise
def _negative_product(x, y):
    return -(x * y)


@elementwise
def neg(x):
    return -x


def neg_backward(dout):
    return neg(dout)


@elementwise
def exp(x):
    return maths.exp(x)


def exp_backward(dout, out):
    return mul(dout, out)


@elementwise
def log(x):
    return maths.log(x)


def log_backward(dout, x):
    return div(dout, x)


@elementwise
def sqrt(x):
    return math.sqrt(x)


@elementwise
def sqrt_backward(dout, out):
    return dout / (out + out)


@elementwise
def tanh(x):
    return maths.tanh(x)


@elementwise
def tanh_backward(dout, out):
    return dout * (type(out)(1) - out * out)


@elementwise
def sigmoid(x):
    return maths.sigmoid(x)


@elementwise
def sigmoid_backward(dout, out):
    return dout * out * (type(out)(1) - out)
