"""Activation functions, of each element; two backward passes that give more than one gradient have kernels."""

from numba import prange

from ..device import contiguous, empty
from . import gaussian, maths
from .elementwise import mul
from .kernel import kernel, primitive, subroutine
from .pointwise import elementwise
from .reduce import sum_to

_BLOCK = 4096  # elements of a task
_ROWS = 32  # of a task of bias_gelu's backward pass: their sum is in the dtype, that of the tasks in float64


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


@primitive
def _silu(x):
    return x * maths.sigmoid(x)


@primitive
def _silu_derivative(x):
    """s + x s (1 - s), s = sigmoid(x), from exp(-|x|), so that 1 - s does not cancel; 0 or 1 far out."""
    f = type(x)
    a = abs(x)
    a = f(1000) if a > f(1000) else a
    e = maths.decay(a)
    s = f(1) / (f(1) + e)
    slope = a * e * s * s
    right, left = s + slope, e * s - slope
    return left if x < f(0) else right


@elementwise
def silu(x):
    return _silu(x)


@elementwise
def silu_backward(dout, x):
    return dout * _silu_derivative(x)


@elementwise
def swiglu(gate, up):
    return _silu(gate) * up


def swiglu_backward(dout, gate, up):
    dgate, dup = empty(gate.shape, gate.dtype), empty(gate.shape, gate.dtype)
    inputs = [contiguous(x).reshape(-1) for x in (dout, gate, up)]
    _swiglu_backward_kernel(dgate.reshape(-1), dup.reshape(-1), *inputs)
    return dgate, dup


@kernel("T[1] T[1] <- T[1] T[1] T[1]")
def _swiglu_backward_kernel(dgate, dup, dout, gate, up):
    for task in prange((dout.size + _BLOCK - 1) // _BLOCK):
        part = slice(task * _BLOCK, (task + 1) * _BLOCK)
        _swiglu_block(dgate[part], dup[part], dout[part], gate[part], up[part])


@subroutine
def _swiglu_block(dgate, dup, dout, gate, up):
    for i in range(dout.size):
        dgate[i] = dout[i] * up[i] * _silu_derivative(gate[i])
        dup[i] = dout[i] * _silu(gate[i])


def gelu(x, approximate):
    return (_gelu if approximate == "none" else _gelu_tanh)(x)


def gelu_backward(dout, x, approximate):
    return (_gelu_backward if approximate == "none" else _gelu_tanh_backward)(dout, x)


@elementwise
def _gelu(x):
    return gaussian.gelu(x)


@elementwise
def _gelu_tanh(x):
    return gaussian.gelu_tanh(x)


@elementwise
def _gelu_backward(dout, x):
    return dout * gaussian.gelu_derivative(x)


@elementwise
def _gelu_tanh_backward(dout, x):
    return dout * gaussian.gelu_tanh_derivative(x)


def bias_gelu(x, bias, approximate):
    return (_bias_gelu if approximate == "none" else _bias_gelu_tanh)(x, bias)


@elementwise
def _bias_gelu(x, bias):
    return gaussian.gelu(x + bias)


@elementwise
def _bias_gelu_tanh(x, bias):
    return gaussian.gelu_tanh(x + bias)


def bias_gelu_backward(dout, x, bias, approximate):
    dx = empty(x.shape, x.dtype)
    rows = (x.size // bias.size if bias.size else 0, bias.size)
    partial = empty((-(-rows[0] // _ROWS), bias.size), x.dtype)
    inputs = [contiguous(a).reshape(rows) for a in (dout, x)]
    _bias_gelu_backward_kernel(dx.reshape(rows), partial, *inputs, contiguous(bias), approximate == "tanh")
    return dx, sum_to(partial, bias.shape)


@kernel("T[2] T[2] <- T[2] T[2] T[1] b1")
def _bias_gelu_backward_kernel(dx, partial, dout, x, bias, tanh):
    """dx, and each task's sum of it over its rows."""
    for task in prange(partial.shape[0]):
        total = partial[task]
        for j in range(total.size):
            total[j] = 0
        for i in range(task * _ROWS, min(x.shape[0], (task + 1) * _ROWS)):
            _bias_gelu_row(dx[i], total, dout[i], x[i], bias, tanh)


@subroutine
def _bias_gelu_row(dx, total, dout, x, bias, tanh):
    if tanh:
        for j in range(x.size):
            dx[j] = dout[j] * gaussian.gelu_tanh_derivative(x[j] + bias[j])
    else:
        for j in range(x.size):
            dx[j] = dout[j] * gaussian.gelu_derivative(x[j] + bias[j])
    for j in range(x.size):
        total[j] += dx[j]
