"""Muon: steps of matrices that turn all directions alike."""

from typing import Annotated, Literal, TypeAlias

import numpy as np

from ..dispatch import op
from ..signature import Interval
from .optimizer import Arrays, Beta, Flag, NotNegative, Number, require_writable, write_copies

Scaling: TypeAlias = Literal["original", "match_rms_adamw"]
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of x, x³ and x⁵: five rounds bring singular values to about 0.7 … 1.2


def _check(params, grads, momentum_buffers, *rest):
    require_writable("muon_", rest[-1], params=params, momentum_buffers=momentum_buffers)
    for i, p in enumerate(params):
        if p.ndim < 2 or not p.size:
            raise ValueError(
                f"muon_: params[{i}]: expected a matrix, got shape {p.shape}; vectors are for adamw_ or sgd_"
            )


def step_size(shape: tuple[int, int], scaling: Scaling) -> float:
    """What the orthogonal matrix is multiplied with, beside the learning rate."""
    rows, columns = shape
    return max(1.0, rows / columns) ** 0.5 if scaling == "original" else 0.2 * max(rows, columns) ** 0.5


@op("*P, *P, *P ->", no_gradient="an optimiser's step is not part of the loss that it lowers", check=_check)
def muon_(
    params: Arrays,
    grads: Arrays,
    momentum_buffers: Arrays,
    lr: NotNegative,
    momentum: Beta = 0.95,
    weight_decay: NotNegative = 0.0,
    grad_scale: Number = 1.0,
    nesterov: Flag = True,
    adjust_lr_fn: Scaling = "original",
    ns_steps: Annotated[int, Interval(0)] = 5,
    copies: Arrays | None = None,
) -> None:
    """A step along the nearest orthogonal matrix to a momentum, in place.

    g = grad · grad_scale;  b ← momentum · b + (1 − momentum) g;  u = (1 − momentum) g + momentum · b
    x = u / ‖u‖, then ns_steps times x ← a x + (b A + c A²) x with A = x xᵀ (on xᵀ where there are more rows)
    param ← param · (1 − lr · weight_decay) − lr · s · x

    Args:
        params, grads, momentum_buffers (b): lists of matrices, alike; further axes count as columns; b starts as 0.
        nesterov: u looks ahead as above; without it u is b.
        copies: as in `adamw_`, which also says what gradients may be.
        adjust_lr_fn: s = √max(1, rows / columns), or 0.2 √max(rows, columns), which suits AdamW's rate and decay.

    Raises:
        ValueError: an array is no matrix, read-only or not C-contiguous. TypeError: arrays of several dtypes.

    Numerics: in the arrays' dtype; rounding grows up to 3.4445^ns_steps-fold along the smallest singular values.
    Source: Jordan et al., Muon (2024); Liu et al., Muon is Scalable for LLM Training (2025), section 2.2.

    >>> p = np.zeros((1, 2)); muon_([p], [np.array([[3.0, 4.0]])], [np.zeros((1, 2))], lr=1.0); p.round(2).tolist()
    [[-0.42, -0.56]]
    """
    for p, grad, buffer in zip(params, grads, momentum_buffers, strict=True):
        g = grad * p.dtype.type(grad_scale)
        buffer[...] = momentum * buffer + (1 - momentum) * g
        u = (1 - momentum) * g + momentum * buffer if nesterov else buffer
        x = _orthogonal(u.reshape(len(u), -1), ns_steps)
        p *= 1 - lr * weight_decay
        p -= lr * step_size(x.shape, adjust_lr_fn) * x.reshape(p.shape)
    write_copies(copies, params)


def _orthogonal(u: np.ndarray, steps: int) -> np.ndarray:
    a, b, c = COEFFICIENTS
    x = u.T if len(u) > u.shape[1] else u
    x = x / max(np.sqrt(np.square(x, dtype=np.float64).sum()).astype(x.dtype), np.finfo(x.dtype).tiny)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if len(u) > u.shape[1] else x
