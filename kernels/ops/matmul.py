"""Matrix products: of stacks of matrices, and the linear layer with its bias and activation."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np

from ..dispatch import op
from ..signature import Floats
from .activation import gelu, gelu_backward, relu, relu_backward

Activation = Literal["none", "relu", "gelu", "gelu_tanh"]
_ACTIVATIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "none": (lambda z: z, lambda dout, z: dout),
    "relu": (relu.reference, relu_backward.reference),
    "gelu": (partial(gelu.reference, approximate="none"), partial(gelu_backward.reference, approximate="none")),
    "gelu_tanh": (partial(gelu.reference, approximate="tanh"), partial(gelu_backward.reference, approximate="tanh")),
}


@op("... M K, ... K N -> ... M N", backward="matmul_backward", rounds="a b")
def matmul(a: Floats, b: Floats) -> Floats:
    """The product of two matrices, or of stacks of them that broadcast.

    out = a b;  da = dout bᵀ, db = aᵀ dout, each summed over the axes along which it was broadcast.

    Args:
        a: (..., M, K) float32, float64 or bfloat16, of any strides: a transposed operand is read in place.
        b: (..., K, N), likewise.

    Returns:
        (..., M, N); zeros where K is 0.

    Numerics: fused multiply-adds in the arrays' dtype, in blocks of K.
    Source: Goto and van de Geijn, Anatomy of high-performance matrix multiplication (2008).

    >>> matmul(np.eye(2), np.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    return np.matmul(a, b)


@op("... M N, ... M K, ... K N -> ... M K, ... K N", backward_of="matmul", outputs="da db")
def matmul_backward(dout: Floats, a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """The gradients of `matmul`: da = dout bᵀ, db = aᵀ dout, summed to the operands' shapes."""
    da = np.matmul(dout, np.swapaxes(b, -1, -2))
    db = np.matmul(np.swapaxes(a, -1, -2), dout)
    return _sum_to(da, a.shape), _sum_to(db, b.shape)


@op("S... I, O I, O -> S... O", backward="linear_backward", saves="pre", rounds="x pre")
def linear(
    x: Floats, weight: Floats, bias: Floats | None = None, activation: Activation = "none", save: bool = False
) -> tuple[Floats, Floats | None]:
    """A linear layer: the product with a transposed weight, its bias and its activation in one sweep.

    out = f(z), z = x weightᵀ + bias;  dz = dout f'(z), dx = dz weight, dweight = Σ dzᵀ x, dbias = Σ dz

    Args:
        x: (..., I) float32, float64 or bfloat16.
        weight: (O, I).
        bias: (O,) or None.
        activation: f: "none", "relu", "gelu", or "gelu_tanh", which is gelu's tanh form.

    Returns:
        (..., O).

    Numerics: as `matmul`; up to 8 rows are summed in another order than more. z is kept for the backward pass where
        there is an activation.
    Source: Rumelhart, Hinton and Williams, Learning representations by back-propagating errors (1986).

    >>> linear(np.ones((1, 2)), np.array([[1.0, -3.0]]), np.array([0.5]), activation="relu").tolist()
    [[0.0]]
    """
    z = np.matmul(x, weight.T)
    if bias is not None:
        z = z + bias
    pre = z if activation != "none" and save else None
    return _ACTIVATIONS[activation][0](z), pre


@op("S... O, S... I, O I, O, S... O -> S... I, O I, O", backward_of="linear", outputs="dx dweight dbias")
def linear_backward(
    dout: Floats,
    x: Floats,
    weight: Floats,
    bias: Floats | None,
    pre: Floats | None,
    activation: Activation,
) -> tuple[Floats, Floats, Floats | None]:
    """The gradients of `linear`: dz = dout f'(z), dx = dz weight, dweight = Σ dzᵀ x, dbias = Σ dz."""
    dz = _ACTIVATIONS[activation][1](dout, pre)
    flat = dz.reshape(-1, dz.shape[-1])
    dweight = flat.T @ x.reshape(len(flat), x.shape[-1])
    return dz @ weight, dweight, None if bias is None else flat.sum(0)


def _sum_to(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    x = x.sum(axis=tuple(range(x.ndim - len(shape))))
    return x.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1 and x.shape[i] != 1), keepdims=True)
