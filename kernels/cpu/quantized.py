"""Weights and keys in fewer bits: rounded once, widened in registers where they are read."""

import math
from functools import lru_cache

import numpy as np
from numba import prange

from ..device import contiguous, empty
from ..ops.attention import factor
from ..ops.quantized import require_finite
from . import few_queries, few_rows, matmul
from .attention import attention
from .ids import checked
from .kernel import kernel, primitive, subroutine
from .maths import bf16_bits, widen
from .rows import take_rows

BLOCK = 1 << 14  # elements of a task that widens or rounds


def quantize_int8(weight):
    out, scale = empty(weight.shape, np.int8), empty(weight.shape[0], np.float32)
    _quantize_kernel(out, scale, contiguous(weight))
    require_finite(scale)
    return out, scale


def to_bf16(x):
    out = empty(x.shape, np.uint16)
    _round_kernel(out.reshape(-1), contiguous(x).reshape(-1))
    return out


def from_bf16(x):
    return _widened(x, None, np.dtype(np.float32))


def linear_quantized(x, weight, scale=None, bias=None, activation="none"):
    if math.prod(x.shape[:-1]) > few_rows.FEW_COMPACT:
        return matmul.linear(x, _widened(weight, scale, x.dtype), bias, activation)[0]
    out = empty((*x.shape[:-1], weight.shape[0]), x.dtype)
    few_rows.linear(out, None, x, weight, scale, bias, activation)
    return out


def embedding_quantized(ids, weight, scale=None):
    rows, _ = checked("embedding_quantized: ids", ids, len(weight))
    taken = take_rows(weight[None], rows)[0]
    scale = None if scale is None else take_rows(scale[None, :, None], rows).reshape(-1)
    out = _widened(taken, scale, np.dtype(np.float32) if scale is None else scale.dtype)
    return out.reshape(*ids.shape, weight.shape[1])


def attention_bf16(q, k, v, causal=True, scale=None):
    if q.shape[1] > few_queries.FEW or not k.size:
        return attention(q, _widened(k, None, q.dtype), _widened(v, None, q.dtype), causal, scale)[0]
    out = empty(q.shape, q.dtype)
    few_queries.attend(out, out[:0, 0], q, k, v, factor(q, scale), causal)
    return out


def _widened(x, scale, dtype):
    out = empty(x.shape, dtype)
    rows = 1 if scale is None else scale.size
    none = out.reshape(-1)[:0]
    if out.size:
        flat = contiguous(x).reshape(rows, -1)
        _widen_kernel(few_rows.CODES[x.dtype])(
            out.reshape(flat.shape), flat, none if scale is None else contiguous(scale)
        )
    return out


@lru_cache(None)
def _widen_kernel(code):
    @kernel(f"T[2] <- {code}[2] T[1]", name=f"widen_{code}")
    def widen_rows(out, x, scale):
        rows, width = out.shape
        count = -(-width // BLOCK)
        for task in prange(rows * count):
            r, part = task // count, slice(task % count * BLOCK, min(width, (task % count + 1) * BLOCK))
            _widen_row(out[r, part], x[r, part], scale[r] if scale.size else 1)

    return widen_rows


@subroutine
def _widen_row(out, x, factor):
    for i in range(out.size):
        out[i] = factor * widen(x[i])


@kernel("u2[1] <- T[1]")
def _round_kernel(out, x):
    if x.size <= BLOCK:
        _round(out, x)
    else:
        for task in prange(-(-x.size // BLOCK)):
            part = slice(task * BLOCK, min(x.size, (task + 1) * BLOCK))
            _round(out[part], x[part])


@subroutine
def _round(out, x):
    for i in range(x.size):
        out[i] = bf16_bits(np.float32(x[i]))


@kernel("i1[2] f4[1] <- T[2]")
def _quantize_kernel(out, scale, weight):
    for r in prange(weight.shape[0]):
        scale[r] = _quantize(out[r], weight[r])


@subroutine
def _quantize(out, x):
    """The scale of a row, NaN where it has one."""
    top = 0.0
    finite = True
    for i in range(x.size):
        top = max(top, np.float64(abs(x[i])))
        finite = finite and x[i] - x[i] == 0
    scale = np.float32(top / 127)
    for i in range(x.size):
        out[i] = _nearest(np.float64(x[i]), np.float64(scale))
    return scale if finite else np.float32(np.nan)


@primitive
def _nearest(x, step):
    """The whole number nearest to x / step, of two the even one: here no reciprocal stands for the division."""
    magic = 1.5 * 2.0**52
    n = (x / step + magic) - magic if step != 0 else 0.0
    return np.int8(min(max(n, -127.0), 127.0))
