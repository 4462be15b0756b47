"""The only file that builds LLVM IR: bit casts, vector reductions, and the register tiles of the matrix product.

Vectors are written as wide as the machine's registers (`width`); LLVM splits wider ones, so that every width runs,
slower, on every machine.
"""

import os
from functools import lru_cache
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic
from numba.np import arrayobj

I32, I64 = ir.IntType(32), ir.IntType(64)
WIDTHS = (16, 8, 4, 1)  # float32 elements of a vector: AVX-512, AVX2, NEON or SSE, plain


@lru_cache(None)
def width() -> int:
    """float32 elements of a vector register, from Numba's target, or OCTAVO_SIMD to try another."""
    asked = os.environ.get("OCTAVO_SIMD")
    if asked is not None:
        if asked not in map(str, WIDTHS):
            raise ValueError(f"OCTAVO_SIMD: expected one of {', '.join(map(str, WIDTHS))}, got {asked!r}")
        return int(asked)
    _, name, features = cpu_target.target_context.codegen().magic_tuple()
    if "+avx512f" in features:
        return 16
    if "+avx2" in features and "+fma" in features:
        return 8
    return 4 if "+neon" in features or "+sse2" in features or "apple" in name else 1


@intrinsic
def bits(typing_context, x):
    """The bits of a float as a signed integer of its size."""
    integer = {types.float32: types.int32, types.float64: types.int64}[x]
    return integer(x), lambda ctx, b, sig, args: b.bitcast(args[0], ir.IntType(sig.return_type.bitwidth))


@intrinsic
def from_bits(typing_context, n):
    """The float that has the bits of an integer."""
    result = {types.int32: types.float32, types.int64: types.float64}[n]
    llvm = {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}[result]
    return result(n), lambda ctx, b, sig, args: b.bitcast(args[0], llvm)


def _llvm_type(scalar: types.Type) -> ir.Type:
    return {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}[scalar]


def _pointer(ctx: Any, b: Any, array_type: types.Array, array: Any, offset: Any) -> Any:
    """The address of element `offset` of an array."""
    data = ctx.make_array(array_type)(ctx, b, array).data
    return b.gep(b.bitcast(data, _llvm_type(array_type.dtype).as_pointer()), [offset])


def _load(b: Any, pointer: Any, kind: ir.Type, align: int = 1) -> Any:
    value = b.load(b.bitcast(pointer, kind.as_pointer()))
    value.align = align
    return value


@intrinsic
def array_at(typing_context, address, start, size, like):
    """Elements [start, start + size) of the C-contiguous array whose data are at `address`, of the dtype of `like`.

    For lists of arrays, which Numba would unpack one by one. Nothing here keeps the array alive: the caller does.
    """
    array_type = types.Array(like.dtype, 1, "C", aligned=False)

    def codegen(ctx, b, sig, args):
        scalar = _llvm_type(sig.args[3].dtype)
        item = ctx.get_abi_sizeof(scalar)
        array = ctx.make_array(array_type)(ctx, b)
        arrayobj.populate_array(
            array,
            data=b.gep(b.inttoptr(args[0], scalar.as_pointer()), [args[1]]),
            shape=[args[2]],
            strides=[ir.Constant(I64, item)],
            itemsize=ir.Constant(I64, item),
            meminfo=None,
        )
        return array._getvalue()

    return array_type(types.uint64, types.int64, types.int64, like), codegen


@intrinsic
def row_max(typing_context, x, start, size):
    """The largest of x.flat[start : start + size], -inf for none; NaN is passed over.

    Four vectors of maxima at a time: written as a plain loop it is not vectorised, because NaN has no order.
    """
    lanes, unroll = 16, 4

    def codegen(ctx, b, sig, args):
        scalar = _llvm_type(sig.args[0].dtype)
        vector = ir.VectorType(scalar, lanes)
        first = _pointer(ctx, b, sig.args[0], args[0], args[1])
        lowest = ir.Constant(scalar, float("-inf"))
        best = [cgutils.alloca_once_value(b, ir.Constant(vector, [lowest] * lanes)) for _ in range(unroll)]
        result = cgutils.alloca_once_value(b, lowest)

        def keep_larger(cell, value):
            old = b.load(cell)
            b.store(b.select(b.fcmp_ordered(">", value, old), value, old), cell)

        step = ir.Constant(I64, lanes * unroll)
        whole = b.mul(b.sdiv(args[2], step), step)
        with cgutils.for_range_slice(b, ir.Constant(I64, 0), whole, step, I64) as (i, _):
            for j, cell in enumerate(best):
                keep_larger(cell, _load(b, b.gep(first, [b.add(i, ir.Constant(I64, j * lanes))]), vector))
        for cell in best[1:]:
            keep_larger(best[0], b.load(cell))
        packed = b.load(best[0])
        for lane in range(lanes):
            keep_larger(result, b.extract_element(packed, ir.Constant(I32, lane)))
        with cgutils.for_range_slice(b, whole, args[2], ir.Constant(I64, 1), I64) as (i, _):
            keep_larger(result, _load(b, b.gep(first, [i]), scalar))
        return b.load(result)

    return x.dtype(x, types.int64, types.int64), codegen
