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


@intrinsic
def horner(typing_context, x, coefficients):
    """The polynomial in x with a tuple of coefficients, highest power first: a loop over many is not unrolled."""

    def codegen(ctx, b, sig, args):
        value = b.extract_value(args[1], 0)
        for i in range(1, sig.args[1].count):
            product = b.fmul(value, args[0], flags=("contract",))
            value = b.fadd(product, b.extract_value(args[1], i), flags=("contract",))
        return value

    return x(x, coefficients), codegen


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


def _data_pointer(ctx: Any, b: Any, scalar: types.Type, pointer: Any) -> Any:
    return b.bitcast(pointer, ctx.get_data_type(scalar).as_pointer())


@intrinsic
def data_of(typing_context, array):
    """The address of an array's first element, from the `id` of the array, which the caller keeps alive.

    It is what NumPy's C interface keeps behind the object's header (PyArrayObject_fields.data); asking Python for it
    takes a microsecond.
    """

    def codegen(ctx, b, sig, args):
        field = b.add(args[0], ir.Constant(I64, object.__basicsize__))
        return b.load(b.inttoptr(field, I64.as_pointer()))

    return types.int64(types.int64), codegen


@intrinsic
def pointer(typing_context, address, like):
    """An address as a pointer to numbers of the type of `like`."""
    result = types.CPointer(like)
    return result(types.int64, like), lambda ctx, b, sig, args: b.inttoptr(args[0], ctx.get_value_type(result))


@intrinsic
def load(typing_context, pointer, i):
    """Element i behind a pointer, aligned or not."""

    def codegen(ctx, b, sig, args):
        cell = b.gep(_data_pointer(ctx, b, pointer.dtype, args[0]), [args[1]])
        return ctx.unpack_value(b, pointer.dtype, cell, align=1)

    return pointer.dtype(pointer, types.int64), codegen


@intrinsic
def store(typing_context, pointer, i, value):
    """Set element i behind a pointer, aligned or not."""

    def codegen(ctx, b, sig, args):
        cell = b.gep(_data_pointer(ctx, b, pointer.dtype, args[0]), [args[1]])
        ctx.pack_value(b, pointer.dtype, args[2], cell, align=1)
        return ctx.get_dummy_value()

    return types.void(pointer, types.int64, pointer.dtype), codegen


@intrinsic(prefer_literal=True)
def stack(typing_context, size):
    """The address of `size` bytes, a constant, on the stack of the calling function."""

    def codegen(ctx, b, sig, args):
        with b.goto_entry_block():  # not by cgutils, which clears it: LLVM takes a minute over so many zeros
            block = b.alloca(ir.ArrayType(ir.IntType(8), size.literal_value))
        block.align = 64
        return b.ptrtoint(block, I64)

    return types.int64(size), codegen


@intrinsic
def call(typing_context, function, arguments):
    """Call the C function at an address with a tuple of int64."""

    def codegen(ctx, b, sig, args):
        kind = ir.FunctionType(ir.VoidType(), [I64] * len(arguments))
        b.call(b.inttoptr(args[0], kind.as_pointer()), cgutils.unpack_tuple(b, args[1]))
        return ctx.get_dummy_value()

    return types.void(types.int64, arguments), codegen


def _row_extremum(name: str, sign: str, neutral: float) -> Any:
    """The intrinsic f(x, start, size): the extremum of x.flat[start : start + size]; NaN is passed over.

    Four vectors of extrema at a time: written as a plain loop it is not vectorised, because NaN has no order.
    """
    lanes, unroll = 16, 4

    def codegen(ctx, b, sig, args):
        scalar = _llvm_type(sig.args[0].dtype)
        vector = ir.VectorType(scalar, lanes)
        first = _pointer(ctx, b, sig.args[0], args[0], args[1])
        start = ir.Constant(scalar, neutral)
        best = [cgutils.alloca_once_value(b, ir.Constant(vector, [start] * lanes)) for _ in range(unroll)]
        result = cgutils.alloca_once_value(b, start)

        def keep_better(cell, value):
            old = b.load(cell)
            b.store(b.select(b.fcmp_ordered(sign, value, old), value, old), cell)

        step = ir.Constant(I64, lanes * unroll)
        whole = b.mul(b.sdiv(args[2], step), step)
        with cgutils.for_range_slice(b, ir.Constant(I64, 0), whole, step, I64) as (i, _):
            for j, cell in enumerate(best):
                keep_better(cell, _load(b, b.gep(first, [b.add(i, ir.Constant(I64, j * lanes))]), vector))
        for cell in best[1:]:
            keep_better(best[0], b.load(cell))
        packed = b.load(best[0])
        for lane in range(lanes):
            keep_better(result, b.extract_element(packed, ir.Constant(I32, lane)))
        with cgutils.for_range_slice(b, whole, args[2], ir.Constant(I64, 1), I64) as (i, _):
            keep_better(result, _load(b, b.gep(first, [i]), scalar))
        return b.load(result)

    def extremum(typing_context, x, start, size):
        return x.dtype(x, types.int64, types.int64), codegen

    extremum.__name__ = name
    return intrinsic(extremum)


row_max = _row_extremum("row_max", ">", float("-inf"))  # -inf for none
row_min = _row_extremum("row_min", "<", float("inf"))


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

_STEPS = 128  # of a tile's loop that are summed in one go: the rounding error of a sum grows with its length


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
    """Keep the tile in registers while walking both panels once, then write it; sums of `_STEPS` are added up apart."""
    rows, vectors, lanes = shape
    vector = ir.VectorType(scalar, lanes)
    zero = ir.Constant(vector, [ir.Constant(scalar, 0.0)] * lanes)
    name = f"llvm.fma.v{lanes}f{8 * size}"
    fma = cgutils.get_or_insert_function(b.module, ir.FunctionType(vector, [vector] * 3), name)
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
    is_last = b.icmp_signed("<=", left, ir.Constant(I64, _STEPS))
    steps = b.select(is_last, left, ir.Constant(I64, _STEPS))
    b.branch(loop)

    b.position_at_end(loop)
    p, a, b_row = b.phi(I64), b.phi(a_first.type), b.phi(b_first.type)
    sums = [b.phi(vector) for _ in range(rows * vectors)]
    row = [_load(b, b.gep(b_row, [ir.Constant(I64, v * lanes)]), vector, size) for v in range(vectors)]
    new = []
    for r in range(rows):
        value = _splat(b, _load(b, b.gep(a, [ir.Constant(I64, r)]), scalar, size), vector)
        new += [b.call(fma, [value, row[v], sums[r * vectors + v]]) for v in range(vectors)]
    following = (
        b.add(p, ir.Constant(I64, 1)),
        b.gep(a, [ir.Constant(I64, rows)]),
        b.gep(b_row, [ir.Constant(I64, vectors * lanes)]),
        *new,
    )
    first = (ir.Constant(I64, 0), a_part, b_part, *[zero] * len(sums))
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
    starts = [b.gep(c_first, [b.mul(ldc, ir.Constant(I64, r))]) for r in range(rows)]
    at = [b.gep(start, [ir.Constant(I64, v * lanes)]) for start in starts for v in range(vectors)]
    cells = [b.bitcast(cell, vector.as_pointer()) for cell in at]
    total = _plus(b, b.icmp_signed("!=", accumulate, ir.Constant(I64, 0)), total, cells, size)
    for cell, value in zip(cells, total, strict=True):
        b.store(value, cell, align=size)


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


class Packer(NamedTuple):
    """How a panel `across` wide is filled from a matrix x, element (k, r) of the panel from x[first + r, k0 + k]:

    `copy(panel, start, x, first, k0, scale)` writes one k, where x's rows lie side by side (stride 0 is one item);
    `transpose(…)` writes as many as fill 64 bytes, where its columns do.
    """

    copy: Any
    transpose: Any


@lru_cache(None)
def packer(across: int) -> Packer:
    """The packer for panels of a width."""

    @intrinsic
    def copy(typing_context, panel, start, x, first, k0, scale):
        def codegen(ctx, b, sig, args):
            scalar = _llvm_type(panel.dtype)
            vector = ir.VectorType(scalar, across)
            values = _load(b, _cell(ctx, b, sig.args[2], *args[2:5]), vector)
            _store(b, b.fmul(values, _splat(b, args[5], vector)), _pointer(ctx, b, sig.args[0], *args[:2]), vector)
            return ctx.get_dummy_value()

        return types.void(panel, types.int64, x, types.int64, types.int64, panel.dtype), codegen

    @intrinsic
    def transpose(typing_context, panel, start, x, first, k0, scale):
        def codegen(ctx, b, sig, args):
            scalar = _llvm_type(panel.dtype)
            lanes = 64 // (panel.dtype.bitwidth // 8)
            vector = ir.VectorType(scalar, lanes)
            factor = _splat(b, args[5], vector)
            for row in range(0, across, lanes):
                count = min(lanes, across - row)
                rows = []
                for r in range(count):
                    i = b.add(args[3], ir.Constant(I64, row + r))
                    rows.append(b.fmul(_load(b, _cell(ctx, b, sig.args[2], args[2], i, args[4]), vector), factor))
                columns = _transposed(b, rows + [ir.Constant(vector, ir.Undefined)] * (lanes - count), lanes)
                narrow = ir.VectorType(scalar, count)
                for k, column in enumerate(columns):
                    kept = b.shuffle_vector(column, column, ir.Constant(ir.VectorType(I32, count), list(range(count))))
                    at = b.add(args[1], ir.Constant(I64, k * across + row))
                    _store(b, kept, _pointer(ctx, b, sig.args[0], args[0], at), narrow)
            return ctx.get_dummy_value()

        return types.void(panel, types.int64, x, types.int64, types.int64, panel.dtype), codegen

    return Packer(copy, transpose)


def _cell(ctx: Any, b: Any, array_type: types.Array, array: Any, i: Any, j: Any) -> Any:
    """The address of element (i, j) of a matrix of any strides."""
    struct = ctx.make_array(array_type)(ctx, b, array)
    steps = cgutils.unpack_tuple(b, struct.strides, 2)
    offset = b.add(b.mul(i, steps[0]), b.mul(j, steps[1]))
    return b.gep(b.bitcast(struct.data, ir.IntType(8).as_pointer()), [offset])


def _store(b: Any, value: Any, pointer: Any, kind: ir.Type) -> None:
    b.store(value, b.bitcast(pointer, kind.as_pointer()), align=4)


def _splat(b: Any, value: Any, vector: ir.VectorType) -> Any:
    undefined = ir.Constant(vector, ir.Undefined)
    mask = ir.Constant(ir.VectorType(I32, vector.count), [0] * vector.count)
    return b.shuffle_vector(b.insert_element(undefined, value, I32(0)), undefined, mask)


def _transposed(b: Any, rows: list[Any], lanes: int) -> list[Any]:
    """The columns of a square of vectors: in each round, pairs of rows swap the halves of their blocks."""
    distance = 1
    mask_type = ir.VectorType(I32, lanes)
    while distance < lanes:
        even = ir.Constant(mask_type, [lanes + j - distance if j & distance else j for j in range(lanes)])
        odd = ir.Constant(mask_type, [lanes + j if j & distance else j + distance for j in range(lanes)])
        swapped = list(rows)
        for i in range(lanes):
            if not i & distance:
                swapped[i] = b.shuffle_vector(rows[i], rows[i | distance], even)
                swapped[i | distance] = b.shuffle_vector(rows[i], rows[i | distance], odd)
        rows = swapped
        distance *= 2
    return rows
