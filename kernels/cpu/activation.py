"""Activation functions, of each element."""

from . import maths
from .elementwise import elementwise


@elementwise
def relu(x):
    zero = type(x)(0)
    return zero if x <= zero else x


@elementwise
def relu_backward(dout, out):
    zero = type(out)(0)
    return zero if out <= zero else dout


@elementwise
def gelu(x):
    return maths.gelu(x)


@elementwise
def gelu_backward(dout, x):
    return dout * maths.gelu_derivative(x)
