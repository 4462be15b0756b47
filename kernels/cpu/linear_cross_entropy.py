"""The last layer with its loss: chunks of rows go through the product, the row kernel of `cross_entropy` (which turns
logits into their gradient in place) and two more products, so that only one chunk of logits exists."""

from ..device import contiguous, empty
from ..signature import ONE
from .cross_entropy import cross_entropy_rows
from .elementwise import mul
from .ids import checked
from .matmul import product

CHUNK = 1 << 22  # logits in a chunk: 16 MB of float32


def linear_cross_entropy(x, weight, targets, ignore_index=-100, reduction="mean", divisor=None, save=False):
    targets, kept = checked("linear_cross_entropy: targets", targets, weight.shape[0], ignore_index)
    scale = 1 / (divisor or max(1, kept)) if reduction == "mean" else 1.0
    losses = empty(targets.shape, "f8")
    gradients = _gradients(x, weight) if save and reduction != "none" else None
    _sweep(losses, gradients, x, weight, targets, ignore_index, scale)
    loss = empty(losses.shape if reduction == "none" else (), x.dtype)
    loss[...] = losses if reduction == "none" else losses.sum() * scale
    return loss, *(gradients or (None, None))


def linear_cross_entropy_backward(dloss, x, weight, targets, dx, dweight, ignore_index):
    if dx is None:
        targets, _ = checked("linear_cross_entropy: targets", targets, weight.shape[0], ignore_index)
        gradients = _gradients(x, weight)
        rows = None if dloss is ONE else contiguous(dloss)
        _sweep(empty(targets.shape, "f8"), gradients, x, weight, targets, ignore_index, 1.0, rows)
        return gradients
    if dloss is ONE:
        return dx, dweight
    return mul(dx, dloss), mul(dweight, dloss)


def _gradients(x, weight):
    return empty(x.shape, x.dtype), empty(weight.shape, x.dtype)


def _sweep(losses, gradients, x, weight, targets, ignore_index, scale, dlosses=None):
    """Losses of all rows and, where `gradients` is (dx, dweight), those, times scale and each row's `dlosses`."""
    rows, vocabulary = len(x), len(weight)
    step = max(1, min(rows, CHUNK // max(1, vocabulary)))
    logits = empty((step, vocabulary), x.dtype)
    x = contiguous(x)
    if gradients is not None and not rows:
        gradients[1][...] = 0
    for start in range(0, rows, step):
        part = slice(start, start + step)
        chunk, own = x[part], logits[: min(step, rows - start)]
        product(own[None], chunk[None], weight.T[None])
        dlogits = empty((0, 0), x.dtype) if gradients is None else own
        cross_entropy_rows(losses[part], dlogits, own, targets[part], ignore_index, scale)
        if gradients is None:
            continue
        dx, dweight = gradients
        if dlosses is not None:
            mul(own, dlosses[part][:, None], out=own)
        product(dx[part][None], own[None], weight[None])
        product(dweight[None], own.T[None], chunk[None], accumulate=start > 0)
