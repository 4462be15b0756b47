"""Cross-entropy of logits against target ids or probabilities."""

from typing import Annotated, Any, Literal

import numpy as np

from ..device import is_float
from ..dispatch import op
from ..signature import Constants, Floats, Interval, One, Sums, Targets, require_ids

Int64 = Annotated[int, Interval(-(2**63), 2**63, open="high")]
Reduction = Literal["mean", "sum", "none"]
Share = Annotated[float, Interval(0, 1)]
Factor = Annotated[float, Interval(0, np.inf, open="high")]
Positive = Annotated[float, Interval(0, np.inf, open="both")]


def check_targets(name: str, rows: int, classes: int, targets: np.ndarray) -> None:
    """Raise ValueError unless targets are ids (rows) or probabilities (rows, classes)."""
    if targets.shape != ((rows, classes) if is_float(targets.dtype) else (rows,)):
        raise ValueError(
            f"{name}: targets: expected integer ids of shape (N={rows}) or float probabilities of shape "
            f"(N={rows}, V={classes}), got {targets.dtype} {targets.shape}"
        )


def mean_divisor(targets: np.ndarray, weight: np.ndarray | None, ignore_index: int) -> float:
    """What "mean" divides by: the rows, or for ids the sum of the class weights of those kept; 1 where that is 0."""
    kept = targets if targets.dtype.kind == "f" else targets[targets != ignore_index]
    if weight is None or kept.ndim == 2:
        return max(1, len(kept))
    return float(weight[kept].sum(dtype=np.float64)) or 1.0


def _check(logits: np.ndarray, targets: np.ndarray, *_: Any) -> None:
    check_targets("cross_entropy", len(logits), logits.shape[1], targets)


@op("N V, T..., V -> R...", backward="cross_entropy_backward", saves="dlogits", outputs="loss", check=_check)
def cross_entropy(
    logits: Floats,
    targets: Targets,
    weight: Constants | None = None,
    ignore_index: Int64 = -100,
    reduction: Reduction = "mean",
    label_smoothing: Share = 0.0,
    z_loss: Factor = 0.0,
    softcap: Positive | None = None,
    save: bool = False,
) -> tuple[Sums, Floats | None]:
    """How surprised a model is: log p = s − log Σ_j exp s_j for scores s = softcap tanh(logits / softcap), or logits.

    loss_i = −Σ_j m_ij log p_ij + z_loss r_i (log Σ_j exp s_ij)²;  m = weight · ((1 − ε) targets + ε / V)
    dlogits_i = ((Σ_j m_ij + 2 z_loss r_i log Σ_j exp s_ij) p_i − m_i) · (1 − (s_i / softcap)²) · dloss

    Args:
        logits: (N, V) float32, float64 or bfloat16.
        targets: (N) ids in [0, V), each standing for probability 1, or `ignore_index`: such a row's loss and gradient
            are 0; or (N, V) probabilities, of which there is no gradient.
        weight: (V) factors of the classes, without gradient; 1 where it is left out.
        reduction: "mean" divides by Σ r_i, r = weight of the target, or 1 for probabilities; "sum"; or "none".
        label_smoothing: ε, the share of probability that all classes get alike.

    Returns:
        The loss, () or for "none" (N); 0 where all targets are ignored (PyTorch's mean is NaN).

    Raises:
        ValueError: a target is neither in [0, V) nor `ignore_index`.

    Numerics: the row's maximum is subtracted first; losses are added in float64; 0 log 0 is 0.
    Source: Szegedy et al. (2016), section 7: ε; Chowdhery et al., PaLM (2022), section 5: z; Gemma 2 (2024): softcap.

    >>> cross_entropy(np.zeros((1, 4)), np.array([2])).round(3).tolist()
    1.386
    """
    rows, classes = logits.shape
    number = logits.dtype.type
    factors = np.ones(classes, logits.dtype) if weight is None else weight
    if targets.dtype.kind == "f":
        kept, probabilities, r = np.ones(rows, bool), targets, np.ones(rows, logits.dtype)
    else:
        require_ids("cross_entropy: targets", targets, classes, ignore_index)
        kept = targets != ignore_index
        probabilities = ((targets[:, None] == np.arange(classes)) & kept[:, None]).astype(logits.dtype)
        r = probabilities @ factors
    m = factors * (number(1 - label_smoothing) * probabilities + number(label_smoothing / max(1, classes)))
    t = None if softcap is None else np.tanh(logits / softcap)
    s = logits if t is None else softcap * t
    top = s.max(-1, keepdims=True, initial=-np.inf)
    e = np.exp(s - top)
    total = e.sum(-1, keepdims=True)
    lse = (top + np.log(total))[:, 0]
    surprise = np.where(m == 0, 0, m * (np.log(total) - (s - top)))
    losses = np.where(kept, surprise.sum(-1, dtype=np.float64) + z_loss * r * lse**2, 0)
    scale = 1 / mean_divisor(targets, weight, ignore_index) if reduction == "mean" else 1.0
    loss = losses if reduction == "none" else np.asarray(losses.sum() * scale)
    if not save:
        return loss.astype(logits.dtype), None
    dlogits = (m.sum(-1) + 2 * z_loss * r * lse)[:, None] * (e / total) - m
    if t is not None:
        dlogits *= 1 - t**2
    return loss.astype(logits.dtype), np.where(kept[:, None], dlogits * scale, 0)


@op("R..., N V -> N V", backward_of="cross_entropy", outputs="dx")
def cross_entropy_backward(dloss: Sums | One, dlogits: Floats) -> Floats:
    """The gradient of `cross_entropy`: `dlogits` itself where dloss is ONE, else `dlogits` · dloss."""
    return dlogits if isinstance(dloss, One) else dlogits * dloss.reshape(-1, 1)
