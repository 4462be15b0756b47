"""Instructions that numba.cuda has no name for: the only file that builds LLVM IR or inline PTX for CUDA.

Memory is addressed as a pointer and an index. A pointer to uint16 is one to bfloat16: its elements are widened to
float32 as they are loaded, and float32 is rounded as it is stored.
"""

from typing import Any

from llvmlite import ir
from numba.cuda import types
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
