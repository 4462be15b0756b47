"""The last layer with its loss: chunks of rows go through the product, the row kernel of `cross_entropy` (which turns
logits into their gradient in place) and two more products, so that only one chunk of logits exists."""

import numpy as np

from ..device import is_array, precision
from ..signature import ONE
from .cross_entropy import Options, Scale, cross_entropy_rows, mean_scale, prepared, reduced
from .elementwise import mul
from .kernel import accumulator
from .matmul import product
from .pointwise import cast, contiguous
from .runtime import empty

CHUNK = 1 << 26  # logits in a chunk: 268 MB of float32, enough rows to occupy a GPU with each product


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
    targets = prepared("linear_cross_entropy: targets", targets, len(weight), ignore_index)
    scale = Scale()
    if reduction == "mean":
        scale = mean_scale(targets, options, x.dtype) if divisor is None else _divided(divisor, x.dtype)
    losses = empty(len(x), accumulator(x.dtype))
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
        gradients = _gradients(x, weight)
        scale = Scale() if dloss is ONE else Scale(of_rows=contiguous(dloss))
        losses = empty(len(x), accumulator(x.dtype))
        targets = prepared("linear_cross_entropy_backward: targets", targets, len(weight), ignore_index)
        _sweep(losses, gradients, x, weight, targets, options, scale)
        return gradients
    if dloss is ONE:
        return dx, dweight
    return mul(dx, dloss), mul(dweight, dloss)


def _divided(divisor, dtype):
    """1 over a number, or one on the GPU."""
    return Scale(1.0, cast(divisor, accumulator(dtype)).reshape(1)) if is_array(divisor) else Scale(1 / divisor)


def _gradients(x, weight):
    return empty(x.shape, x.dtype), empty(weight.shape, x.dtype)


def _sweep(losses, gradients, x, weight, targets, options, scale):
    """Losses of all rows and, where `gradients` is (dx, dweight), those, times the scale."""
    rows, vocabulary = len(x), len(weight)
    dtype = x.dtype
    rounded = precision() == "medium" and dtype == np.float32
    if rounded:  # once, and not for each chunk; so is the gradient as it is written
        x, weight = cast(x, np.uint16), cast(weight, np.uint16)
    x = contiguous(x)
    step = max(1, min(rows, CHUNK // max(1, vocabulary)))
    logits = empty((step, vocabulary), dtype)
    dlogits = empty(logits.shape, np.uint16) if rounded and gradients is not None else logits
    for start in range(0, max(1, rows), step):
        part = slice(start, start + step)
        count = len(losses[part])
        own = scale._replace(of_rows=None if scale.of_rows is None else scale.of_rows[part])
        product(logits[:count], x[part], weight.T)
        found = None if gradients is None else dlogits[:count]
        cross_entropy_rows(losses[part], found, logits[:count], targets[part], options, own)
        if gradients is not None:
            product(gradients[0][part], found, weight)
            product(gradients[1], found.T, x[part], accumulate=start > 0)
