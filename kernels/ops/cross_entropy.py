"""Cross-entropy of logits against target ids."""

from typing import Annotated, Literal

import numpy as np

from ..dispatch import op
from ..signature import Floats, Interval, Ints, One, require_ids

Int64 = Annotated[int, Interval(-(2**63), 2**63, open="high")]


@op("N V, N -> R...", backward="cross_entropy_backward", saves="dlogits", outputs="loss")
def cross_entropy(
    logits: Floats,
    targets: Ints,
    ignore_index: Int64 = -100,
    reduction: Literal["mean", "sum", "none"] = "mean",
    save: bool = False,
) -> tuple[Floats, Floats | None]:
    """Negative log-probability of each row's target: how surprised the model was.

    loss_i = log Σ_j exp(logits_ij) − logits_i,target_i;  dlogits = (softmax(logits) − onehot(target)) · dloss

    Args:
        logits: (N, V) float32 or float64 scores.
        targets: (N) integers in [0, V), or `ignore_index`: such a row's loss and gradient are 0.
        reduction: "mean" over the rows that are not ignored, "sum", or "none".

    Returns:
        The loss, () for "mean" and "sum", (N) for "none". Where all targets are ignored it is 0 (PyTorch's mean is
        NaN), so that a batch of padding does not spoil the weights.

    Raises:
        ValueError: a target is neither in [0, V) nor `ignore_index`.

    Numerics: the row's maximum is subtracted first; losses are added in float64.
    Source: Goodfellow et al., Deep Learning (2016), section 6.2.

    >>> cross_entropy(np.zeros((1, 4)), np.array([2])).round(3).tolist()
    1.386
    """
    require_ids("cross_entropy: targets", targets, logits.shape[1], ignore_index)
    kept = targets != ignore_index
    rows, columns = np.flatnonzero(kept), targets[kept]
    shifted = logits[rows] - logits[rows].max(-1, keepdims=True, initial=-np.inf)
    e = np.exp(shifted)
    total = e.sum(-1)
    losses = np.zeros(len(targets), np.float64)
    losses[rows] = np.log(total) - shifted[np.arange(len(rows)), columns]
    scale = 1 / max(1, len(rows)) if reduction == "mean" else 1.0
    loss = losses if reduction == "none" else np.asarray(losses.sum() * scale)
    if not save:
        return loss.astype(logits.dtype), None
    dlogits = np.zeros_like(logits, order="C")
    dlogits[rows] = e / total[:, None] * scale
    dlogits[rows, columns] -= scale
    return loss.astype(logits.dtype), dlogits


@op("R..., N V -> N V", backward_of="cross_entropy", outputs="dx")
def cross_entropy_backward(dloss: Floats | One, dlogits: Floats) -> Floats:
    """The gradient of `cross_entropy`: `dlogits` itself where dloss is ONE, else `dlogits` · dloss."""
    return dlogits if isinstance(dloss, One) else dlogits * dloss.reshape(-1, 1)
