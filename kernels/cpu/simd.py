"""The only file that builds LLVM IR: bit casts, vector reductions, and the register tiles of the matrix product.

Vectors are written as wide as the machine's registers (`width`); LLVM splits wider ones, so that every width runs,
slower, on every machine.
"""

import os
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import impl_ret_borrowed
from numba.core.registry import cpu_target
from numba.extending import intrinsic
from numba.np import arrayobj

from .kernel import subroutine

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


class Tile(NamedTuple):
    """A register tile of the matrix product: `multiply(a, i, b, j, c, k, depth, ldc, accumulate)` adds to, or sets,

    c[k + r ldc + s] for r < rows and s < columns = Σ_p a[i + p rows + r] b[j + p columns + s], p < depth, where a, b
    and c are flat arrays, depth >= 1. `columns` is for float32; float64 has half as many.
    """

    multiply: Any
    rows: int
    columns: int

    def across(self, dtype: np.dtype) -> int:
        """Columns of the tile for a dtype."""
        return self.columns if dtype.itemsize == 4 or self.columns == 4 else self.columns // 2


_SHAPES = {16: (14, 2), 8: (6, 2), 4: (6, 2), 1: (4, 4)}  # rows, vectors in a row: what the registers hold


@lru_cache(None)
def tile(width: int) -> Tile:
    """The register tile for vectors of `width` float32 elements."""
    rows, vectors = _SHAPES[width]

    @intrinsic
    def multiply(typing_context, a, i, b, j, c, k, depth, ldc, accumulate):
        lanes = width if a.dtype == types.float32 else max(1, width // 2)

        def codegen(ctx, builder, sig, args):
            scalar = _llvm_type(sig.args[0].dtype)
            size = 4 if sig.args[0].dtype == types.float32 else 8
            a, b, c = (_pointer(ctx, builder, sig.args[n], args[n], args[n + 1]) for n in (0, 2, 4))
            _tile_loop(builder, scalar, size, (rows, vectors, lanes), (a, b, c), *args[6:])
            return ctx.get_dummy_value()

        return types.void(a, types.int64, b, types.int64, c, *[types.int64] * 4), codegen

    @subroutine
    def tile_product(a, i, b, j, c, k, depth, ldc, accumulate):
        multiply(a, i, b, j, c, k, depth, ldc, accumulate)

    return Tile(tile_product, rows, vectors * width)


def _tile_loop(b, scalar, size, shape, pointers, depth, ldc, accumulate) -> None:
    """Keep the tile in registers while walking both panels once, then write it."""
    rows, vectors, lanes = shape
    vector = ir.VectorType(scalar, lanes)
    splat_mask = ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
    undefined, zero = ir.Constant(vector, ir.Undefined), ir.Constant(vector, [ir.Constant(scalar, 0.0)] * lanes)
    name = f"llvm.fma.v{lanes}f{8 * size}"
    fma = cgutils.get_or_insert_function(b.module, ir.FunctionType(vector, [vector] * 3), name)
    a_first, b_first, c_first = pointers

    entry, loop, done = b.block, b.append_basic_block("tile.loop"), b.append_basic_block("tile.done")
    b.branch(loop)
    b.position_at_end(loop)
    p, a, b_row = b.phi(I64), b.phi(a_first.type), b.phi(b_first.type)
    sums = [b.phi(vector) for _ in range(rows * vectors)]
    row = [_load(b, b.gep(b_row, [ir.Constant(I64, v * lanes)]), vector, size) for v in range(vectors)]
    new = []
    for r in range(rows):
        value = b.insert_element(undefined, _load(b, b.gep(a, [ir.Constant(I64, r)]), scalar, size), I32(0))
        value = b.shuffle_vector(value, undefined, splat_mask)
        new += [b.call(fma, [value, row[v], sums[r * vectors + v]]) for v in range(vectors)]
    following = (
        b.add(p, ir.Constant(I64, 1)),
        b.gep(a, [ir.Constant(I64, rows)]),
        b.gep(b_row, [ir.Constant(I64, vectors * lanes)]),
        *new,
    )
    first = (ir.Constant(I64, 0), a_first, b_first, *[zero] * len(sums))
    for phi, start, later in zip((p, a, b_row, *sums), first, following, strict=True):
        phi.add_incoming(start, entry)
        phi.add_incoming(later, loop)
    b.cbranch(b.icmp_signed("<", following[0], depth), loop, done)

    b.position_at_end(done)
    with b.if_else(b.icmp_signed("!=", accumulate, ir.Constant(I64, 0))) as (add, put):
        for branch, adds in ((add, True), (put, False)):
            with branch:
                for r in range(rows):
                    start = b.gep(c_first, [b.mul(ldc, ir.Constant(I64, r))])
                    for v in range(vectors):
                        cell = b.bitcast(b.gep(start, [ir.Constant(I64, v * lanes)]), vector.as_pointer())
                        value = new[r * vectors + v]
                        b.store(b.fadd(b.load(cell, align=size), value) if adds else value, cell, align=size)


@intrinsic
def unit_stride(typing_context, x):
    """A view of a 1-D array whose elements lie side by side, as Numba's contiguous type: its loops vectorise."""
    result = x.copy(layout="C")

    def codegen(ctx, b, sig, args):
        old = ctx.make_array(sig.args[0])(ctx, b, args[0])
        new = ctx.make_array(sig.return_type)(ctx, b)
        for field in ("meminfo", "parent", "nitems", "itemsize", "data", "shape", "strides"):
            setattr(new, field, getattr(old, field))
        return impl_ret_borrowed(ctx, b, sig.return_type, new._getvalue())

    return result(x), codegen
