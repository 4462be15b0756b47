"""A double of cublasGemmStridedBatchedEx in the emulator's memory: column-major, any leading dimension and stride."""

import ctypes
from typing import Any

import numpy as np

from .memory import memory

_DTYPES: dict[int, Any] = {
    0: np.dtype(np.float32),
    1: np.dtype(np.float64),
    14: np.dtype(np.uint16),
}  # cudaDataType; 14 is bfloat16
_FLOAT32, _TF32, _FLOAT64 = 68, 77, 70  # cublasComputeType
_LAUNCHED_WITH = "gemm_strided_batched_ex: "


@np.errstate(all="ignore")
def gemm_strided_batched_ex(
    transa: int, transb: int, m: int, n: int, k: int,
    alpha: int, a: int, atype: int, lda: int, stridea: int,
    b: int, btype: int, ldb: int, strideb: int,
    beta: int, c: int, ctype: int, ldc: int, stridec: int,
    batch: int, compute: int, algorithm: int,
) -> None:  # fmt: skip
    """c = alpha op(a) op(b) + beta c for each matrix of a batch; sums in float64, rounded once."""
    if compute not in (_FLOAT32, _TF32, _FLOAT64):
        raise ValueError(f"{_LAUNCHED_WITH}the emulator does not know compute type {compute}")
    number: Any = ctypes.c_double if compute == _FLOAT64 else ctypes.c_float
    scale, keep = (number.from_address(p).value for p in (alpha, beta))
    for i in range(batch):
        left = _matrix(a, atype, lda, stridea * i, (k, m) if transa else (m, k))
        right = _matrix(b, btype, ldb, strideb * i, (n, k) if transb else (k, n))
        out = _matrix(c, ctype, ldc, stridec * i, (m, n))
        left, right = (_float(x, compute) for x in (left.T if transa else left, right.T if transb else right))
        found = scale * (left @ right)
        if keep:
            found += keep * _float(out, _FLOAT32)
        out[...] = _rounded(found) if ctype == 14 else found
        low, high = np.lib.array_utils.byte_bounds(out)
        memory.mark_written(low - memory.bytes.__array_interface__["data"][0], high - low)


def _matrix(address: int, type_: int, leading: int, offset: int, shape: tuple[int, int]) -> np.ndarray:
    """A column-major matrix in memory; one that leaves its allocation raises."""
    dtype = _DTYPES[type_]
    if leading < max(1, shape[0]):
        raise ValueError(f"{_LAUNCHED_WITH}leading dimension {leading} of a matrix with {shape[0]} rows")
    start = address + offset * dtype.itemsize
    nbytes = ((shape[1] - 1) * leading + shape[0]) * dtype.itemsize
    memory.check(start, nbytes, "gemm_strided_batched_ex")
    strides = dtype.itemsize, leading * dtype.itemsize
    return np.ndarray(shape, dtype, memory.bytes, start, strides)


def _float(x: np.ndarray, compute: int) -> np.ndarray:
    """Elements as float64; those of TF32 lose the 13 low bits of their mantissa."""
    if x.dtype == np.uint16:
        return (x.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    if compute == _TF32:
        return (np.ascontiguousarray(x).view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32).astype(np.float64)
    return x.astype(np.float64)


def _rounded(x: np.ndarray) -> np.ndarray:
    """Bits of bfloat16, halves to even."""
    bits = x.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
