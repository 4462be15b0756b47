"""Losses of arrays against arrays, element by element. Their mean is 0 where there is no element (PyTorch's: NaN)."""

import math
from typing import Annotated, Any, Literal

import numpy as np

from ..dispatch import op
from ..signature import Constants, Floats, Interval, Sums
from .reduce import sum_to

Reduction = Literal["mean", "sum", "none"]
BatchReduction = Literal["mean", "batchmean", "sum", "none"]
Positive = Annotated[float, Interval(0, np.inf, open="both")]


def share_of(reduction: str, shape: tuple[int, ...]) -> float:
    """What the sum of the losses is multiplied by."""
    counts = {"mean": math.prod(shape), "batchmean": (*shape, 1)[0]}
    return 1 / max(1, counts.get(reduction, 1))


def require_variances(var: np.ndarray) -> None:
    """Raise ValueError where a variance is negative."""
    bad = var < 0
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"gaussian_nll_loss: var: expected variances >= 0, got {var[at]:g} at {at}")


def _reduced(losses: np.ndarray, reduction: str) -> np.ndarray:
    if reduction == "none":
        return losses
    return np.asarray(losses.sum(dtype=np.float64) * share_of(reduction, losses.shape)).astype(losses.dtype)


def _check_broadcast(name: str, x: np.ndarray, **arrays: np.ndarray | None) -> None:
    for argument, a in arrays.items():
        if a is not None and not _broadcasts(a.shape, x.shape):
            raise ValueError(f"{name}: {argument}: expected a shape that broadcasts to {x.shape}, got {a.shape}")


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    ends = zip(shape[::-1], to[::-1], strict=False)
    return len(shape) <= len(to) and all(n in (1, m) for n, m in ends)


def _check_weights(logits: Any, targets: Any, weight: Any, pos_weight: Any, *_: Any) -> None:
    _check_broadcast("binary_cross_entropy_with_logits", logits, weight=weight, pos_weight=pos_weight)


@op(
    "S..., S..., ..., ... -> R...",
    backward="binary_cross_entropy_with_logits_backward",
    outputs="loss",
    check=_check_weights,
)
def binary_cross_entropy_with_logits(
    logits: Floats,
    targets: Constants,
    weight: Constants | None = None,
    pos_weight: Constants | None = None,
    reduction: Reduction = "mean",
) -> Sums:
    """Cross-entropy of yes or no: −log of the probability p = sigmoid(logits) given to what came.

    loss = weight · (pos_weight · targets · softplus(−logits) + (1 − targets) · softplus(logits))
    dlogits = weight · ((1 − targets) · p − pos_weight · targets · (1 − p)) · dloss

    Args:
        logits: float32, float64 or bfloat16, of any shape.
        targets: probabilities in [0, 1], of the same shape, without gradient.
        weight, pos_weight: factors of an element and of its positive part, without gradient; they broadcast.
        reduction: "mean" over all elements, "sum", or "none".

    Returns:
        The loss, () for "mean" and "sum", else of the shape of logits.

    Numerics: softplus(x) = max(x, 0) + log1p(exp(−|x|)), finite for all finite logits.
    Source: Goodfellow et al., Deep Learning (2016), section 6.2.2.2.

    >>> binary_cross_entropy_with_logits(np.array([0.0, -1e4]), np.array([1.0, 0.0])).round(3).tolist()
    0.347
    """
    losses = (1 - targets) * _softplus(logits) + _or_one(pos_weight) * targets * _softplus(-logits)
    return _reduced(_or_one(weight) * losses, reduction)


@op("R..., S..., S..., ..., ... -> S...", backward_of="binary_cross_entropy_with_logits", outputs="dlogits")
def binary_cross_entropy_with_logits_backward(
    dloss: Sums,
    logits: Floats,
    targets: Constants,
    weight: Constants | None,
    pos_weight: Constants | None,
    reduction: Reduction,
) -> Floats:
    """The gradient of `binary_cross_entropy_with_logits`."""
    slope = (1 - targets) * _sigmoid(logits) - _or_one(pos_weight) * targets * _sigmoid(-logits)
    return _or_one(weight) * slope * (dloss * share_of(reduction, logits.shape))


def _or_one(weight: np.ndarray | None) -> Any:
    return 1 if weight is None else weight


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


@op("S..., S... -> R...", backward="mse_loss_backward", outputs="loss")
def mse_loss(input: Floats, target: Floats, reduction: Reduction = "mean") -> Sums:
    """The squared error (input − target)².

    dinput = 2 (input − target) · dloss;  dtarget = −dinput

    Args:
        input, target: float32, float64 or bfloat16, of the same shape.
        reduction: "mean" over all elements, "sum", or "none".

    Source: Goodfellow et al., Deep Learning (2016), section 5.1.4.

    >>> mse_loss(np.array([1.0, 3.0]), np.array([1.0, 1.0])).tolist()
    2.0
    """
    return _reduced((input - target) ** 2, reduction)


@op("R..., S..., S... -> S..., S...", backward_of="mse_loss", outputs="dinput dtarget")
def mse_loss_backward(dloss: Sums, input: Floats, target: Floats, reduction: Reduction) -> tuple[Floats, Floats]:
    """The gradients of `mse_loss`."""
    dinput = (input - target) * (2 * dloss * share_of(reduction, input.shape))
    return dinput, -dinput


@op("S..., S... -> R...", backward="huber_loss_backward", outputs="loss")
def huber_loss(input: Floats, target: Floats, reduction: Reduction = "mean", delta: Positive = 1.0) -> Sums:
    """Squared error near the target, absolute error far from it: d² / 2 for |d| <= delta, else delta (|d| − delta / 2).

    d = input − target;  dinput = min(max(d, −delta), delta) · dloss;  dtarget = −dinput

    Args:
        input, target: float32, float64 or bfloat16, of the same shape.
        reduction: "mean" over all elements, "sum", or "none".
        delta: where one becomes the other, above 0.

    Source: Huber, Robust Estimation of a Location Parameter (1964).

    >>> huber_loss(np.array([1.0, 3.0]), np.array([0.0, 0.0]), "none").tolist()
    [0.5, 2.5]
    """
    d = np.abs(input - target)
    return _reduced(np.where(d <= delta, d * d / 2, delta * (d - delta / 2)), reduction)


@op("R..., S..., S... -> S..., S...", backward_of="huber_loss", outputs="dinput dtarget")
def huber_loss_backward(
    dloss: Sums, input: Floats, target: Floats, reduction: Reduction, delta: Positive
) -> tuple[Floats, Floats]:
    """The gradients of `huber_loss`."""
    dinput = np.clip(input - target, -delta, delta) * (dloss * share_of(reduction, input.shape))
    return dinput, -dinput


def _check_var(input: np.ndarray, target: np.ndarray, var: np.ndarray, *_: Any) -> None:
    same = var.ndim == input.ndim and _broadcasts(var.shape, input.shape)
    if not same and var.shape not in ((), input.shape[:-1]):
        raise ValueError(
            f"gaussian_nll_loss: var: expected the shape {input.shape}, with any of its sizes 1, or without the last "
            f"one, got {var.shape}"
        )


def variances(var: np.ndarray, ndim: int) -> np.ndarray:
    """Variances that broadcast to an input of so many axes: one for each row has the last axis put in."""
    return var[..., None] if 0 < var.ndim < ndim else var


@op("S..., S..., ... -> R...", backward="gaussian_nll_loss_backward", outputs="loss", check=_check_var)
def gaussian_nll_loss(
    input: Floats,
    target: Floats,
    var: Floats,
    full: bool = False,
    eps: Positive = 1e-6,
    reduction: Reduction = "mean",
) -> Sums:
    """−log of the density of `target` under a Gaussian with mean `input` and variance v = max(var, eps).

    loss = (log v + (input − target)² / v) / 2, and log(2π) / 2 more if `full`
    dinput = (input − target) / v · dloss;  dtarget = −dinput;  dvar = (1 − (input − target)² / v) / (2v) · dloss

    Args:
        input, target: float32, float64 or bfloat16, of the same shape.
        var: variances >= 0 of that shape, with any of its sizes 1, or without the last one; or a single one.
        full: whether to add the constant.
        eps: the least variance; one that was below it has the gradient of one that was not, as in PyTorch.
        reduction: "mean" over all elements, "sum", or "none".

    Raises:
        ValueError: a variance is negative.

    Source: Nix & Weigend, Estimating the mean and variance of the target probability distribution (1994).

    >>> float(gaussian_nll_loss(np.array([1.0, 3.0]), np.array([1.0, 1.0]), np.array([1.0, 2.0])).round(4))
    0.6733
    """
    require_variances(var)
    v = variances(np.maximum(var, var.dtype.type(eps)), input.ndim)
    losses = (np.log(v) + (input - target) ** 2 / v) / 2
    return _reduced(losses + math.log(2 * math.pi) / 2 if full else losses, reduction)


@op("R..., S..., S..., ... -> S..., S..., ...", backward_of="gaussian_nll_loss", outputs="dinput dtarget dvar")
def gaussian_nll_loss_backward(
    dloss: Sums, input: Floats, target: Floats, var: Floats, eps: Positive, reduction: Reduction
) -> tuple[Floats, Floats, Floats]:
    """The gradients of `gaussian_nll_loss`."""
    v = variances(np.maximum(var, var.dtype.type(eps)), input.ndim)
    d = input - target
    dloss = dloss * share_of(reduction, input.shape)
    dinput = d / v * dloss
    return dinput, -dinput, sum_to((1 - d * d / v) / (2 * v) * dloss, v.shape).reshape(var.shape)


@op("S..., S... -> R...", backward="kl_div_backward", outputs="loss")
def kl_div(input: Floats, target: Constants, reduction: BatchReduction = "mean", log_target: bool = False) -> Sums:
    """The Kullback–Leibler divergence of a model from the truth, element by element: q (log q − input), q = target.

    dinput = −q · dloss

    Args:
        input: log-probabilities, float32, float64 or bfloat16, of any shape.
        target: probabilities, or their logarithms if `log_target`, of the same shape, without gradient.
        reduction: "batchmean" divides the sum by the first size, which is the divergence by its definition; "mean" by
            all elements; "sum", or "none".

    Numerics: 0 where the target's probability is 0.
    Source: Kullback & Leibler, On Information and Sufficiency (1951).

    >>> kl_div(np.log([[0.5, 0.5]]), np.array([[1.0, 0.0]]), "batchmean").round(3).tolist()
    0.693
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        q, log_q = (np.exp(target), target) if log_target else (target, np.log(target))
        losses = np.where(q == 0, 0, q * (log_q - input))
    return _reduced(losses, reduction)


@op("R..., S... -> S...", backward_of="kl_div", outputs="dinput")
def kl_div_backward(dloss: Sums, target: Constants, reduction: BatchReduction, log_target: bool) -> Floats:
    """The gradient of `kl_div`."""
    return -(np.exp(target) if log_target else target) * (dloss * share_of(reduction, target.shape))
