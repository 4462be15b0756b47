"""Activation functions, of each element."""

from . import gates, maths
from .elementwise import mul
from .gated import bias_gelu_backward as bias_gelu_backward
from .gated import swiglu_backward as swiglu_backward
from .pointwise import elementwise


@elementwise
def relu(x):
    zero = type(x)(0)
    return zero if x <= zero else x


@elementwise
def relu_backward(dout, out):
    zero = type(out)(0)
    return zero if out <= zero else dout


@elementwise
def leaky_relu(x, negative_slope):
    return x if x > type(x)(0) else negative_slope * x


@elementwise
def leaky_relu_backward(dout, x, negative_slope):
    return dout if x > type(x)(0) else negative_slope * dout


@elementwise
def elu(x, alpha):
    zero = type(x)(0)
    below = alpha * maths.expm1(zero if x > zero else x)
    return x if x > zero else below


@elementwise
def elu_backward(dout, x, alpha):
    zero = type(x)(0)
    below = dout * (alpha * maths.exp(zero if x > zero else x))
    return dout if x > zero else below


@elementwise
def softplus(x, beta, threshold):
    zero = type(x)(0)
    z = beta * x
    bent = ((zero if z < zero else z) + maths.log1p(maths.exp(-abs(z)))) / beta
    return x if z > threshold else bent


def softplus_backward(dout, x, beta, threshold):
    slope = _softplus_slope(x, beta, threshold)
    return mul(dout, slope, out=slope)


@elementwise
def _softplus_slope(x, beta, threshold):
    z = beta * x
    slope = maths.sigmoid(z)
    return type(x)(1) if z > threshold else slope


@elementwise
def silu(x):
    return gates.silu(x)


@elementwise
def silu_backward(dout, x):
    return dout * gates.silu_derivative(x)


@elementwise
def swiglu(gate, up):
    return gates.silu(gate) * up


def gelu(x, approximate):
    return (_gelu if approximate == "none" else _gelu_tanh)(x)


def gelu_backward(dout, x, approximate):
    return (_gelu_backward if approximate == "none" else _gelu_tanh_backward)(dout, x)


@elementwise
def _gelu(x):
    return gates.gelu(x)


@elementwise
def _gelu_tanh(x):
    return gates.gelu_tanh(x)


@elementwise
def _gelu_backward(dout, x):
    return dout * gates.gelu_derivative(x)


@elementwise
def _gelu_tanh_backward(dout, x):
    return dout * gates.gelu_tanh_derivative(x)


def bias_gelu(x, bias, approximate):
    return (_bias_gelu if approximate == "none" else _bias_gelu_tanh)(x, bias)


@elementwise
def _bias_gelu(x, bias):
    return gates.gelu(x + bias)


@elementwise
def _bias_gelu_tanh(x, bias):
    return gates.gelu_tanh(x + bias)
