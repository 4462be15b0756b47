"""Scaled dot-product attention, causal or not."""

import math
from typing import Annotated

import numpy as np

from ..dispatch import op
from ..signature import Floats, Interval, Sums

Scale = Annotated[float, Interval(0, open="low")]


def check(q, k, v, causal, scale, name="attention"):
    heads, groups = q.shape[2], k.shape[2]
    if heads % groups if groups else heads:
        raise ValueError(f"{name}: k: expected G heads that divide q's H={heads}, got G={groups}")
    if causal and q.shape[1] > k.shape[1]:
        raise ValueError(
            f"{name}: q: expected T <= S where attention is causal, got T={q.shape[1]} queries for S={k.shape[1]} keys"
        )


@op("B T H D, B S G D, B S G D -> B T H D", backward="attention_backward", saves="lse", rounds="q k v out", check=check)
def attention(
    q: Floats, k: Floats, v: Floats, causal: bool = True, scale: Scale | None = None, save: bool = False
) -> tuple[Floats, Floats]:
    """Each query's mean of the values, weighted by the softmax of its products with the keys.

    out_t = Σ_s P_ts v_s, P = softmax(scale q kᵀ);  with dP = dout vᵀ and dS = P · (dP − Σ_d dout · out):
    dq = scale dS k, dk = scale dSᵀ q, dv = Pᵀ dout

    Args:
        q: (B, T, H, D) float32, float64 or bfloat16, of any strides.
        k, v: (B, S, G, D), G dividing H: query head h attends to head h // (H / G). Causal: T <= S, and query t sees
            keys up to S - T + t, so that new queries follow a cache.
        scale: 1/sqrt(D) where None.

    Returns:
        (B, T, H, D).

    Raises:
        ValueError: G does not divide H; more queries than keys in causal attention.

    Numerics: in tiles with a running maximum and sum; the (T, S) scores are never whole. Saves their log-sum-exp.
    Source: Dao, FlashAttention-2: faster attention with better parallelism and work partitioning (2023); groups:
    Ainslie et al., GQA: training generalized multi-query transformer models from multi-head checkpoints (2023).

    >>> attention(*np.ones((3, 1, 2, 1, 1))).ravel().tolist()
    [1.0, 1.0]
    """
    scores = _scores(q, k, causal, scale)
    top = scores.max(-1, keepdims=True)
    e = np.exp(scores - top)
    total = e.sum(-1, keepdims=True)
    return np.einsum("bhts,bshd->bthd", e / total, _repeated(v, q)), (top + np.log(total))[..., 0]


@op(
    "B T H D, B T H D, B S G D, B S G D, B T H D, B H T -> B T H D, B S G D, B S G D",
    backward_of="attention",
    outputs="dq dk dv",
)
def attention_backward(
    dout: Floats, q: Floats, k: Floats, v: Floats, out: Floats, lse: Sums, causal: bool, scale: float | None
) -> tuple[Floats, Floats, Floats]:
    """The gradients of `attention`, from its output and the log-sum-exp (B, H, T) of its scores."""
    p = np.exp(_scores(q, k, causal, scale) - lse[..., None])
    dp = np.einsum("bthd,bshd->bhts", dout, _repeated(v, q))
    ds = p * (dp - (dout * out).sum(-1).swapaxes(1, 2)[..., None]) * factor(q, scale)
    dq = np.einsum("bhts,bshd->bthd", ds, _repeated(k, q))
    dk = np.einsum("bhts,bthd->bshd", ds, q)
    dv = np.einsum("bhts,bthd->bshd", p, dout)
    return dq, _grouped(dk, k), _grouped(dv, v)


def factor(q: np.ndarray, scale: float | None) -> float:
    """What the products of queries and keys are multiplied by."""
    return 1 / math.sqrt(max(1, q.shape[3])) if scale is None else scale


def _scores(q, k, causal, scale):
    scores = np.einsum("bthd,bshd->bhts", q, _repeated(k, q)) * factor(q, scale)
    if causal:
        t, s = scores.shape[2:]
        scores = np.where(np.arange(s) <= s - t + np.arange(t)[:, None], scores, -np.inf)
    return scores


def _repeated(x, q):
    """Keys or values with a head for each of the queries'."""
    return np.repeat(x, q.shape[2] // max(1, x.shape[2]), axis=2)


def _grouped(dx, x):
    """Gradients of repeated keys or values, summed over each group."""
    b, s, g, d = x.shape
    return dx.reshape(b, s, g, dx.shape[2] // max(1, g), d).sum(3)
