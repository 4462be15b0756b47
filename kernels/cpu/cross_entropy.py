"""Cross-entropy: a task is a row, whose loss and gradient are made while it is in cache.

The gradient is worked out in place, on a copy of the row: a loop that reads one array and writes another which may be
the same is not vectorised, and `linear_cross_entropy` has no room for a second array of logits. Nor is a loop whose
index may be negative: hence the slices. The kernel for all options has scratch for a row instead, and for the slopes of
softcap. Where gradients cancel, p against 1 or against given probabilities, they are made in float64.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import prange

from ..device import contiguous, empty
from ..ops.cross_entropy import mean_divisor
from ..signature import ONE
from .ids import checked
from .kernel import kernel, primitive
from .maths import exp, expm1
from .simd import row_max


class Options(NamedTuple):
    """What a row's loss depends on beside logits and targets."""

    class_weight: np.ndarray | None
    ignore_index: int
    label_smoothing: float
    z_loss: float
    softcap: float | None


def cross_entropy(
    logits,
    targets,
    weight=None,
    ignore_index=-100,
    reduction="mean",
    label_smoothing=0.0,
    z_loss=0.0,
    softcap=None,
    save=False,
):
    options = Options(weight, ignore_index, label_smoothing, z_loss, softcap)
    targets, divisor = checked_targets("cross_entropy: targets", targets, logits.shape[1], options)
    scale = 1 / divisor if reduction == "mean" else 1.0
    losses = empty(len(targets), "f8")
    dlogits = empty(logits.shape if save else (0, 0), logits.dtype)
    cross_entropy_rows(losses, dlogits, contiguous(logits), targets, options, scale)
    return reduced(losses, reduction, scale, logits.dtype), dlogits if save else None


def cross_entropy_backward(dloss, dlogits):
    if dloss is ONE:
        return dlogits
    dx = empty(dlogits.shape, dlogits.dtype)
    _rescale_kernel(dx, contiguous(dlogits), contiguous(dloss).reshape(-1), dloss.ndim)
    return dx


def checked_targets(name, targets, classes, options):
    """Targets as the kernels take them (int64 ids known to be good, or probabilities), and what "mean" divides by."""
    if targets.dtype.kind == "f":
        return contiguous(targets), mean_divisor(targets, None, 0)
    targets, _ = checked(name, targets, classes, options.ignore_index)
    return targets, mean_divisor(targets, options.class_weight, options.ignore_index)


def reduced(losses, reduction, scale, dtype):
    """The loss that is returned, from the rows' losses in float64."""
    loss = empty(losses.shape if reduction == "none" else (), dtype)
    loss[...] = losses if reduction == "none" else losses.sum() * scale
    return loss


def cross_entropy_rows(losses, dlogits, logits, targets, options, scale):
    """losses = each row's loss, dlogits = its gradient times scale, both 0 for ignored rows.

    losses is (N) float64, targets are from `checked_targets`; `dlogits` is (N, V), `logits` itself to overwrite them,
    or empty (0, 0) where no gradient is wanted.
    """
    class_weight, ignore_index, label_smoothing, z_loss, softcap = options
    is_soft = targets.ndim == 2
    if class_weight is None and not (is_soft or label_smoothing or z_loss or softcap):
        _rows_kernel(losses, dlogits, logits, targets, ignore_index, scale, dlogits is logits)
        return
    classes, dtype = logits.shape[1], logits.dtype
    class_weight = np.ones(classes, dtype) if class_weight is None else contiguous(class_weight)
    ids = np.empty(0, np.int64) if is_soft else targets
    probabilities = targets if is_soft else np.zeros((1, classes), dtype)
    _options_kernel(
        losses,
        dlogits,
        logits,
        ids,
        probabilities,
        class_weight,
        is_soft,
        ignore_index,
        label_smoothing,
        z_loss,
        softcap or 0.0,
        scale,
    )


_BLOCK = 4096  # exponentials that are added in the logits' dtype, before float64 takes over


@kernel("f8[1] T[2] <- T[2] i8[1] i8 f8 b1")
def _rows_kernel(losses, dlogits, logits, targets, ignore_index, scale, in_place):
    rows, columns = logits.shape
    number = logits.dtype.type
    save = dlogits.size > 0
    for i in prange(rows):
        target = targets[i]
        if target == ignore_index:
            losses[i] = 0
            if save:
                for j in range(columns):
                    dlogits[i, j] = 0
            continue
        top = row_max(logits, i * columns, columns)
        shifted = logits[i, target] - top
        total = 0.0
        if save and not in_place:
            for j in range(columns):
                dlogits[i, j] = logits[i, j]
        for start in range(0, columns, _BLOCK):
            part = number(0)
            if save:
                block = dlogits[i, start : start + _BLOCK]
                for j in range(block.size):
                    e = exp(block[j] - top)
                    block[j] = e
                    part += e
            else:
                scores = logits[i, start : start + _BLOCK]
                for j in range(scores.size):
                    part += exp(scores[j] - top)
            total += part
        losses[i] = math.log(total) - shifted
        if save:
            factor = scale / total
            of_target = dlogits[i, target] * factor - scale
            for j in range(columns):
                dlogits[i, j] *= number(factor)
            dlogits[i, target] = of_target


@primitive
def _weighted(score, mass):
    """mass · score; 0 where mass is 0 and score -inf."""
    zero = type(mass)(0)
    return zero if mass == zero else mass * score


@primitive
def _tanh(x):
    """tanh x, and its slope 1 − tanh² x = 4s (1 − s), s = 1 / (1 + exp 2|x|), in which nothing cancels."""
    z, most = 2 * abs(x), 700.0  # exp(most) is finite
    more = expm1(most if z > most else z)
    s = 1 / (2 + more)
    return math.copysign(more / (2 + more), x), 0.0 if z > most else 4 * s * (1 - s)


@kernel("f8[1] T[2] <- T[2] i8[1] T[2] T[1] b1 i8 f8 f8 f8 f8")
def _options_kernel(
    losses,
    dlogits,
    logits,
    ids,
    probabilities,
    class_weight,
    is_soft,
    ignore_index,
    label_smoothing,
    z_loss,
    softcap,
    scale,
):
    """A class has the mass m = class_weight · (sharp · probability + even); ids have one row of probabilities, all 0,
    and `own` on top for the target. A row is worked out in scratch: shifted scores, then exponentials."""
    rows, columns = logits.shape
    number = logits.dtype.type
    sharp, even = 1 - label_smoothing, label_smoothing / columns
    for i in prange(rows):
        target = 0 if is_soft else ids[i]
        if target == ignore_index and not is_soft:
            losses[i] = 0
            if dlogits.size > 0:
                for j in range(columns):
                    dlogits[i, j] = 0
            continue
        r = 1.0 if is_soft else np.float64(class_weight[target])
        own = 0.0 if is_soft else r * sharp
        scores, given = logits[i], probabilities[i * np.int64(is_soft)]
        scratch = np.empty(columns, logits.dtype)
        slopes = np.empty(columns if softcap > 0 else 0, logits.dtype)
        top = np.float64(row_max(logits, i * columns, columns))
        if softcap > 0:  # in float64: rounded before the maximum is subtracted, the score would lose digits
            top = softcap * _tanh(top / softcap)[0]
            for j in range(columns):
                score, slope = _tanh(np.float64(scores[j]) / softcap)
                scratch[j] = softcap * score - top
                slopes[j] = slope
        else:
            for j in range(columns):
                scratch[j] = scores[j] - number(top)
        total, mass = 0.0, own
        dot = own * scratch[target] if own != 0 else 0.0
        for j in range(columns):
            m = class_weight[j] * (sharp * given[j] + even)
            score = scratch[j]
            mass += m
            dot += _weighted(score, m)
            e = exp(score)
            scratch[j] = e
            total += e
        lse = top + math.log(total)
        losses[i] = mass * math.log(total) - dot + z_loss * r * lse * lse
        if dlogits.size > 0:
            factor = (mass + 2 * z_loss * r * lse) / total * scale
            of_target = scratch[target] * factor - (own + class_weight[target] * even) * scale
            row = dlogits[i]
            if softcap > 0:
                of_target *= slopes[target]
                for j in range(columns):
                    m = class_weight[j] * (sharp * given[j] + even)
                    row[j] = (scratch[j] * factor - m * scale) * slopes[j]
            else:
                for j in range(columns):
                    m = class_weight[j] * (sharp * given[j] + even)
                    row[j] = scratch[j] * factor - m * scale
            if not is_soft:
                row[target] = of_target


@kernel("T[2] <- T[2] T[1] i8")
def _rescale_kernel(dx, dlogits, dloss, step):
    """dx = dlogits · dloss, of which there is one for each row (step 1) or for all (0)."""
    rows, columns = dlogits.shape
    for i in prange(rows):
        factor = dloss[i * step]
        for j in range(columns):
            dx[i, j] = dlogits[i, j] * factor
