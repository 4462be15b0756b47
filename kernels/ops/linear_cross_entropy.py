"""The last linear layer and its cross-entropy in one: the logits of a large vocabulary are never whole."""

from typing import Any

import numpy as np

from ..dispatch import op
from ..signature import Constants, Floats, One, Scalar, Sums, Targets
from .cross_entropy import Factor, Int64, Positive, Reduction, Share, check_targets, cross_entropy, mean_divisor


def _check(x: np.ndarray, weight: np.ndarray, targets: np.ndarray, *_: Any) -> None:
    check_targets("linear_cross_entropy", len(x), len(weight), targets)


@op(
    "N C, V C, T..., V -> R...",
    backward="linear_cross_entropy_backward",
    saves="dx dweight",
    outputs="loss",
    check=_check,
)
def linear_cross_entropy(
    x: Floats,
    weight: Floats,
    targets: Targets,
    class_weight: Constants | None = None,
    ignore_index: Int64 = -100,
    reduction: Reduction = "mean",
    label_smoothing: Share = 0.0,
    z_loss: Factor = 0.0,
    softcap: Positive | None = None,
    divisor: Positive | Scalar | None = None,
    save: bool = False,
) -> tuple[Sums, Floats | None, Floats | None]:
    """`cross_entropy` of the logits x weightᵀ, in chunks of rows: loss, dx and dweight in one sweep.

    loss = cross_entropy(x weightᵀ, targets, class_weight, …);  dx = dlogits weight, dweight = dlogitsᵀ x

    Args:
        x: (N, C) float32, float64 or bfloat16 features.
        weight: (V, C), a row for each class.
        targets, ignore_index, reduction, label_smoothing, z_loss, softcap: as in `cross_entropy`.
        class_weight: (V), its `weight`.
        divisor: what "mean" divides by, instead of the weight of the rows here: a micro-batch gives its whole batch's.

    Returns:
        The loss, () for "mean" and "sum", (N) for "none"; 0 where all targets are ignored.

    Raises:
        ValueError: a target is neither in [0, V) nor `ignore_index`.

    Numerics: as `cross_entropy` and `matmul`; memory beyond the results is one chunk of logits.
    Source: Wijmans et al., Cut your losses in large-vocabulary language models (2024), section 3.

    >>> linear_cross_entropy(np.zeros((1, 2)), np.zeros((4, 2)), np.array([2])).round(3).tolist()
    1.386
    """
    how = "sum" if reduction == "mean" else reduction
    options = (class_weight, ignore_index, how, label_smoothing, z_loss, softcap)
    loss, dlogits = cross_entropy.reference(x @ weight.T, targets, *options, save)
    scale = 1 / (divisor or mean_divisor(targets, class_weight, ignore_index)) if reduction == "mean" else 1.0
    loss = (loss * scale).astype(x.dtype)
    if not save or reduction == "none":  # whose gradient needs dloss first
        return loss, None, None
    return loss, dlogits * scale @ weight, (dlogits * scale).T @ x


@op(
    "R..., N C, V C, T..., V, N C, V C -> N C, V C",
    backward_of="linear_cross_entropy",
    outputs="dx dweight",
)
def linear_cross_entropy_backward(
    dloss: Sums | One,
    x: Floats,
    weight: Floats,
    targets: Targets,
    class_weight: Constants | None,
    dx: Floats | None,
    dweight: Floats | None,
    ignore_index: Int64,
    label_smoothing: Share,
    z_loss: Factor,
    softcap: Positive | None = None,
) -> tuple[Floats, Floats]:
    """The gradients of `linear_cross_entropy`: dloss times those of the forward sweep, made here where loss is (N)."""
    if dx is not None and dweight is not None:
        return (dx, dweight) if isinstance(dloss, One) else (dx * dloss, dweight * dloss)
    options = (class_weight, ignore_index, "none", label_smoothing, z_loss, softcap)
    dlogits = cross_entropy.reference(x @ weight.T, targets, *options, True)[1]
    dlogits = dlogits if isinstance(dloss, One) else dlogits * dloss[:, None]
    return dlogits @ weight, dlogits.T @ x
