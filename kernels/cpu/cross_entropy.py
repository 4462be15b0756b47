"""Cross-entropy: a task is a row, whose loss and gradient are made while it is in cache.

The gradient is worked out in place, on a copy of the row: a loop that reads one array and writes another which may be
the same is not vectorised, and `linear_cross_entropy` has no room for a second array of logits. Nor is a loop whose
index may be negative: hence the slices.
"""

import math

from numba import prange

from ..device import contiguous, empty
from ..signature import ONE
from .ids import checked
from .kernel import kernel
from .maths import exp
from .simd import row_max


def cross_entropy(logits, targets, ignore_index=-100, reduction="mean", save=False):
    targets, count = checked("cross_entropy: targets", targets, logits.shape[1], ignore_index)
    scale = 1 / max(1, count) if reduction == "mean" else 1.0
    losses = empty(targets.shape, "f8")
    dlogits = empty(logits.shape if save else (0, 0), logits.dtype)
    cross_entropy_rows(losses, dlogits, contiguous(logits), targets, ignore_index, scale)
    loss = empty(losses.shape if reduction == "none" else (), logits.dtype)
    loss[...] = losses if reduction == "none" else losses.sum() * scale
    return loss, dlogits if save else None


def cross_entropy_backward(dloss, dlogits):
    if dloss is ONE:
        return dlogits
    dx = empty(dlogits.shape, dlogits.dtype)
    _rescale_kernel(dx, contiguous(dlogits), contiguous(dloss).reshape(-1), dloss.ndim)
    return dx


def cross_entropy_rows(losses, dlogits, logits, targets, ignore_index, scale):
    """losses = each row's loss, dlogits = (softmax − onehot) · scale, both 0 for ignored rows.

    losses is (N) float64, targets (N) int64 and known to be good; `dlogits` is (N, V), `logits` itself to overwrite
    them, or empty (0, 0) where no gradient is wanted.
    """
    _rows_kernel(losses, dlogits, logits, targets, ignore_index, scale, dlogits is logits)


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
            factor = number(scale / total)
            for j in range(columns):
                dlogits[i, j] *= factor
            dlogits[i, target] -= number(scale)


@kernel("T[2] <- T[2] T[1] i8")
def _rescale_kernel(dx, dlogits, dloss, step):
    """dx = dlogits · dloss, of which there is one for each row (step 1) or for all (0)."""
    rows, columns = dlogits.shape
    for i in prange(rows):
        factor = dloss[i * step]
        for j in range(columns):
            dx[i, j] = dlogits[i, j] * factor
