"""Weights and keys in fewer bits: rounded once, widened in registers where they are read.

That a weight is not finite is seen by its scales, which are NaN then: nobody waits here to raise for it.
"""

import math
from functools import lru_cache
from math import inf, prod

import numpy as np
from numba import cuda
from numba.cuda import float32, int8, int16, int32, int64, libdevice, uint32

from . import few_rows, matmul
from .attention import attention
from .block import block_max, larger
from .epilogue import finish
from .ids import checked
from .kernel import accumulator, kernel, primitive
from .maths import rint
from .pointwise import cast, contiguous, elementwise
from .ptx import load, store
from .runtime import empty

_THREADS = 256


def quantize_int8(weight):
    out, scale = empty(weight.shape, np.int8), empty(weight.shape[0], np.float32)
    if scale.size:
        _quantize_kernel(len(weight), out, scale, contiguous(weight), weight.shape[1])
    return out, scale


def to_bf16(x):
    return (_bits_of_double if x.dtype == np.float64 else _bits)(x).view(np.uint16)


def from_bf16(x):
    return cast(x, np.float32)


def linear_quantized(x, weight, scale=None, bias=None, activation="none"):
    rows = prod(x.shape[:-1])
    sums = accumulator(x.dtype)
    scale = scale if scale is None or scale.dtype == sums else cast(scale, sums)
    if rows > few_rows.FEW:
        return matmul.linear(x, weight if scale is None else _scaled(scale[:, None], weight), bias, activation)[0]
    out = empty((*x.shape[:-1], weight.shape[0]), x.dtype)
    if out.size:
        few_rows.product(out.reshape(rows, weight.shape[0]), contiguous(x).reshape(rows, -1), weight, scale)
        out, _ = finish(out, bias, activation)
    return out


def embedding_quantized(ids, weight, scale=None):
    rows, count = checked("embedding_quantized: ids", ids, len(weight))
    out = empty((*ids.shape, weight.shape[1]), np.float32 if scale is None else scale.dtype)
    if out.size:
        scale = None if scale is None else contiguous(scale)
        run = _embedding_kernel("i1" if weight.dtype == np.int8 else "u2")
        run(count, out, rows, contiguous(weight), scale, scale is not None, *weight.shape)
    return out


def attention_bf16(q, k, v, causal=True, scale=None):
    return attention(q, k, v, causal, scale)[0]


@elementwise(returns=np.int16)  # uint16 would be rounded to, not written
def _bits(x):
    bits = uint32(libdevice.float_as_int(x))
    rounded = (bits + uint32(0x7FFF) + (bits >> uint32(16) & uint32(1))) >> uint32(16)
    return int16(rounded if x == x else bits >> uint32(16) | uint32(0x40))


@elementwise(returns=np.int16)
def _bits_of_double(x):
    bits = uint32(libdevice.float_as_int(float32(x)))
    rounded = (bits + uint32(0x7FFF) + (bits >> uint32(16) & uint32(1))) >> uint32(16)
    sign = uint32(libdevice.double2hiint(x)) >> uint32(16) & uint32(0x8000)
    return int16(rounded if x == x else sign | uint32(0x7FC0))


@elementwise
def _scaled(scale, weight):
    return scale * type(scale)(weight)


@kernel("i1* f4* <- T* i8", threads=_THREADS)
def _quantize_kernel(out, scale, weight, width):
    """A block has a row."""
    row = int64(cuda.blockIdx.x)
    top = type(load(weight, row * width))(0)
    for i in range(int64(cuda.threadIdx.x), width, _THREADS):
        top = larger(top, abs(load(weight, row * width + i)))
    top = block_max(top)
    f = type(top)
    step = float32(top / f(127))
    if int32(cuda.threadIdx.x) == 0:
        store(scale, row, step if step < float32(inf) else float32(np.nan))
    for i in range(int64(cuda.threadIdx.x), width, _THREADS):
        n = _nearest(load(weight, row * width + i), f(step) if step != float32(0) else f(1))
        store(out, row * width + i, int8(min(max(n, f(-127)), f(127))))


@primitive
def _nearest(x, step):
    """The whole number nearest to x / step, of two the even one, from what the rounded quotient leaves of x.

    That is exact, and shows where rounding made a tie or ended one.
    """
    f = type(x)
    n = rint(x / step)
    rest = cuda.fma(-n, step, x)
    twice, half = f(2) * abs(rest), n * f(0.5)
    is_further = twice > step or (twice == step and half != rint(half))
    return n + math.copysign(f(1), rest) if is_further else n


@lru_cache(None)
def _embedding_kernel(code):
    @kernel(f"T* <- i8* {code}* T* i4 i8 i8", threads=_THREADS, name=f"embedding-{code}")
    def take(out, ids, weight, scale, has_scale, size, width):
        row = int64(cuda.blockIdx.x)
        id = load(ids, row)
        is_good = id >= 0 and id < size
        zero = type(load(out, row * width))(0)
        factor = zero + type(zero)(1) if is_good else zero + type(zero)(np.nan)
        if has_scale and is_good:
            factor = load(scale, id)
        for c in range(int64(cuda.threadIdx.x), width, _THREADS):
            store(out, row * width + c, type(zero)(load(weight, id * width + c)) * factor if is_good else factor)

    return take
