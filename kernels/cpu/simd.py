"""LLVM IR for what Numba has no words for: bit casts, addresses, vector reductions. Only `panel` and `tile`, which
build on it, write LLVM IR too.

Vectors are written as wide as the machine's registers (`width`); LLVM splits wider ones, so that every width runs,
slower, on every machine.
"""

import os
from functools import lru_cache
from typing import Any

from llvmlite import ir
from llvmlite.ir.types import _BaseFloatType
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic
from numba.np import arrayobj

I8, I32, I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
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


def llvm_type(scalar: types.Type) -> ir.Type:
    return {types.float32: ir.FloatType(), types.float64: ir.DoubleType(), types.uint32: I32}[scalar]


def pointer_to(ctx: Any, b: Any, array_type: types.Array, array: Any, offset: Any) -> Any:
    """The address of element `offset` of an array."""
    data = ctx.make_array(array_type)(ctx, b, array).data
    return b.gep(b.bitcast(data, llvm_type(array_type.dtype).as_pointer()), [offset])


def load_from(b: Any, pointer: Any, kind: ir.Type, align: int = 1) -> Any:
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
        scalar = llvm_type(sig.args[3].dtype)
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


@intrinsic
def elements(typing_context, array):
    """A C-contiguous array's elements as a pointer: an index does not wrap around, and helpers that get it count no
    references, which takes longer than what many of them do. The caller keeps the array alive.
    """

    def codegen(ctx, b, sig, args):
        return ctx.make_array(sig.args[0])(ctx, b, args[0]).data

    return types.CPointer(array.dtype)(array), codegen


@intrinsic
def eight_bytes(typing_context, bytes_, i):
    """Bytes i to i + 7 behind a pointer or of an array as one uint64, the first lowest; there must be so many."""

    def codegen(ctx, b, sig, args):
        array = isinstance(sig.args[0], types.Array)
        data = ctx.make_array(sig.args[0])(ctx, b, args[0]).data if array else args[0]
        return load_from(b, b.gep(data, [args[1]]), I64)

    return types.uint64(bytes_, types.int64), codegen


@intrinsic
def set_eight_bytes(typing_context, array, i, value):
    """Set bytes i to i + 7 of an array to those of a uint64, the lowest first; there must be so many."""

    def codegen(ctx, b, sig, args):
        data = ctx.make_array(sig.args[0])(ctx, b, args[0]).data
        b.store(args[2], b.bitcast(b.gep(data, [args[1]]), I64.as_pointer()), align=1)
        return ctx.get_dummy_value()

    return types.void(array, types.int64, types.uint64), codegen


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
        scalar = llvm_type(sig.args[0].dtype)
        vector = ir.VectorType(scalar, lanes)
        first = pointer_to(ctx, b, sig.args[0], args[0], args[1])
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
                keep_better(cell, load_from(b, b.gep(first, [b.add(i, ir.Constant(I64, j * lanes))]), vector))
        for cell in best[1:]:
            keep_better(best[0], b.load(cell))
        packed = b.load(best[0])
        for lane in range(lanes):
            keep_better(result, b.extract_element(packed, ir.Constant(I32, lane)))
        with cgutils.for_range_slice(b, whole, args[2], ir.Constant(I64, 1), I64) as (i, _):
            keep_better(result, load_from(b, b.gep(first, [i]), scalar))
        return b.load(result)

    def extremum(typing_context, x, start, size):
        return x.dtype(x, types.int64, types.int64), codegen

    extremum.__name__ = name
    return intrinsic(extremum)


row_max = _row_extremum("row_max", ">", float("-inf"))  # -inf for none
row_min = _row_extremum("row_min", "<", float("inf"))


class BFloatType(_BaseFloatType):  # type: ignore[misc]
    """LLVM's bfloat, which llvmlite does not name."""

    intrinsic_name = "bf16"

    def __str__(self) -> str:
        return "bfloat"


BFloatType._create_instance()


def splat(b: Any, value: Any, vector: ir.VectorType) -> Any:
    undefined = ir.Constant(vector, ir.Undefined)
    return shuffled(b, b.insert_element(undefined, value, I32(0)), undefined, [0] * vector.count)


def shuffled(b: Any, x: Any, y: Any, order: list[int]) -> Any:
    return b.shuffle_vector(x, y, ir.Constant(ir.VectorType(I32, len(order)), order))
