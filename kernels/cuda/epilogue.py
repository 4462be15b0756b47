"""What follows a product that cuBLAS made: bias and activation, in one sweep where nothing is saved between them."""

from .activation import bias_gelu, gelu, gelu_backward, relu, relu_backward
from .elementwise import add

_FORMS = {"gelu": "none", "gelu_tanh": "tanh"}


def finish(z, bias, activation, save=False):
    """(f(z + bias), and z + bias if there is an f and `save` is true); z is overwritten."""
    saves = save and activation != "none"
    if bias is not None and activation in _FORMS and not saves:
        return bias_gelu(z, bias, _FORMS[activation]), None
    if bias is not None:
        add(z, bias, out=z)
    if activation == "none":
        return z, None
    out = relu(z) if activation == "relu" else gelu(z, _FORMS[activation])
    return out, z if saves else None


def activation_backward(dout, pre, activation):
    """The gradient of what the activation is applied to."""
    if activation == "none":
        return dout
    return relu_backward(dout, pre) if activation == "relu" else gelu_backward(dout, pre, _FORMS[activation])
