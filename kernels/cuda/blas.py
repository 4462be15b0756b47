"""Matrix products of cuBLAS, through the one of its functions that takes every dtype, stride and batch."""

from typing import Any

import numpy as np

from ..layout import merged
from . import runtime

_CODES = {np.dtype(np.float32): 0, np.dtype(np.float64): 1, np.dtype(np.uint16): 14}  # cudaDataType; 14 is bfloat16
_COMPUTE = {np.dtype(np.float32): 68, np.dtype(np.float64): 70}  # cublasComputeType
_COMPUTE_TF32 = 77
_FACTORS = {code: np.array([0, 1], np.float64 if code == 70 else np.float32) for code in (68, 70, 77)}
_ALGORITHM = -1  # cuBLAS's own choice


def gemm(out: Any, a: Any, b: Any, accumulate: bool = False, tf32: bool = False) -> None:
    """out (..., M, N) = a (..., M, K) b (..., K, N), or added to it: the only call of cuBLAS.

    Leading axes are equal, steps of 0 among them; a and b have one dtype, and their matrices and those of out lie as
    `lying` allows. No size is 0.
    """
    code = _COMPUTE_TF32 if tf32 else _COMPUTE.get(out.dtype, 68)
    zero, one = _FACTORS[code].ctypes.data, _FACTORS[code].ctypes.data + _FACTORS[code].itemsize
    (m, n), k = out.shape[-2:], a.shape[-1]
    # cuBLAS has columns where C has rows: it reads each matrix as its transpose, so that outᵀ = bᵀ aᵀ.
    operands = b, a, out
    (b_across, b_lead), (a_across, a_lead), (_, out_lead) = (lying(x) for x in operands)
    sizes, steps = merged(out.shape[:-2], [x.strides[:-2] for x in operands])
    sizes, steps = sizes or [1], steps or [(0, 0, 0)]
    longest = int(np.argmax(sizes))
    batch, within = sizes.pop(longest), steps.pop(longest)
    b_step, a_step, out_step = (step // x.itemsize for step, x in zip(within, operands, strict=True))
    for index in np.ndindex(*sizes):
        b_at, a_at, out_at = (
            int(runtime.address(x)) + sum(i * step[j] for i, step in zip(index, steps, strict=True))
            for j, x in enumerate(operands)
        )
        runtime.target().gemm(
            b_across, a_across, n, m, k,
            one, b_at, _CODES[b.dtype], b_lead, b_step,
            a_at, _CODES[a.dtype], a_lead, a_step,
            one if accumulate else zero, out_at, _CODES[out.dtype], out_lead, out_step,
            batch, code, _ALGORITHM,
        )  # fmt: skip


def lying(x: Any) -> Any:
    """How matrices x (..., R, C) lie in memory: 0 where rows have no gaps, 1 where columns have none, and the elements
    from one to the next. None where neither is so, in order and without overlap."""
    (rows, columns), (down, across) = x.shape[-2:], (s // x.itemsize for s in x.strides[-2:])
    if (across == 1 or columns == 1) and (down >= columns or rows == 1):
        return 0, down if rows > 1 else columns
    if (down == 1 or rows == 1) and (across >= rows or columns == 1):
        return 1, across if columns > 1 else rows
    return None
