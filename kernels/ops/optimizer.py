"""Optimisers: one call for all parameters of a model, which it changes in place.

The step, the learning rate and the scale of gradients may be scalars on the device of the parameters; a scale there
that is infinite or not a number changes nothing.
"""

from itertools import zip_longest
from typing import Annotated, Literal, TypeAlias

import numpy as np

from .. import device
from ..device import BFLOAT16
from ..dispatch import op
from ..signature import Floats, Interval, Scalar

Arrays: TypeAlias = list[np.ndarray]
NotNegative = Annotated[float, Interval(0)]
Beta = Annotated[float, Interval(0, 1, open="high")]
Number = Annotated[float, Interval()]
Flag = Literal[False, True]


def require_writable(name: str, copies: Arrays | None = None, **lists: Arrays) -> None:
    """Raise unless the lists hold arrays of one dtype that can be written as one run of memory.

    `copies` of the first list are bfloat16.
    """
    params = next(iter(lists.values()))
    if copies is not None:
        wanted = [(device.of(x), BFLOAT16, x.shape) for x in params]
        came = [(device.of(x), x.dtype, x.shape) for x in copies]
        for i, (a, b) in enumerate(zip_longest(wanted, came)):
            if a != b:
                raise ValueError(f"{name}: copies: expected arrays like params, in bfloat16: {a} at {i}, got {b}")
        lists = lists | {"copies": copies}
    for argument, xs in lists.items():
        like = xs if argument == "copies" else params
        for i, x in enumerate(xs):
            if x.dtype != like[0].dtype:
                raise TypeError(
                    f"{name}: {argument}: expected arrays of one dtype, got {like[0].dtype} at 0 and {x.dtype} at {i}; "
                    "call it once for each dtype"
                )
            if not getattr(x.flags, "carray", x.flags.c_contiguous):  # CuPy has no read-only arrays
                fault = "not C-contiguous" if getattr(x.flags, "writeable", True) else "read-only"
                raise ValueError(
                    f"{name}: {argument}[{i}]: expected a writable C-contiguous array, to change in place, got one of "
                    f"shape {x.shape} that is {fault}; use a copy of it"
                )


def write_copies(copies: Arrays | None, params: Arrays) -> None:
    """Round parameters into their copies."""
    for copy, p in zip(copies or [], params, strict=False):
        copy[...] = p


def _check_adamw(params, grads, exp_avgs, exp_avg_sqs, *rest):
    require_writable("adamw_", rest[-1], params=params, exp_avgs=exp_avgs, exp_avg_sqs=exp_avg_sqs)


@op(
    "*P, *P, *P, *P ->",
    no_gradient="an optimiser's step is not part of the loss that it lowers",
    check=_check_adamw,
)
def adamw_(
    params: Arrays,
    grads: Arrays,
    exp_avgs: Arrays,
    exp_avg_sqs: Arrays,
    step: Annotated[int, Interval(1)] | Scalar,
    lr: NotNegative | Scalar,
    beta1: Beta = 0.9,
    beta2: Beta = 0.999,
    eps: NotNegative = 1e-8,
    weight_decay: NotNegative = 0.0,
    grad_scale: Number | Scalar = 1.0,
    copies: Arrays | None = None,
) -> None:
    """Adam's step with decoupled weight decay, in place.

    g = grad · grad_scale;  m ← β1 m + (1 − β1) g;  v ← β2 v + (1 − β2) g²
    param ← param · (1 − lr · weight_decay) − lr · m̂ / (√v̂ + eps), m̂ = m / (1 − β1^step), v̂ = v / (1 − β2^step)

    Args:
        params, grads, exp_avgs (m), exp_avg_sqs (v): lists of arrays, alike in shape and dtype, but that gradients of
            float32 parameters may be bfloat16; m and v start as 0.
        step: 1 at the first call.
        copies: bfloat16 arrays that the new parameters are rounded into, in the same sweep.

    Raises:
        ValueError: params, exp_avgs or exp_avg_sqs hold one that is read-only or not C-contiguous.
        TypeError: arrays of several dtypes.

    Numerics: bias corrections are worked out in float64.
    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization (2019), Algorithm 2.

    >>> p, m, v = np.ones(1), np.zeros(1), np.zeros(1)
    >>> adamw_([p], [np.ones(1)], [m], [v], step=1, lr=0.5); p.round(3).tolist()
    [0.5]
    """
    rate, root = lr / (1 - beta1**step), np.sqrt(1 - beta2**step)
    for p, grad, m, v in zip(params, grads, exp_avgs, exp_avg_sqs, strict=True):
        g = grad * p.dtype.type(grad_scale)
        m[...] = beta1 * m + (1 - beta1) * g
        v[...] = beta2 * v + (1 - beta2) * g * g
        p *= 1 - lr * weight_decay
        p -= rate * m / (np.sqrt(v) / p.dtype.type(root) + eps)
    write_copies(copies, params)


def _check_sgd(params, _, momentum_buffers, __, momentum, weight_decay, grad_scale, nesterov, copies):
    require_writable("sgd_", copies, params=params, momentum_buffers=momentum_buffers or [])
    if momentum and momentum_buffers is None:
        raise ValueError(f"sgd_: momentum_buffers: expected a list as params for momentum={momentum}, got None")
    if nesterov and not momentum:
        raise ValueError("sgd_: nesterov: expected momentum above 0 to look ahead by, got 0")


@op(
    "*P, *P, *P ->",
    no_gradient="an optimiser's step is not part of the loss that it lowers",
    check=_check_sgd,
)
def sgd_(
    params: Arrays,
    grads: Arrays,
    momentum_buffers: Arrays | None,
    lr: NotNegative | Scalar,
    momentum: Beta = 0.0,
    weight_decay: NotNegative = 0.0,
    grad_scale: Number | Scalar = 1.0,
    nesterov: Flag = False,
    copies: Arrays | None = None,
) -> None:
    """A step of gradient descent, with momentum, in place.

    g = grad · grad_scale + weight_decay · param;  b ← momentum · b + g;  param ← param − lr · b
    with nesterov: param ← param − lr · (g + momentum · b)

    Args:
        params, grads, momentum_buffers (b): lists of arrays, alike in shape and dtype; b starts as 0. Without
            momentum b is g: the buffers may be None and are left alone.
        copies: as in `adamw_`, which also says what gradients may be.

    Raises:
        ValueError: a parameter or buffer is read-only or not C-contiguous; nesterov without momentum.
        TypeError: arrays of several dtypes.

    Source: Polyak (1964); Sutskever et al., On the importance of initialization and momentum (2013); as in PyTorch.

    >>> p = np.ones(1)
    >>> sgd_([p], [np.ones(1)], None, lr=0.25); p.tolist()
    [0.75]
    """
    for i, (p, grad) in enumerate(zip(params, grads, strict=True)):
        g = grad * p.dtype.type(grad_scale) + weight_decay * p
        if momentum and momentum_buffers is not None:
            momentum_buffers[i][...] = b = momentum * momentum_buffers[i] + g
            g = g + momentum * b if nesterov else b
        p -= lr * g
    write_copies(copies, params)


def _check_lion(params, grads, exp_avgs, *rest):
    require_writable("lion_", rest[-1], params=params, exp_avgs=exp_avgs)


@op(
    "*P, *P, *P ->",
    no_gradient="an optimiser's step is not part of the loss that it lowers",
    check=_check_lion,
)
def lion_(
    params: Arrays,
    grads: Arrays,
    exp_avgs: Arrays,
    lr: NotNegative | Scalar,
    beta1: Beta = 0.9,
    beta2: Beta = 0.99,
    weight_decay: NotNegative = 0.0,
    grad_scale: Number | Scalar = 1.0,
    copies: Arrays | None = None,
) -> None:
    """A step of one length in each coordinate, the sign of a momentum, in place.

    g = grad · grad_scale;  param ← param · (1 − lr · weight_decay) − lr · sign(β1 m + (1 − β1) g)
    m ← β2 m + (1 − β2) g

    Args:
        params, grads, exp_avgs (m): lists of arrays, alike in shape and dtype; m starts as 0.
        lr: usually 3 to 10 times smaller than AdamW's, weight_decay as many times larger.
        copies: as in `adamw_`, which also says what gradients may be.

    Raises:
        ValueError: params or exp_avgs hold one that is read-only or not C-contiguous.
        TypeError: arrays of several dtypes.

    Source: Chen et al., Symbolic Discovery of Optimization Algorithms (2023), Algorithm 2.

    >>> p, m = np.ones(1), np.zeros(1)
    >>> lion_([p], [np.array([7.0])], [m], lr=0.25); p.tolist()
    [0.75]
    """
    for p, grad, m in zip(params, grads, exp_avgs, strict=True):
        g = grad * p.dtype.type(grad_scale)
        p *= 1 - lr * weight_decay
        p -= lr * np.sign(beta1 * m + (1 - beta1) * g)
        m[...] = beta2 * m + (1 - beta2) * g
    write_copies(copies, params)


def _check_norm(grads):
    if len({x.dtype for x in grads}) > 1:
        raise TypeError("grad_norm: grads: expected arrays of one dtype, got several; call it once for each dtype")


@op("*P -> ()", no_gradient="it measures gradients and is not part of the loss", check=_check_norm)
def grad_norm(grads: Arrays) -> Floats:
    """The Euclidean norm of all gradients taken as one vector: √(Σ g²).

    Args:
        grads: a list of arrays of any shapes.

    Returns:
        A float64 array of shape (); 0 for an empty list.

    Numerics: squares are added in float64, in an order that does not depend on the number of threads.
    Source: Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks (2013), Algorithm 1.

    >>> float(grad_norm([np.array([3.0]), np.array([[4.0]])]))
    5.0
    """
    return np.asarray(np.sqrt(sum((np.square(g, dtype=np.float64).sum() for g in grads), 0.0)))


@op(
    "*P, *P ->",
    no_gradient="it adds up what gradients have been made of already",
    check=lambda arrays, others: require_writable("add_", arrays=arrays),
)
def add_(arrays: Arrays, others: Arrays) -> None:
    """Add to every array of a list another one, in place.

    x ← x + y

    Args:
        arrays, others: lists of arrays, alike in shape and dtype, that do not overlap.

    Raises:
        ValueError: one of `arrays` is read-only or not C-contiguous.
        TypeError: arrays of several dtypes.

    Source: elementary.

    >>> x = np.ones(2)
    >>> add_([x], [np.array([1.0, 2.0])]); x.tolist()
    [2.0, 3.0]
    """
    for x, y in zip(arrays, others, strict=True):
        x += y


@op(
    "*P ->",
    no_gradient="it rescales what gradients have been made of already",
    check=lambda arrays, factor: require_writable("scale_", arrays=arrays),
)
def scale_(arrays: Arrays, factor: Number) -> None:
    """Multiply every array of a list by one number, in place.

    x ← x · factor

    Args:
        arrays: a list of arrays of any shapes and one dtype.

    Raises:
        ValueError: one is read-only or not C-contiguous.
        TypeError: arrays of several dtypes.

    Source: clipping by norm, Pascanu, Mikolov and Bengio (2013), Algorithm 1.

    >>> x = np.ones(2)
    >>> scale_([x], 3.0); x.tolist()
    [3.0, 3.0]
    """
    for x in arrays:
        x *= x.dtype.type(factor)
