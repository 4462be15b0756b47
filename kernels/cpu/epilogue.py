"""What follows a linear layer's product while its results are in cache: bias and activation."""

from numba import prange

from . import gates
from .kernel import kernel, subroutine

NONE, RELU, GELU, GELU_TANH = range(4)
ACTIVATIONS = {"none": NONE, "relu": RELU, "gelu": GELU, "gelu_tanh": GELU_TANH}


@subroutine
def finish(out, pre, bias, activation):
    """Bias and activation of neighbours in a row of the output."""
    if bias.size:
        for i in range(out.size):
            out[i] += bias[i]
    if pre.size:
        for i in range(out.size):
            pre[i] = out[i]
    if activation == GELU:
        for i in range(out.size):
            out[i] = gates.gelu(out[i])
    elif activation == GELU_TANH:
        for i in range(out.size):
            out[i] = gates.gelu_tanh(out[i])
    elif activation == RELU:
        for i in range(out.size):
            out[i] = 0 if out[i] < 0 else out[i]


@kernel("T[1] <- T[1] T[1] i8")
def activation_backward(dz, dout, pre, activation):
    block = 4096
    for task in prange(-(-dz.size // block)):
        part = slice(task * block, (task + 1) * block)
        _activation_gradient(dz[part], dout[part], pre[part], activation)


@subroutine
def _activation_gradient(dz, dout, pre, activation):
    if activation == GELU:
        for i in range(dz.size):
            dz[i] = dout[i] * gates.gelu_derivative(pre[i])
    elif activation == GELU_TANH:
        for i in range(dz.size):
            dz[i] = dout[i] * gates.gelu_tanh_derivative(pre[i])
    else:
        for i in range(dz.size):
            dz[i] = 0 if pre[i] <= 0 else dout[i]
