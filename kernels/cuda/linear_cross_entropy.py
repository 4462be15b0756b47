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
    options = Options(_wide(class_weight), ignore_index, label_smoothing, z_loss, softcap)
    targets = _wide(prepared("linear_cross_entropy: targets", targets, len(weight), ignore_index))
    scale = Scale()
    if reduction == "mean":
        scale = mean_scale(targets, options, x.dtype) if divisor is None else _divided(divisor, x.dtype)
    losses = empty(len(x), accumulator(x.dtype))
    gradients = _sweep(losses, x, weight, targets, options, scale, save and reduction != "none")
    return reduced(losses, reduction, scale), *gradients


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
        options = Options(_wide(class_weight), ignore_index, label_smoothing, z_loss, softcap)
        targets = _wide(prepared("linear_cross_entropy_backward: targets", targets, len(weight), ignore_index))
        scale = Scale() if dloss is ONE else Scale(of_rows=contiguous(dloss))
        losses = empty(len(x), accumulator(x.dtype))
        return _sweep(losses, x, weight, targets, options, scale, True)
    if dloss is ONE:
        return dx, dweight
    return mul(dx, dloss), mul(dweight, dloss)


def _divided(divisor, dtype):
    """1 over a number, or one on the GPU."""
    return Scale(1.0, cast(divisor, accumulator(dtype)).reshape(1)) if is_array(divisor) else Scale(1 / divisor)


def _wide(x):
    """What stands beside float32 logits, also those of bfloat16."""
    return cast(x, np.float32) if x is not None and x.dtype == np.uint16 else x


def _sweep(losses, x, weight, targets, options, scale, wanted):
    """Fill the losses of all rows; dx and dweight, times the scale, or None for each where they are not wanted."""
    rows, vocabulary = len(x), len(weight)
    dtype = x.dtype
    step = max(1, min(rows, CHUNK // max(1, vocabulary)))
    dx = empty(x.shape, dtype) if wanted else None
    dweight = empty(weight.shape, dtype if step >= rows else accumulator(dtype)) if wanted else None
    rounded = dtype == np.uint16 or (dtype == np.float32 and precision() == "medium")
    if rounded:  # once, and not for each chunk; so is the gradient as it is written
        x, weight = (y if y.dtype == np.uint16 else cast(y, np.uint16) for y in (x, weight))
    x = contiguous(x)
    logits = empty((step, vocabulary), accumulator(dtype))
    dlogits = empty(logits.shape, np.uint16) if rounded and wanted else logits
    for start in range(0, max(1, rows), step):
        part = slice(start, start + step)
        count = len(losses[part])
        own = scale._replace(of_rows=None if scale.of_rows is None else scale.of_rows[part])
        product(logits[:count], x[part], weight.T)
        found = dlogits[:count] if wanted else None
        cross_entropy_rows(losses[part], found, logits[:count], targets[part], options, own)
        if wanted:
            product(dx[part], found, weight)
            product(dweight, found.T, x[part], accumulate=start > 0)
    return dx, dweight if dweight is None or dweight.dtype == dtype else cast(dweight, dtype)
