"""The matrix product: cuBLAS's, and what follows it in kernels of ours."""

import math
from typing import Any

import numpy as np

from ..device import precision
from .blas import gemm, lying
from .copies import fill
from .epilogue import activation_backward, finish
from .pointwise import cast, contiguous
from .reduce import sum_to
from .runtime import empty

_BF16 = np.dtype(np.uint16)


def matmul(a, b):
    out = empty((*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]), a.dtype)
    if b.ndim == 2 and a.flags.c_contiguous:
        product(_rows(out), _rows(a), b)
    else:
        product(out, a, b)
    return out


def matmul_backward(dout, a, b):
    if b.ndim == 2:  # else its gradient would be made for each matrix of a, then summed
        da, db = empty(a.shape, a.dtype), empty(b.shape, b.dtype)
        dout, a = _entering(_rows(dout)), _rows(a)
        product(_rows(da), dout, b.T)
        product(db, a.T, dout)
        return da, db
    da = matmul(dout, np.swapaxes(b, -1, -2))
    db = matmul(np.swapaxes(a, -1, -2), dout)
    return sum_to(da, a.shape), sum_to(db, b.shape)


def linear(x, weight, bias=None, activation="none", save=False):
    out = empty((*x.shape[:-1], weight.shape[0]), x.dtype)
    product(_rows(out), _rows(x), weight.T)
    return finish(out, bias, activation, save)


def linear_backward(dout, x, weight, bias, pre, activation):
    dz = _rows(activation_backward(dout, pre, activation))
    dx, dweight = empty(x.shape, x.dtype), empty(weight.shape, weight.dtype)
    entering = _entering(dz)
    product(_rows(dx), entering, weight)
    product(dweight, entering.T, _rows(x))
    return dx, dweight, None if bias is None else sum_to(dz, bias.shape)


def product(out: Any, a: Any, b: Any, accumulate: bool = False) -> None:
    """out (..., M, N) = a (..., M, K) b (..., K, N), or added to it; leading axes broadcast to those of out.

    a and b may be views, also transposed ones; rows of out have no gaps. float32 is multiplied as `device.precision`
    says: "high" in TF32, "medium" rounded to bfloat16; operands that are both bfloat16 as they are.
    """
    if not out.size:
        return
    if not a.shape[-1]:
        if not accumulate:
            fill(out, 0)
        return
    dtype = out.dtype
    if dtype == np.float32 and (precision() == "medium" or a.dtype == b.dtype == _BF16):
        dtype = _BF16
    a, b = (np.broadcast_to(x, (*out.shape[:-2], *x.shape[-2:])) for x in (_operand(a, dtype), _operand(b, dtype)))
    gemm(out, a, b, accumulate, tf32=dtype == np.float32 and precision() == "high")


def _entering(x):
    """x as products take it, for several of them."""
    return cast(x, _BF16) if x.dtype == np.float32 and precision() == "medium" else x


def _operand(x, dtype):
    """x in a dtype, so that cuBLAS can read it; a copy has the order in memory that x has."""
    if x.dtype == dtype and lying(x):
        return x
    if abs(x.strides[-2]) < abs(x.strides[-1]):
        return np.swapaxes(cast(np.swapaxes(x, -1, -2), dtype), -1, -2)
    return cast(x, dtype)


def _rows(x):
    """x (..., C) as one matrix of rows."""
    return x if x.ndim == 2 else contiguous(x).reshape(math.prod(x.shape[:-1]), x.shape[-1])
