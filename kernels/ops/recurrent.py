"""Recurrent layers along time, of inputs that were projected before: one product for all steps, by `linear`."""

from typing import Any

import numpy as np

from ..dispatch import op
from ..signature import Floats


def _check_gru(x: np.ndarray, weight: np.ndarray, *_: Any) -> None:
    _check("gru", 3, weight)


def _check_lstm(x: np.ndarray, weight: np.ndarray, *_: Any) -> None:
    _check("lstm", 4, weight)


def _check(name: str, gates: int, weight: np.ndarray) -> None:
    if len(weight) != gates * weight.shape[1]:
        raise ValueError(f"{name}: weight: expected ({gates} H, H), got {weight.shape}")


@op("B T G, G H, G, B H -> B T H", backward="gru_backward", saves="gates", check=_check_gru)
def gru(
    x: Floats, weight: Floats, bias: Floats | None = None, state: Floats | None = None, save: bool = False
) -> tuple[Floats, Floats | None]:
    """A gated recurrent unit over all steps; the reset gate is applied after the product, as in PyTorch.

    (s_r, s_z, q) = h_{t−1} weightᵀ + bias, r = σ(x_r + s_r), z = σ(x_z + s_z), n = tanh(x_n + r q)
    out_t = h_t = (1 − z) n + z h_{t−1};  dx = (dx_r, dx_z, dx_n), ds = (dx_r, dx_z, r dx_n), of
    dx_n = dh (1 − z) (1 − n²), dx_z = dh (h_{t−1} − n) z (1 − z), dx_r = q dx_n r (1 − r)
    dh_{t−1} = dout_{t−1} + z dh + ds weight;  dweight = Σ dsᵀ h_{t−1}, dbias = Σ ds, dstate = dh_0

    Args:
        x: (B, T, 3H) float32 or float64, the projected inputs of r, z and n, with their bias.
        weight, bias: (3H, H) and (3H), in the same order; None for a bias of 0.
        state: (B, H), h_0, or None for 0.

    Returns:
        (B, T, H): h_1 to h_T.

    Raises: ValueError for a weight of another shape.
    Numerics: sums in the dtype, whatever the precision is, but for dweight's. Saved are r, z, q and n.
    Source: Cho et al., Learning Phrase Representations using RNN Encoder–Decoder (2014), but for the reset gate.

    >>> gru(np.zeros((1, 2, 3)), np.zeros((3, 1)), state=np.array([[8.0]])).ravel().tolist()
    [4.0, 2.0]
    """
    steps, width = x.shape[1], weight.shape[1]
    out, gates = np.empty((*x.shape[:2], width), x.dtype), np.empty((*x.shape[:2], 4 * width), x.dtype)
    h = np.zeros((len(x), width), x.dtype) if state is None else state
    for t in range(steps):
        s = h @ weight.T
        s = s if bias is None else s + bias
        (x_r, x_z, x_n), (s_r, s_z, q) = np.split(x[:, t], 3, 1), np.split(s, 3, 1)
        r, z = _sigmoid(x_r + s_r), _sigmoid(x_z + s_z)
        n = np.tanh(x_n + r * q)
        out[:, t] = h = (1 - z) * n + z * h
        gates[:, t] = np.concatenate([r, z, q, n], 1)
    return out, gates if save else None


@op(
    "B T H, G H, G, B H, B T H, B T K -> B T G, G H, G, B H",
    backward_of="gru",
    outputs="dx dweight dbias dstate",
)
def gru_backward(
    dout: Floats, weight: Floats, bias: Floats | None, state: Floats | None, out: Floats, gates: Floats
) -> tuple[Floats, Floats, Floats | None, Floats | None]:
    """The gradients of `gru`: see there. Those of an absent bias and state are None."""
    before = _before(out, state)
    dx, ds = np.empty((2, *out.shape[:2], len(weight)), out.dtype)
    dh = np.zeros((len(out), weight.shape[1]), out.dtype)
    for t in reversed(range(out.shape[1])):
        r, z, q, n = np.split(gates[:, t], 4, 1)
        dh = dh + dout[:, t]
        dx_n = dh * (1 - z) * (1 - n * n)
        dx_r, dx_z = dx_n * q * r * (1 - r), dh * (before[:, t] - n) * z * (1 - z)
        dx[:, t] = np.concatenate([dx_r, dx_z, dx_n], 1)
        ds[:, t] = np.concatenate([dx_r, dx_z, dx_n * r], 1)
        dh = dh * z + ds[:, t] @ weight
    dweight, dbias = np.einsum("btg,bth->gh", ds, before), None if bias is None else ds.sum((0, 1))
    return dx, dweight, dbias, None if state is None else dh


@op(
    "B T G, G H, G, B H, B H -> B T H, B H",
    backward="lstm_backward",
    saves="gates cells",
    outputs="out last",
    check=_check_lstm,
)
def lstm(
    x: Floats,
    weight: Floats,
    bias: Floats | None = None,
    state: Floats | None = None,
    cell: Floats | None = None,
    save: bool = False,
) -> tuple[Floats, Floats, Floats | None, Floats | None]:
    """Long short-term memory over all steps.

    (a_i, a_f, a_g, a_o) = x_t + h_{t−1} weightᵀ + bias, i, f, o = σ(a_i), σ(a_f), σ(a_o), g = tanh(a_g)
    c_t = f c_{t−1} + i g, out_t = h_t = o tanh(c_t), last = c_T;  dx = da, of da_o = dh tanh(c_t) o (1 − o),
    dc += dh o (1 − tanh²(c_t)), da_i = dc g i (1 − i), da_f = dc c_{t−1} f (1 − f), da_g = dc i (1 − g²)
    dc_{t−1} = dc f, dh_{t−1} = dout_{t−1} + da weight;  dweight = Σ daᵀ h_{t−1}, dbias = Σ da

    Args:
        x: (B, T, 4H) float32 or float64, the projected inputs of i, f, g and o, with their bias.
        weight, bias: (4H, H) and (4H), in the same order; None for a bias of 0.
        state, cell: (B, H), h_0 and c_0, or None for 0.

    Returns:
        out (B, T, H): h_1 to h_T; last (B, H).

    Raises: ValueError for a weight of another shape.
    Numerics: as `gru`. Saved are i, f, g, o and c.
    Source: Hochreiter and Schmidhuber, Long Short-Term Memory (1997); f: Gers et al., Learning to Forget (2000).

    >>> lstm(np.zeros((1, 1, 4)), np.zeros((4, 1)), cell=np.array([[8.0]]))[1].tolist()
    [[4.0]]
    """
    width = weight.shape[1]
    out, cells = np.empty((2, *x.shape[:2], width), x.dtype)
    gates = np.empty(x.shape, x.dtype)
    zeros = np.zeros((len(x), width), x.dtype)
    h, c = zeros if state is None else state, zeros if cell is None else cell
    for t in range(x.shape[1]):
        a = x[:, t] + h @ weight.T
        a_i, a_f, a_g, a_o = np.split(a if bias is None else a + bias, 4, 1)
        i, f, g, o = _sigmoid(a_i), _sigmoid(a_f), np.tanh(a_g), _sigmoid(a_o)
        cells[:, t] = c = f * c + i * g
        out[:, t] = h = o * np.tanh(c)
        gates[:, t] = np.concatenate([i, f, g, o], 1)
    return (out, c.copy(), gates, cells) if save else (out, c.copy(), None, None)


@op(
    "B T H, B H, G H, G, B H, B H, B T H, B T G, B T H -> B T G, G H, G, B H, B H",
    backward_of="lstm",
    outputs="dx dweight dbias dstate dcell",
)
def lstm_backward(
    dout: Floats,
    dlast: Floats,
    weight: Floats,
    bias: Floats | None,
    state: Floats | None,
    cell: Floats | None,
    out: Floats,
    gates: Floats,
    cells: Floats,
) -> tuple[Floats, Floats, Floats | None, Floats | None, Floats | None]:
    """The gradients of `lstm`: see there. Those of an absent bias, state and cell are None."""
    before, cells_before = _before(out, state), _before(cells, cell)
    dx = np.empty(gates.shape, out.dtype)
    dh, dc = np.zeros(dlast.shape, out.dtype), dlast
    for t in reversed(range(out.shape[1])):
        i, f, g, o = np.split(gates[:, t], 4, 1)
        dh, y = dh + dout[:, t], np.tanh(cells[:, t])
        dc = dc + dh * o * (1 - y * y)
        da_f, da_o = dc * cells_before[:, t] * f * (1 - f), dh * y * o * (1 - o)
        dx[:, t] = np.concatenate([dc * g * i * (1 - i), da_f, dc * i * (1 - g * g), da_o], 1)
        dc, dh = dc * f, dx[:, t] @ weight
    dweight, dbias = np.einsum("btg,bth->gh", dx, before), None if bias is None else dx.sum((0, 1))
    return dx, dweight, dbias, None if state is None else dh, None if cell is None else dc


def _before(xs: np.ndarray, first: np.ndarray | None) -> np.ndarray:
    """xs (B, T, H) a step later: the first one, or zeros, then all but the last."""
    first = np.zeros((len(xs), xs.shape[2]), xs.dtype) if first is None else first
    return np.concatenate([first[:, None], xs], 1)[:, :-1]


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
