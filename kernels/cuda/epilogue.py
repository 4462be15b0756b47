"""What follows a product that cuBLAS made: bias and activation in one sweep."""

from . import gates
from .pointwise import elementwise


@elementwise
def _bias(z, bias):
    return z + bias


@elementwise
def _relu(z):
    zero = type(z)(0)
    return zero if z < zero else z


@elementwise
def _bias_relu(z, bias):
    z, zero = z + bias, type(z)(0)
    return zero if z < zero else z


@elementwise
def _gelu(z):
    return gates.gelu(z)


@elementwise
def _bias_gelu(z, bias):
    return gates.gelu(z + bias)


@elementwise
def _gelu_tanh(z):
    return gates.gelu_tanh(z)


@elementwise
def _bias_gelu_tanh(z, bias):
    return gates.gelu_tanh(z + bias)


_ACTIVATIONS = {"relu": (_relu, _bias_relu), "gelu": (_gelu, _bias_gelu), "gelu_tanh": (_gelu_tanh, _bias_gelu_tanh)}


def finish(out, pre, bias, activation):
    """out = f(out + bias); `pre`, if given, receives what f is applied to."""
    if activation == "none":
        if bias is not None:
            _bias(out, bias, out=out)
        return
    alone, biased = _ACTIVATIONS[activation]
    if pre is not None and bias is not None:
        _bias(pre, bias, out=pre)
    if pre is not None:
        alone(pre, out=out)
    elif bias is not None:
        biased(out, bias, out=out)
    else:
        alone(out, out=out)


@elementwise
def _relu_backward(dout, z):
    zero = type(z)(0)
    return zero if z <= zero else dout


@elementwise
def _gelu_backward(dout, z):
    return dout * gates.gelu_derivative(z)


@elementwise
def _gelu_tanh_backward(dout, z):
    return dout * gates.gelu_tanh_derivative(z)


_GRADIENTS = {"relu": _relu_backward, "gelu": _gelu_backward, "gelu_tanh": _gelu_tanh_backward}


def activation_backward(dout, pre, activation):
    """The gradient of what the activation is applied to."""
    return dout if activation == "none" else _GRADIENTS[activation](dout, pre)
