"""Muon on the matrix products of `matmul`; of a GPU the host learns no number."""

from ..device import cast, copy
from ..ops.muon import COEFFICIENTS, step_size
from .matmul import matmul
from .optimizer import grad_norm
from .pointwise import contiguous, elementwise


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
    copies=None,
):
    for p, grad, buffer in zip(params, grads, momentum_buffers, strict=True):
        share = (1 - momentum) * grad_scale
        grad = cast(grad, buffer.dtype)
        _blend(buffer, grad, momentum, share, out=buffer)
        u = _blend(grad, buffer, share, momentum) if nesterov else buffer
        x = _orthogonal(contiguous(u).reshape(len(u), -1), ns_steps)
        _blend(p, x.reshape(p.shape), 1 - lr * weight_decay, -lr * step_size(x.shape, adjust_lr_fn), out=p)
    for bits, p in zip(copies or [], params, strict=False):
        copy(p, bits)


def _orthogonal(u, steps):
    a, b, c = COEFFICIENTS
    x = u.T if len(u) > u.shape[1] else u
    x = contiguous(_shortened(x, cast(grad_norm([u]), x.dtype)))
    for _ in range(steps):
        gram = matmul(x, x.T)
        x = _blend(x, matmul(_blend(gram, matmul(gram, gram), b, c), x), a, 1.0)
    return contiguous(x.T) if len(u) > u.shape[1] else x


@elementwise
def _blend(x, y, a, b):
    return a * x + b * y


@elementwise
def _shortened(x, norm):
    return x / norm if norm > type(norm)(0) else x
