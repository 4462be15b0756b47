"""Scaled dot-product attention, causal or not."""

import math
from typing import Annotated

import numpy as np

from ..dispatch import op
from ..signature import Floats, Interval

Scale = Annotated[float, Interval(0, open="low")]


def _check(q, k, v, causal, scale):
    if causal and q.shape[1] > k.shape[1]:
        raise ValueError(
            f"attention: q: expected T <= S where attention is causal, got T={q.shape[1]} queries for "
            f"S={k.shape[1]} keys"
        )


@op("B T H D, B S H D, B S H D -> B T H D", backward="attention_backward", saves="lse", check=_check)
def attention(
    q: Floats, k: Floats, v: Floats, causal: bool = True, scale: Scale | None = None, save: bool = False
) -> tuple[Floats, Floats]:
    """Each query's mean of the values, weighted by the softmax of its products with the keys.

    out_t = Σ_s P_ts v_s, P = softmax(scale q kᵀ);  with dP = dout vᵀ and dS = P · (dP − Σ_d dout · out):
    dq = scale dS k, dk = scale dSᵀ q, dv = Pᵀ dout

    Args:
        q: (B, T, H, D) float32 or float64, of any strides.
        k, v: (B, S, H, D). Causal: T <= S, and query t sees keys up to S - T + t, so that new queries follow a cache.
        scale: 1/sqrt(D) where None.

    Returns:
        (B, T, H, D).

    Raises:
        ValueError: more queries than keys in causal attention.

    Numerics: in tiles with a running maximum and sum; the (T, S) scores are never whole. Saves their log-sum-exp.
    Source: Dao, FlashAttention-2: faster attention with better parallelism and work partitioning (2023).

    >>> attention(*np.ones((3, 1, 2, 1, 1))).ravel().tolist()
    [1.0, 1.0]
    """
    scores = _scores(q, k, causal, scale)
    top = scores.max(-1, keepdims=True)
    e = np.exp(scores - top)
    total = e.sum(-1, keepdims=True)
    return np.einsum("bhts,bshd->bthd", e / total, v), (top + np.log(total))[..., 0]


@op(
    "B T H D, B T H D, B S H D, B S H D, B T H D, B H T -> B T H D, B S H D, B S H D",
    backward_of="attention",
    outputs="dq dk dv",
)
def attention_backward(
    dout: Floats, q: Floats, k: Floats, v: Floats, out: Floats, lse: Floats, causal: bool, scale: float | None
) -> tuple[Floats, Floats, Floats]:
    """The gradients of `attention`, from its output and the log-sum-exp (B, H, T) of its scores."""
    p = np.exp(_scores(q, k, causal, scale) - lse[..., None])
    dp = np.einsum("bthd,bshd->bhts", dout, v)
    ds = p * (dp - (dout * out).sum(-1).swapaxes(1, 2)[..., None]) * factor(q, scale)
    dq = np.einsum("bhts,bshd->bthd", ds, k)
    dk = np.einsum("bhts,bthd->bshd", ds, q)
    return dq, dk, np.einsum("bhts,bthd->bshd", p, dout)


def factor(q: np.ndarray, scale: float | None) -> float:
    """What the products of queries and keys are multiplied by."""
    return 1 / math.sqrt(max(1, q.shape[3])) if scale is None else scale


def _scores(q, k, causal, scale):
    scores = np.einsum("bthd,bshd->bhts", q, k) * factor(q, scale)
    if causal:
        t, s = scores.shape[2:]
        scores = np.where(np.arange(s) <= s - t + np.arange(t)[:, None], scores, -np.inf)
    return scores
