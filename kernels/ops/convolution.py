"""Causal convolution along time."""

import numpy as np

from ..dispatch import op
from ..signature import Floats


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
