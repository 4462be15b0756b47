"""Backward passes of activations that give more than one gradient, in one sweep."""

from numba import prange

from ..device import contiguous, empty
from . import gates
from .kernel import kernel, subroutine
from .reduce import sum_to

_BLOCK = 4096  # elements of a task
_ROWS = 32  # of a task of bias_gelu's backward pass: their sum is in the dtype, that of the tasks in float64


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
        dgate[i] = dout[i] * up[i] * gates.silu_derivative(gate[i])
        dup[i] = dout[i] * gates.silu(gate[i])


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
            dx[j] = dout[j] * gates.gelu_tanh_derivative(x[j] + bias[j])
    else:
        for j in range(x.size):
            dx[j] = dout[j] * gates.gelu_derivative(x[j] + bias[j])
    for j in range(x.size):
        total[j] += dx[j]
