"""Convolution: causal along time, and of images."""

from typing import Annotated

import numpy as np

from ..dispatch import op
from ..signature import Floats, Interval


def _check(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> None:
    inputs, (outputs, each, taps) = x.shape[2], weight.shape
    if not (inputs and each and taps) or inputs % each or outputs % (inputs // each):
        raise ValueError(
            f"causal_conv1d: weight: expected (O, J, K), J dividing I={inputs} into groups, which divide O, and K at "
            f"least 1, got {weight.shape}"
        )


@op("B T I, O J K, O -> B T O", backward="causal_conv1d_backward", check=_check)
def causal_conv1d(x: Floats, weight: Floats, bias: Floats | None = None) -> Floats:
    """A convolution along time that sees the present and the K − 1 positions before it, zeros before the first.

    out_to = bias_o + Σ_jk weight_ojk x_{t−K+1+k, gJ+j}, g = o // (O / groups) the group of o, of groups = I / J;
    dx_{s, gJ+j} = Σ_ok weight_ojk dout_{s+K−1−k, o} over the o of g;  dbias_o = Σ_t dout_to
    dweight_ojk = Σ_t dout_to x_{t−K+1+k, gJ+j}

    Args:
        x: (B, T, I) float32, float64 or bfloat16.
        weight: (O, J, K): J = I for all inputs to all outputs; J = 1, O = I for each channel by itself.
        bias: (O), or None for 0.

    Returns:
        (B, T, O).

    Raises:
        ValueError: the groups do not divide I and O.

    Numerics: by channel, sums in the dtype; else as `matmul` of windows of K positions, overlapping in memory.
    Source: van den Oord et al., WaveNet: A Generative Model for Raw Audio (2016); by channel: Gu and Dao, Mamba (2023).

    >>> causal_conv1d(np.array([[[1.0], [2.0], [4.0]]]), np.array([[[10.0, 1.0]]])).ravel().tolist()
    [1.0, 12.0, 24.0]
    """
    padded, taps = _padded(x, weight), _by_group(weight, x)
    time = x.shape[1]
    out = sum(np.einsum("btgj,goj->btgo", padded[:, k : k + time], taps[..., k]) for k in range(taps.shape[3]))
    out = out.reshape(*x.shape[:2], len(weight))
    return out if bias is None else out + bias


@op("B T O, B T I, O J K, O -> B T I, O J K, O", backward_of="causal_conv1d", outputs="dx dweight dbias")
def causal_conv1d_backward(
    dout: Floats, x: Floats, weight: Floats, bias: Floats | None
) -> tuple[Floats, Floats, Floats | None]:
    """The gradients of `causal_conv1d`: see there. That of an absent bias is None."""
    padded, taps = _padded(x, weight), _by_group(weight, x)
    batch, time = x.shape[:2]
    grouped = dout.reshape(batch, time, *taps.shape[:2])
    dpadded, dtaps = np.zeros_like(padded), np.zeros_like(taps)
    for k in range(taps.shape[3]):
        dpadded[:, k : k + time] += np.einsum("btgo,goj->btgj", grouped, taps[..., k])
        dtaps[..., k] = np.einsum("btgo,btgj->goj", grouped, padded[:, k : k + time])
    dx = dpadded[:, taps.shape[3] - 1 :].reshape(x.shape)
    return dx, dtaps.reshape(weight.shape), None if bias is None else dout.sum((0, 1))


def _padded(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """x as (B, K − 1 + T, groups, J), zeros first."""
    _, each, taps = weight.shape
    return np.pad(x, ((0, 0), (taps - 1, 0), (0, 0))).reshape(len(x), x.shape[1] + taps - 1, x.shape[2] // each, each)


def _by_group(weight: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The weight as (groups, O / groups, J, K)."""
    outputs, each, taps = weight.shape
    groups = x.shape[2] // each
    return weight.reshape(groups, outputs // groups, each, taps)


def _fits(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, stride: int, padding: int) -> None:
    tall, wide = (n + 2 * padding for n in x.shape[2:])
    if not weight.size or weight.shape[2] > tall or weight.shape[3] > wide:
        raise ValueError(
            f"conv2d: weight: expected (O, C, h, w), each at least 1, h at most H + 2 padding = {tall} and w at most "
            f"W + 2 padding = {wide}, got {weight.shape}"
        )


def _gradient_fits(
    dout: np.ndarray, x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, stride: int, padding: int
) -> None:
    _fits(x, weight, bias, stride, padding)
    expected = conv2d_shape(x, weight, stride, padding)
    if dout.shape != expected:
        raise ValueError(f"conv2d_backward: dout: expected the shape of the output, {expected}, got {dout.shape}")


@op("B C H W, O C h w, O -> B O P Q", backward="conv2d_backward", check=_fits)
def conv2d(
    x: Floats,
    weight: Floats,
    bias: Floats | None = None,
    stride: Annotated[int, Interval(1)] = 1,
    padding: Annotated[int, Interval(0)] = 0,
) -> Floats:
    """Each output weighs a window of the image, `padding` zeros around it, windows `stride` apart.

    out_bopq = bias_o + Σ_crs weight_ocrs x_{b, c, stride p + r − padding, stride q + s − padding}
    dx_bcij = Σ weight_ocrs dout_bopq over all o, p, q, r, s with stride p + r − padding = i, stride q + s − padding = j
    dweight_ocrs = Σ_bpq dout_bopq x_{b, c, stride p + r − padding, stride q + s − padding};  dbias_o = Σ_bpq dout_bopq

    Args:
        x: (B, C, H, W) float32, float64 or bfloat16.
        weight: (O, C, h, w).
        bias: (O), or None for 0.

    Returns:
        (B, O, P, Q), P = (H + 2 padding − h) // stride + 1, and Q of W and w alike.

    Raises:
        ValueError: a window is larger than the padded image or empty; stride < 1 or padding < 0.

    Numerics: as `linear` of windows written out, of one image at a time or of more, up to 2²⁴ elements.
    Source: LeCun et al., Gradient-Based Learning Applied to Document Recognition (1998).

    >>> conv2d(np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2))).tolist()
    [[[[8.0, 12.0], [20.0, 24.0]]]]
    """
    out = np.einsum("bcpqrs,ocrs->bopq", _windows(x, weight, stride, padding), weight, optimize=True)
    return out if bias is None else out + bias[:, None, None]


@op(
    "B O P Q, B C H W, O C h w, O -> B C H W, O C h w, O",
    backward_of="conv2d",
    outputs="dx dweight dbias",
    check=_gradient_fits,
)
def conv2d_backward(
    dout: Floats,
    x: Floats,
    weight: Floats,
    bias: Floats | None,
    stride: Annotated[int, Interval(1)],
    padding: Annotated[int, Interval(0)],
) -> tuple[Floats, Floats, Floats | None]:
    """The gradients of `conv2d`: see there. That of an absent bias is None."""
    (height, width), (high, wide) = x.shape[2:], dout.shape[2:]
    dpadded = np.zeros((*x.shape[:2], height + 2 * padding, width + 2 * padding), x.dtype)
    for r, s in np.ndindex(*weight.shape[2:]):
        seen = dpadded[:, :, r : r + stride * high : stride, s : s + stride * wide : stride]
        seen += np.einsum("bopq,oc->bcpq", dout, weight[:, :, r, s])
    dx = dpadded[:, :, padding : padding + height, padding : padding + width]
    dweight = np.einsum("bopq,bcpqrs->ocrs", dout, _windows(x, weight, stride, padding), optimize=True)
    return dx, dweight, None if bias is None else dout.sum((0, 2, 3))


def conv2d_shape(x: np.ndarray, weight: np.ndarray, stride: int, padding: int) -> tuple[int, int, int, int]:
    """(B, O, P, Q), the shape of `conv2d`'s output."""
    high, wide = ((n + 2 * padding - w) // stride + 1 for n, w in zip(x.shape[2:], weight.shape[2:], strict=True))
    return len(x), len(weight), high, wide


def _windows(x: np.ndarray, weight: np.ndarray, stride: int, padding: int) -> np.ndarray:
    """(B, C, P, Q, h, w): what each output sees, a view of the padded x."""
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], (2, 3))
    return windows[:, :, ::stride, ::stride]
