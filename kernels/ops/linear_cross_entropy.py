"""The last linear layer and its cross-entropy in one: the logits of a large vocabulary are never whole."""

from typing import Annotated, Literal

from ..dispatch import op
from ..signature import Floats, Interval, Ints, One
from .cross_entropy import Int64, cross_entropy

Reduction = Literal["mean", "sum", "none"]
Divisor = Annotated[float, Interval(0, open="low")]


@op("N C, V C, N -> R...", backward="linear_cross_entropy_backward", saves="dx dweight", outputs="loss")
def linear_cross_entropy(
    x: Floats,
    weight: Floats,
    targets: Ints,
    ignore_index: Int64 = -100,
    reduction: Reduction = "mean",
    divisor: Divisor | None = None,
    save: bool = False,
) -> tuple[Floats, Floats | None, Floats | None]:
    """`cross_entropy` of the logits x weightᵀ, in chunks of rows: loss, dx and dweight in one sweep.

    loss = cross_entropy(x weightᵀ, targets);  dx = dlogits weight, dweight = dlogitsᵀ x

    Args:
        x: (N, C) float32 or float64 features.
        weight: (V, C), a row for each id.
        targets: (N) integers in [0, V), or `ignore_index`: such a row's loss and gradient are 0.
        reduction: "mean" over the rows that are not ignored, "sum", or "none".
        divisor: what "mean" divides by, instead of the rows kept here: a micro-batch gives those of its whole batch.

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
    loss, dlogits = cross_entropy.reference(x @ weight.T, targets, ignore_index, how, save)
    scale = 1 / (divisor or max(1, int((targets != ignore_index).sum()))) if reduction == "mean" else 1.0
    loss = (loss * scale).astype(x.dtype)
    if not save or reduction == "none":  # whose gradient needs dloss first
        return loss, None, None
    return loss, dlogits * scale @ weight, (dlogits * scale).T @ x


@op(
    "R..., N C, V C, N, N C, V C -> N C, V C",
    backward_of="linear_cross_entropy",
    outputs="dx dweight",
)
def linear_cross_entropy_backward(
    dloss: Floats | One,
    x: Floats,
    weight: Floats,
    targets: Ints,
    dx: Floats | None,
    dweight: Floats | None,
    ignore_index: Int64,
) -> tuple[Floats, Floats]:
    """The gradients of `linear_cross_entropy`: dloss times those of the forward sweep, made here where loss is (N)."""
    if dx is not None and dweight is not None:
        return (dx, dweight) if isinstance(dloss, One) else (dx * dloss, dweight * dloss)
    dlogits = cross_entropy.reference(x @ weight.T, targets, ignore_index, "none", True)[1]
    dlogits = dlogits if isinstance(dloss, One) else dlogits * dloss[:, None]
    return dlogits @ weight, dlogits.T @ x
