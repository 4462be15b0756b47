"""A linear layer of few rows, whatever its weight is stored in: each weight is read once, as it lies.

A warp has a row of the weight, of which each lane takes every 32nd vector, and multiplies it with up to `ROWS` rows
of x at once. The sums follow the shape alone.
"""

from functools import lru_cache
from typing import Any

from numba import cuda
from numba.cuda import int32, int64

from .block import WARP, add, lane, warp, warp_join
from .kernel import kernel, primitive
from .pointwise import contiguous
from .ptx import VECTOR, load, load_vector, store
from .threads import aligned

ROWS = 4  # of x, at once
FEW = 16  # for more rows than these the product of the widened weight is better
_WARPS = 8


def product(out: Any, x: Any, weight: Any, scale: Any) -> None:
    """out (N, O) = x (N, I) (scale weight)ᵀ, for weight (O, I) int8 or bfloat16 and scale (O) or None."""
    (rows, outputs), inputs = out.shape, x.shape[1]
    x, weight = contiguous(x), contiguous(weight)
    vectors = inputs // VECTOR if inputs % VECTOR == 0 and aligned(x, weight) else 0
    run = _kernel("i1" if weight.dtype == "i1" else "u2")
    grid = -(-outputs // _WARPS), -(-rows // ROWS), 1
    run(grid, out, x, weight, scale, scale is not None, rows, outputs, inputs, vectors)


@primitive
def _dot(x, w, zero):
    f = type(zero)
    return (x[0] * f(w[0]) + x[1] * f(w[1])) + (x[2] * f(w[2]) + x[3] * f(w[3]))


@lru_cache(None)
def _kernel(code):
    @kernel(f"T* <- T* {code}* A* i4 i4 i4 i4 i4", threads=WARP * _WARPS, name=code)
    def multiply(out, x, weight, scale, has_scale, rows, outputs, inputs, vectors):
        output = int32(cuda.blockIdx.x) * int32(_WARPS) + warp()
        first = int32(cuda.blockIdx.y) * int32(ROWS)
        if output < outputs:
            of_weight = int64(output) * int64(inputs)
            # Rows beyond the last are the last again.
            at0 = int64(first) * int64(inputs)
            at1 = int64(min(first + int32(1), rows - int32(1))) * int64(inputs)
            at2 = int64(min(first + int32(2), rows - int32(1))) * int64(inputs)
            at3 = int64(min(first + int32(3), rows - int32(1))) * int64(inputs)
            zero = type(load(out, 0))(0)
            s0 = s1 = s2 = s3 = zero
            for v in range(lane(), vectors, WARP):
                i = int64(v) * int64(VECTOR)
                w = load_vector(weight, of_weight + i)
                s0 += _dot(load_vector(x, at0 + i), w, zero)
                s1 += _dot(load_vector(x, at1 + i), w, zero)
                s2 += _dot(load_vector(x, at2 + i), w, zero)
                s3 += _dot(load_vector(x, at3 + i), w, zero)
            for i in range(vectors * int32(VECTOR) + lane(), inputs, WARP):
                w = type(zero)(load(weight, of_weight + int64(i)))
                s0 += load(x, at0 + int64(i)) * w
                s1 += load(x, at1 + int64(i)) * w
                s2 += load(x, at2 + int64(i)) * w
                s3 += load(x, at3 + int64(i)) * w
            s0, s1, s2, s3 = warp_join(s0, add), warp_join(s1, add), warp_join(s2, add), warp_join(s3, add)
            row = first + lane()
            if lane() < int32(ROWS) and row < rows:
                total = s0 if lane() == 0 else s1 if lane() == 1 else s2 if lane() == 2 else s3
                factor = load(scale, output) if has_scale else zero + type(zero)(1)
                store(out, int64(row) * int64(outputs) + int64(output), total * factor)

    return multiply
