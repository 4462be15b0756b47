"""Instructions that numba.cuda has no name for: the only file that builds LLVM IR or inline PTX for CUDA.

Memory is addressed as a pointer and an index. A pointer to uint16 is one to bfloat16: its elements are widened to
float32 as they are loaded, and float32 is rounded as it is stored.
"""

from typing import Any

from llvmlite import ir
from numba.cuda import cgutils, types
from numba.cuda.extending import intrinsic

_I32, _F32 = ir.IntType(32), ir.FloatType()
VECTOR = 4  # elements of `load_vector` and `store_vector`


def element(pointer: types.CPointer) -> Any:
    """The type of what `load` gives of a pointer."""
    return types.float32 if pointer.dtype == types.uint16 else pointer.dtype


def assembly(builder: Any, result: Any, args: list[Any], text: str, constraints: str, effects: bool = False) -> Any:
    """A call of one PTX instruction."""
    signature = ir.FunctionType(result, [a.type for a in args])
    return builder.call(ir.InlineAsm(signature, text, constraints, side_effect=effects), args)


def _loaded(builder: Any, type_: Any, x: Any) -> Any:
    """A number of what lies in memory."""
    if type_ == types.uint16:
        return builder.bitcast(builder.shl(builder.zext(x, _I32), ir.Constant(_I32, 16)), _F32)
    return builder.icmp_unsigned("!=", x, x.type(0)) if type_ == types.boolean else x


def _stored(builder: Any, type_: Any, x: Any) -> Any:
    """What lies in memory for a number."""
    if type_ == types.uint16:
        return assembly(builder, ir.IntType(16), [x], "cvt.rn.bf16.f32 $0, $1;", "=h,f")
    return builder.zext(x, ir.IntType(8)) if type_ == types.boolean else x


def _place(builder: Any, pointer: Any, index: Any, count: int = 1) -> Any:
    """The address of an element in global memory, of a vector if `count` is not 1."""
    at = builder.gep(pointer, [index])
    to = at.type.pointee if count == 1 else ir.VectorType(at.type.pointee, count)
    return builder.addrspacecast(builder.bitcast(at, to.as_pointer()), ir.PointerType(to, addrspace=1))


def _alignment(type_: Any) -> int:
    """Of a vector: as much as one instruction moves at most."""
    return min(16, VECTOR if type_ == types.boolean else VECTOR * type_.bitwidth // 8)


@intrinsic
def registers(typing, pointer, count):
    """Room for a constant count of numbers as `load` gives them of a pointer, to be read and written by indices.

    They are registers if every index is a constant once loops are unrolled.
    """
    if not isinstance(count, types.IntegerLiteral):
        return None
    result = types.CPointer(element(pointer))

    def codegen(context, builder, signature, args):
        return cgutils.alloca_once(builder, context.get_data_type(result.dtype), count.literal_value)

    return result(pointer, count), codegen


@intrinsic
def pointer_at(typing, address, like):
    """A pointer of the type of `like` from an address, uint64."""

    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], args[1].type)

    return like(types.uint64, like), codegen


@intrinsic
def load(typing, pointer, index):
    """pointer[index], a bfloat16 widened."""

    def codegen(context, builder, signature, args):
        return _loaded(builder, pointer.dtype, builder.load(_place(builder, *args)))

    return element(pointer)(pointer, types.int64), codegen


@intrinsic
def store(typing, pointer, index, value):
    """pointer[index] = value, rounded to bfloat16 where that is what lies there."""

    def codegen(context, builder, signature, args):
        builder.store(_stored(builder, pointer.dtype, args[2]), _place(builder, *args[:2]))
        return context.get_dummy_value()

    return types.void(pointer, types.int64, element(pointer)), codegen


@intrinsic
def load_vector(typing, pointer, index):
    """Four elements from pointer[index] on, which must lie on a multiple of their size."""
    result = types.UniTuple(element(pointer), VECTOR)

    def codegen(context, builder, signature, args):
        vector = builder.load(_place(builder, *args, VECTOR), align=_alignment(pointer.dtype))
        parts = [builder.extract_element(vector, _I32(k)) for k in range(VECTOR)]
        return context.make_tuple(builder, result, [_loaded(builder, pointer.dtype, p) for p in parts])

    return result(pointer, types.int64), codegen


@intrinsic
def store_vector(typing, pointer, index, values):
    """The converse of `load_vector`."""

    def codegen(context, builder, signature, args):
        at = _place(builder, *args[:2], VECTOR)
        vector = ir.Constant(at.type.pointee, ir.Undefined)
        for k in range(VECTOR):
            part = _stored(builder, pointer.dtype, builder.extract_value(args[2], k))
            vector = builder.insert_element(vector, part, _I32(k))
        builder.store(vector, at, align=_alignment(pointer.dtype))
        return context.get_dummy_value()

    return types.void(pointer, types.int64, types.UniTuple(element(pointer), VECTOR)), codegen


@intrinsic
def store_pair(typing, pointer, index, x, y):
    """pointer[index], pointer[index + 1] = x, y, which lie on a multiple of their size; float32 or bfloat16."""

    def codegen(context, builder, signature, args):
        pointer_, index_, *values = args
        at = _place(builder, pointer_, index_, 2)
        vector = ir.Constant(at.type.pointee, ir.Undefined)
        for k, value in enumerate(values):
            vector = builder.insert_element(vector, _stored(builder, pointer.dtype, value), _I32(k))
        builder.store(vector, at, align=pointer.dtype.bitwidth // 4)
        return context.get_dummy_value()

    return types.void(pointer, types.int64, element(pointer), element(pointer)), codegen


def _at(context: Any, builder: Any, type_: Any, array: Any, index: Any) -> Any:
    """The address of an element of a local or shared array."""
    return builder.gep(context.make_array(type_)(context, builder, value=array).data, [index])


@intrinsic
def shared_address(typing, array, index):
    """Where array[index] is in shared memory, in bytes."""

    def codegen(context, builder, signature, args):
        at = _at(context, builder, array, *args)
        return builder.ptrtoint(builder.addrspacecast(at, ir.PointerType(at.type.pointee, addrspace=3)), _I32)

    return types.uint32(array, types.int32), codegen


@intrinsic
def copy_async(typing, to, pointer, index, nbytes):
    """Start to copy `nbytes` from pointer[index] on to an address in shared memory, with zeros up to 16 bytes.

    Both addresses are multiples of 16. Where nbytes is 0, nothing is read.
    """

    def codegen(context, builder, signature, args):
        source = builder.addrspacecast(
            builder.gep(args[1], [args[2]]), ir.PointerType(args[1].type.pointee, addrspace=1)
        )
        text = "cp.async.cg.shared.global [$0], [$1], 16, $2;"
        given = [args[0], builder.ptrtoint(source, ir.IntType(64)), args[3]]
        assembly(builder, ir.VoidType(), given, text, "r,l,r,~{memory}", effects=True)
        return context.get_dummy_value()

    return types.void(types.uint32, pointer, types.int64, types.int32), codegen


def _instruction(name: str, text: str) -> Any:
    """An instruction without operands."""

    def instruction(typing):
        def codegen(context, builder, signature, args):
            assembly(builder, ir.VoidType(), [], text, "~{memory}", effects=True)
            return context.get_dummy_value()

        return types.void(), codegen

    instruction.__name__ = instruction.__qualname__ = name
    return intrinsic(instruction)


commit_copies = _instruction("commit_copies", "cp.async.commit_group;")  # those since the last commit are a group
wait_copies = _instruction("wait_copies", "cp.async.wait_group 0;")  # until all this thread's groups have landed
wait_copies_but_one = _instruction("wait_copies_but_one", "cp.async.wait_group 1;")  # all but the last group


def _matrices(name: str, form: str) -> Any:
    def load(typing, address):
        def codegen(context, builder, signature, args):
            text = f"ldmatrix.sync.aligned.m8n8.x4{form}.shared.b16 {{$0,$1,$2,$3}}, [$4];"
            found = assembly(builder, _words(_I32, 4), args, text, "=r,=r,=r,=r,r,~{memory}", effects=True)
            return context.make_tuple(builder, signature.return_type, _parts(builder, found, 4))

        return types.UniTuple(types.uint32, 4)(types.uint32), codegen

    load.__name__ = load.__qualname__ = name
    return intrinsic(load)


def _words(type_: Any, count: int) -> Any:
    return ir.LiteralStructType([type_] * count)


def _parts(builder: Any, x: Any, count: int) -> list[Any]:
    return [builder.extract_value(x, k) for k in range(count)]


load_matrices = _matrices("load_matrices", "")
"""Four 8 x 8 matrices of bfloat16, of which lanes 8 i to 8 i + 7 give the addresses of the rows of matrix i: a lane
gets of each, in one word, elements 2 (lane % 4) and the next of row lane // 4."""
load_matrices_transposed = _matrices("load_matrices_transposed", ".trans")
"""The same of the transposed matrices."""


def _multiplication(name: str, text: str) -> Any:
    """sums[at : at + 4] += a b, of fragments that the warp holds."""

    def multiply(typing, sums, at, a, b0, b1):
        def codegen(context, builder, signature, args):
            first = _at(context, builder, sums, *args[:2])
            places = [builder.gep(first, [_I32(k)]) for k in range(4)]
            operands = [*_parts(builder, args[2], 4), *args[3:], *map(builder.load, places)]
            constraints = "=f,=f,=f,=f," + "r," * 6 + "f,f,f,f"
            found = assembly(builder, _words(_F32, 4), operands, text, constraints)
            for place, value in zip(places, _parts(builder, found, 4), strict=True):
                builder.store(value, place)
            return context.get_dummy_value()

        fragment = types.UniTuple(types.uint32, 4)
        return types.void(sums, types.int32, fragment, types.uint32, types.uint32), codegen

    multiply.__name__ = multiply.__qualname__ = name
    return intrinsic(multiply)


_FORM = "{$0,$1,$2,$3}, {$4,$5,$6,$7}, {$8,$9}, {$10,$11,$12,$13};"
multiply_bf16 = _multiplication("multiply_bf16", f"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {_FORM}")
"""a: 16 x 16 as four matrices of 8 x 8, of the first column top and bottom, then of the second; b: 16 x 8, likewise
top and bottom, transposed; sums: elements 2 (lane % 4) and the next of row lane // 4, then of eight rows below."""
multiply_tf32 = _multiplication("multiply_tf32", f"mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {_FORM}")
"""a: 16 x 8, a word holding one element, of row lane // 4 and column lane % 4, eight rows below, then the same four
columns on; b: 8 x 8, row lane % 4 and four below, column lane // 4; sums as those of `multiply_bf16`."""


@intrinsic
def pack(typing, low, high):
    """Two float32, rounded to bfloat16, in one word."""

    def codegen(context, builder, signature, args):
        return assembly(builder, _I32, args[::-1], "cvt.rn.bf16x2.f32 $0, $1, $2;", "=r,f,f")

    return types.uint32(types.float32, types.float32), codegen


@intrinsic
def to_tf32(typing, x):
    """A float32 rounded to TF32, as a word."""

    def codegen(context, builder, signature, args):
        return assembly(builder, _I32, args, "cvt.rna.tf32.f32 $0, $1;", "=r,f")

    return types.uint32(types.float32), codegen


@intrinsic
def exp2(typing, x):
    """2**x of a float32, to 2 ulp; 0 where that is below the normal numbers."""

    def codegen(context, builder, signature, args):
        return assembly(builder, _F32, args, "ex2.approx.ftz.f32 $0, $1;", "=f,f")

    return types.float32(types.float32), codegen
