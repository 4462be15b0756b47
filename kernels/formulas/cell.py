"""One step of a unit of a recurrent layer, and its gradient: see `ops/recurrent.py` for the names."""

from . import maths
from .kernel import primitive


@primitive
def gru(a_r, a_z, q, x_n, h):
    """r, z, n and the next h, of a_r = x_r + s_r and a_z = x_z + s_z."""
    r, z = maths.sigmoid(a_r), maths.sigmoid(a_z)
    n = maths.tanh(x_n + r * q)
    return r, z, n, n + z * (h - n)


@primitive
def gru_backward(dh, r, z, q, n, h):
    """dx_r, dx_z, dx_n, ds_n, and the part of the gradient of h that no product makes."""
    one = type(dh)(1)
    dx_n = dh * (one - z) * (one - n * n)
    return dx_n * q * r * (one - r), dh * (h - n) * z * (one - z), dx_n, dx_n * r, dh * z


@primitive
def lstm(a_i, a_f, a_g, a_o, c):
    """i, f, g, o, and the next c and h."""
    i, f, g, o = maths.sigmoid(a_i), maths.sigmoid(a_f), maths.tanh(a_g), maths.sigmoid(a_o)
    c = f * c + i * g
    return i, f, g, o, c, o * maths.tanh(c)


@primitive
def lstm_backward(dh, dc, i, f, g, o, c, c_before):
    """da_i, da_f, da_g, da_o, and the gradient of c_before."""
    one = type(dh)(1)
    y = maths.tanh(c)
    dc = dc + dh * o * (one - y * y)
    da_i, da_f, da_g = dc * g * i * (one - i), dc * c_before * f * (one - f), dc * i * (one - g * g)
    return da_i, da_f, da_g, dh * y * o * (one - o), dc * f
