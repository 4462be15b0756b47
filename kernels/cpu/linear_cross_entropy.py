"""The last layer with its loss: chunks of rows go through the product, the row kernel of `cross_entropy` (which turns
logits into their gradient in place) and two more products, so that only one chunk of logits exists. The products walk
through the vocabulary in blocks, so that the weight is never packed whole."""

from ..device import contiguous, empty
from ..signature import ONE
from .cross_entropy import Options, checked_targets, cross_entropy_rows, reduced
from .elementwise import mul
from .matmul import pack_left, pack_right, product

CHUNK = 23_000_000  # logits in a chunk: 92 MB of float32; the more rows, the less often the weight is packed
BLOCK = 1 << 11  # classes


def linear_cross_entropy(
    x,
    weight,
    targets,
    class_weight=None,
    ignore_index=-100,
    reduction="mean",
    label_smoothing=0.0,
    z_loss=0.0,
    softcap=None,
    divisor=None,
    save=False,
):
    options = Options(class_weight, ignore_index, label_smoothing, z_loss, softcap)
    targets, own_divisor = checked_targets("linear_cross_entropy: targets", targets, weight.shape[0], options)
    scale = 1 / (divisor or own_divisor) if reduction == "mean" else 1.0
    losses = empty(len(x), "f8")
    gradients = _gradients(x, weight) if save and reduction != "none" else None
    _sweep(losses, gradients, x, weight, targets, options, scale)
    return reduced(losses, reduction, scale, x.dtype), *(gradients or (None, None))


def linear_cross_entropy_backward(
    dloss,
    x,
    weight,
    targets,
    class_weight,
    dx,
    dweight,
    ignore_index,
    label_smoothing,
    z_loss,
    softcap=None,
):
    if dx is None:
        options = Options(class_weight, ignore_index, label_smoothing, z_loss, softcap)
        targets, _ = checked_targets("linear_cross_entropy: targets", targets, weight.shape[0], options)
        gradients = _gradients(x, weight)
        rows = None if dloss is ONE else contiguous(dloss)
        _sweep(empty(len(x), "f8"), gradients, x, weight, targets, options, 1.0, rows)
        return gradients
    if dloss is ONE:
        return dx, dweight
    return mul(dx, dloss), mul(dweight, dloss)


def _gradients(x, weight):
    return empty(x.shape, x.dtype), empty(weight.shape, x.dtype)


def _sweep(losses, gradients, x, weight, targets, options, scale, dlosses=None):
    """Losses of all rows and, where `gradients` is (dx, dweight), those, times scale and each row's `dlosses`."""
    rows, vocabulary = len(x), len(weight)
    step = max(1, min(rows, CHUNK // max(1, vocabulary)))
    logits = empty((step, vocabulary), x.dtype)
    x = contiguous(x)
    if gradients is not None and not rows:
        gradients[1][...] = 0
    for start in range(0, rows, step):
        part = slice(start, start + step)
        chunk, own = x[part][None], logits[: min(step, rows - start)]
        packed = pack_left(chunk)
        for block in _blocks(vocabulary):
            product(own[None], packed, weight[block].T[None], first=block.start)
        dlogits = empty((0, 0), x.dtype) if gradients is None else own
        cross_entropy_rows(losses[part], dlogits, own, targets[part], options, scale)
        if gradients is None:
            continue
        dx, dweight = gradients
        if dlosses is not None:
            mul(own, dlosses[part][:, None], out=own)
        packed = pack_right(chunk)
        for block in _blocks(vocabulary):
            product(dx[part][None], own[None, :, block], weight[None, block], accumulate=block.start > 0)
            product(dweight[None, block], own.T[None, block], packed, accumulate=start > 0)


def _blocks(vocabulary):
    return [slice(first, min(first + BLOCK, vocabulary)) for first in range(0, vocabulary, BLOCK)]
