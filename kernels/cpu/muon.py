"""Muon on the matrix products of `matmul`; the sums between them are one kernel."""

from numba import prange

from ..device import contiguous, empty
from ..ops.muon import COEFFICIENTS, step_size
from .kernel import kernel
from .matmul import matmul
from .optimizer import grad_norm

_BLOCK = 16384


def muon_(
    params,
    grads,
    momentum_buffers,
    lr,
    momentum=0.95,
    weight_decay=0.0,
    grad_scale=1.0,
    nesterov=True,
    adjust_lr_fn="original",
    ns_steps=5,
):
    for p, grad, buffer in zip(params, grads, momentum_buffers, strict=True):
        share = (1 - momentum) * grad_scale
        _blend(buffer, buffer, grad, momentum, share)
        u = _blend(empty(p.shape, p.dtype), grad, buffer, share, momentum) if nesterov else buffer
        x = _orthogonal(u.reshape(len(u), -1), ns_steps)
        _blend(p, p, x.reshape(p.shape), 1 - lr * weight_decay, -lr * step_size(x.shape, adjust_lr_fn))


def _orthogonal(u, steps):
    a, b, c = COEFFICIENTS
    x = contiguous(u.T) if len(u) > u.shape[1] else u
    norm = float(grad_norm([x]))
    x = _blend(empty(x.shape, x.dtype), x, x, 1 / norm if norm else 0.0, 0.0)
    for _ in range(steps):
        gram = matmul(x, x.T)
        square = matmul(gram, gram)
        x = _blend(matmul(_blend(square, gram, square, b, c), x), x, None, a, 1.0)
    return x.T if len(u) > u.shape[1] else x


def _blend(out, x, y, a, b):
    """out = a x + b y, where `out` may be one of them; y is out if it is None."""
    y = out if y is None else y
    _blend_kernel(out.reshape(-1), contiguous(x).reshape(-1), contiguous(y).reshape(-1), a, b)
    return out


@kernel("T[1] <- T[1] T[1] f8 f8")
def _blend_kernel(out, x, y, a, b):
    number = out.dtype.type
    a, b = number(a), number(b)
    for task in prange((out.size + _BLOCK - 1) // _BLOCK):
        start = task * _BLOCK
        to, left, right = out[start : start + _BLOCK], x[start : start + _BLOCK], y[start : start + _BLOCK]
        for i in range(to.size):
            to[i] = a * left[i] + b * right[i]
