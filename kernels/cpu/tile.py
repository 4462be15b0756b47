"""Register tiles of the matrix product, in LLVM IR: a block of results that stays in registers while both panels of its
operands are walked once. Tiles of floats and of AVX-512's pairs of bf16 share one loop; AMX has tiles in hardware.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .kernel import primitive, subroutine
from .panel import LINE, Panel, panel
from .simd import I8, I32, I64, BFloatType, load_from, pointer_to, splat
from .unit import Unit

_STEPS = 128  # of a tile's loop that are summed in one go: the rounding error of a sum grows with its length


class Tile(NamedTuple):
    """A register tile: `multiply(a, i, b, j, c, k, depth, ldc, accumulate)` adds to, or sets,

    c[k + r ldc + s] = Σ_p a(p, r) b(p, s), p < depth, of the panels at a[i] and b[j], r and s below their `across`; a,
    b and c are flat arrays, depth a multiple of `step`, at least 1. It runs between `begin()` and `end()`.
    """

    unit: Unit
    left: Panel
    right: Panel
    step: int
    multiply: Any
    begin: Any
    end: Any

    def depth(self, size: int) -> int:
        """Elements of a panel that hold `size` numbers along the depth."""
        elements = -(-size // 2) if self.unit.pairs else size
        return -(-elements // self.step) * self.step


# Rows, and vectors in a row, for vectors of so many bytes: what the registers hold.
_SHAPES = {64: (14, 2), 32: (6, 2), 16: (6, 2), 8: (4, 4), 4: (4, 4)}


@lru_cache(None)
def tile(unit: Unit, most: int = 14) -> Tile:
    """The register tile of a unit, of at most so many rows where it is not AMX's."""
    if unit.kind == "amx":
        return Tile(unit, panel(unit, 32, True), panel(unit, 32), LINE, _amx_multiply, _amx_begin, _amx_end)
    rows, vectors = _SHAPES[unit.lanes * unit.dtype.itemsize]
    rows = min(rows, most)

    @intrinsic
    def multiply(typing_context, a, i, b, j, c, k, depth, ldc, accumulate):
        def codegen(ctx, builder, sig, args):
            a, b, c = (pointer_to(ctx, builder, sig.args[n], args[n], args[n + 1]) for n in (0, 2, 4))
            _multiply_loop(builder, unit, (rows, vectors), (a, b, c), *args[6:])
            return ctx.get_dummy_value()

        return types.void(a, types.int64, b, types.int64, c, *[types.int64] * 4), codegen

    @subroutine
    def tile_product(a, i, b, j, c, k, depth, ldc, accumulate):
        multiply(a, i, b, j, c, k, depth, ldc, accumulate)

    return Tile(unit, panel(unit, rows), panel(unit, vectors * unit.lanes), 1, tile_product, _nothing, _nothing)


@primitive
def _nothing():
    pass


def _multiply_loop(b, unit, shape, pointers, depth, ldc, accumulate) -> None:
    """Keep the tile in registers while walking both panels once, then write it; sums of `_STEPS` are added up apart."""
    rows, vectors = shape
    lanes, scalar = unit.lanes, pointers[0].type.pointee
    size = unit.dtype.itemsize
    loaded, vector = ir.VectorType(scalar, lanes), ir.VectorType(pointers[2].type.pointee, lanes)
    zero = ir.Constant(vector, [ir.Constant(vector.element, 0.0)] * lanes)
    multiply_add = _pairs_product(b, vector) if unit.pairs else _product(b, vector)
    a_first, b_first, c_first = pointers
    with b.goto_entry_block():
        apart = b.alloca(vector, rows * vectors)
    apart.align = 64
    sums_apart = [b.gep(apart, [I32(n)]) for n in range(rows * vectors)]

    names = ("part", "loop", "after", "more", "done")
    entry, part, loop, after, more, done = b.block, *(b.append_basic_block(f"tile.{n}") for n in names)
    b.branch(part)
    b.position_at_end(part)
    left, a_part, b_part = b.phi(I64), b.phi(a_first.type), b.phi(b_first.type)
    is_last = b.icmp_signed("<=", left, I64(_STEPS))
    steps = b.select(is_last, left, I64(_STEPS))
    b.branch(loop)

    b.position_at_end(loop)
    p, a, b_row = b.phi(I64), b.phi(a_first.type), b.phi(b_first.type)
    sums = [b.phi(vector) for _ in range(rows * vectors)]
    row = [load_from(b, b.gep(b_row, [I64(v * lanes)]), loaded, size) for v in range(vectors)]
    new = []
    for r in range(rows):
        value = splat(b, load_from(b, b.gep(a, [I64(r)]), scalar, size), loaded)
        new += [multiply_add(value, row[v], sums[r * vectors + v]) for v in range(vectors)]
    following = (b.add(p, I64(1)), b.gep(a, [I64(rows)]), b.gep(b_row, [I64(vectors * lanes)]), *new)
    first = (I64(0), a_part, b_part, *[zero] * len(sums))
    for phi, start, later in zip((p, a, b_row, *sums), first, following, strict=True):
        phi.add_incoming(start, part)
        phi.add_incoming(later, loop)
    b.cbranch(b.icmp_signed("<", following[0], steps), loop, after)

    b.position_at_end(after)
    total = _plus(b, b.icmp_signed("!=", left, depth), new, sums_apart, size)
    b.cbranch(is_last, done, more)

    b.position_at_end(more)
    for cell, value in zip(sums_apart, total, strict=True):
        b.store(value, cell, align=size)
    following = (b.sub(left, steps), *following[1:3])
    for phi, start, later in zip((left, a_part, b_part), (depth, a_first, b_first), following, strict=True):
        phi.add_incoming(start, entry)
        phi.add_incoming(later, more)
    b.branch(part)

    b.position_at_end(done)
    starts = [b.gep(c_first, [b.mul(ldc, I64(r))]) for r in range(rows)]
    at = [b.gep(start, [I64(v * lanes)]) for start in starts for v in range(vectors)]
    cells = [b.bitcast(cell, vector.as_pointer()) for cell in at]
    total = _plus(b, b.icmp_signed("!=", accumulate, I64(0)), total, cells, size)
    for cell, value in zip(cells, total, strict=True):
        b.store(value, cell, align=size)


def _product(b: Any, vector: ir.VectorType) -> Callable[..., Any]:
    name = f"llvm.fma.v{vector.count}{vector.element.intrinsic_name}"
    fma = cgutils.get_or_insert_function(b.module, ir.FunctionType(vector, [vector] * 3), name)
    return lambda x, y, total: b.call(fma, [x, y, total])


def _pairs_product(b: Any, vector: ir.VectorType) -> Callable[..., Any]:
    pairs = ir.VectorType(BFloatType(), 2 * vector.count)
    name = "llvm.x86.avx512bf16.dpbf16ps.512"
    dot = cgutils.get_or_insert_function(b.module, ir.FunctionType(vector, [vector, pairs, pairs]), name)
    return lambda x, y, total: b.call(dot, [total, b.bitcast(x, pairs), b.bitcast(y, pairs)])


def _plus(b, condition, values, cells, size):
    """The values, with what is in the cells added where the condition holds."""
    before, add, join = b.block, b.append_basic_block("plus.add"), b.append_basic_block("plus.join")
    b.cbranch(condition, add, join)
    b.position_at_end(add)
    sums = [b.fadd(b.load(cell, align=size), value) for cell, value in zip(cells, values, strict=True)]
    b.branch(join)
    b.position_at_end(join)
    phis = [b.phi(value.type) for value in values]
    for phi, value, total in zip(phis, values, sums, strict=True):
        phi.add_incoming(value, before)
        phi.add_incoming(total, add)
    return phis


def _amx(b: Any, name: str, *args: Any) -> None:
    """One of AMX's instructions; the numbers of tiles are constants."""
    kind = ir.FunctionType(ir.VoidType(), [arg.type for arg in args])
    b.call(cgutils.get_or_insert_function(b.module, kind, f"llvm.x86.{name}"), args)


@intrinsic
def _amx_begin(typing_context):
    """Give this thread eight tiles of 16 rows of 64 bytes."""

    def codegen(ctx, b, sig, args):
        shape = np.zeros(64, np.uint8)
        shape[0], shape[16:32:2], shape[48:56] = 1, 64, 16
        table = cgutils.create_constant_array(I8, shape.tolist())
        cell = cgutils.global_constant(b, "amx.shape", table)
        cell.align = 64
        _amx(b, "ldtilecfg", b.bitcast(cell, I8.as_pointer()))
        return ctx.get_dummy_value()

    return types.void(), codegen


@intrinsic
def _amx_end(typing_context):
    def codegen(ctx, b, sig, args):
        _amx(b, "tilerelease")
        return ctx.get_dummy_value()

    return types.void(), codegen


@intrinsic
def _amx_tile(typing_context, a, i, b, j, c, k, depth, ldc, accumulate):
    """Four tiles of results, two of each operand: a's rows lie 64 bytes apart, b's 128."""

    def codegen(ctx, builder, sig, args):
        def at(start, offset):
            return builder.gep(start, [offset])

        starts = [pointer_to(ctx, builder, sig.args[n], args[n], args[n + 1]) for n in (0, 2, 4)]
        a, b, c = (builder.bitcast(start, I8.as_pointer()) for start in starts)
        depth, ldc, accumulate = args[6:]
        row = builder.mul(ldc, I64(4))
        below = at(c, builder.mul(row, I64(16)))
        corners = [c, at(c, I64(64)), below, at(below, I64(64))]
        with builder.if_else(builder.icmp_signed("!=", accumulate, I64(0))) as (adds, sets):
            with adds:
                for t, corner in enumerate(corners):
                    _amx(builder, "tileloadd64", I8(t), corner, row)
            with sets:
                for t in range(4):
                    _amx(builder, "tilezero", I8(t))
        with cgutils.for_range_slice(builder, I64(0), depth, I64(LINE), I64) as (p, _):
            done = builder.mul(p, I64(32 * 4))
            a_line, b_line = at(a, done), at(b, done)
            for half in range(2):
                _amx(builder, "tileloadd64", I8(4 + half), at(a_line, I64(half * 1024)), I64(64))
                _amx(builder, "tileloadd64", I8(6 + half), at(b_line, I64(half * 64)), I64(128))
            for t in range(4):
                _amx(builder, "tdpbf16ps", I8(t), I8(4 + t // 2), I8(6 + t % 2))
        for t, corner in enumerate(corners):
            _amx(builder, "tilestored64", I8(t), corner, row)
        return ctx.get_dummy_value()

    return types.void(a, types.int64, b, types.int64, c, *[types.int64] * 4), codegen


@subroutine
def _amx_multiply(a, i, b, j, c, k, depth, ldc, accumulate):
    _amx_tile(a, i, b, j, c, k, depth, ldc, accumulate)
