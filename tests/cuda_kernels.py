"""Compiles kernels to PTX with no GPU, and the intrinsics that the emulator's tests need."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import cuda
from numba.cuda import types
from numba.cuda.extending import intrinsic

from octavo.kernels.cuda.emulator import Program, memory

I32, F32 = ir.IntType(32), ir.FloatType()


def ptx_of(kernel: Any, *signature: Any, **options: Any) -> str:
    return cuda.compile(kernel, signature, cc=(8, 0), device=False, abi="numba", **options)[0]


def vector(dtype: Any) -> Any:
    return types.Array(dtype, 1, "C")


def run(
    ptx: str, grid: int, block: int, *arguments: Any, shared: int = 0, schedule: str = "lockstep"
) -> list[np.ndarray]:
    """Launch with 1-D arrays and numbers; the arrays as they are afterwards."""
    words: list[Any] = []
    places = []
    for x in arguments:
        if not isinstance(x, np.ndarray):
            words.append(x)
            continue
        address = memory.allocate(x.nbytes)
        places.append((address, x))
        memory.bytes[address : address + x.nbytes] = x.view(np.uint8)
        memory.mark_written(address, x.nbytes)
        words += [0, 0, x.size, x.itemsize, address, x.size, x.itemsize]
    try:
        Program(ptx).launch((grid, 1, 1), (block, 1, 1), words, shared, schedule)
        return [memory.bytes[p : p + x.nbytes].view(x.dtype).copy() for p, x in places]
    finally:
        for p, _ in places:
            memory.free(p)


def _asm(builder: Any, result: Any, arguments: Any, text: str, constraints: str) -> Any:
    kind = ir.FunctionType(result, [a.type for a in arguments])
    return builder.call(ir.InlineAsm(kind, text, constraints, side_effect=True), arguments)


def _pointer(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    return builder.gep(context.make_array(kind)(context, builder, value=array).data, [index])


@intrinsic
def shared_address(typing, array, index):
    def codegen(context, builder, signature, arguments):
        p = _pointer(context, builder, signature.args[0], *arguments)
        return builder.ptrtoint(builder.addrspacecast(p, ir.PointerType(p.type.pointee, addrspace=3)), I32)

    return types.uint32(array, types.int32), codegen


@intrinsic
def copy16(typing, to, array, index):
    def codegen(context, builder, signature, arguments):
        p = builder.ptrtoint(_pointer(context, builder, signature.args[1], *arguments[1:]), ir.IntType(64))
        _asm(builder, ir.VoidType(), [arguments[0], p], "cp.async.cg.shared.global [$0], [$1], 16;", "r,l,~{memory}")
        return context.get_dummy_value()

    return types.void(types.uint32, array, types.int64), codegen


def _statement(text: str) -> Any:
    @intrinsic
    def statement(typing):
        def codegen(context, builder, signature, arguments):
            _asm(builder, ir.VoidType(), [], text, "~{memory}")
            return context.get_dummy_value()

        return types.void(), codegen

    return statement


commit, wait1 = _statement("cp.async.commit_group;"), _statement("cp.async.wait_group 1;")


@intrinsic
def ldmatrix(typing, address):
    def codegen(context, builder, signature, arguments):
        text = "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {$0,$1,$2,$3}, [$4];"
        r = _asm(builder, ir.LiteralStructType([I32] * 4), arguments, text, "=r,=r,=r,=r,r,~{memory}")
        return context.make_tuple(builder, signature.return_type, [builder.extract_value(r, k) for k in range(4)])

    return types.UniTuple(types.uint32, 4)(types.uint32), codegen


@intrinsic
def mma(typing, a0, a1, a2, a3, b0, b1, c0, c1, c2, c3):
    def codegen(context, builder, signature, arguments):
        text = "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        text += "{$0,$1,$2,$3}, {$4,$5,$6,$7}, {$8,$9}, {$10,$11,$12,$13};"
        r = _asm(builder, ir.LiteralStructType([F32] * 4), arguments, text, "=f,=f,=f,=f,r,r,r,r,r,r,f,f,f,f")
        return context.make_tuple(builder, signature.return_type, [builder.extract_value(r, k) for k in range(4)])

    return types.UniTuple(types.float32, 4)(*[types.uint32] * 6, *[types.float32] * 4), codegen
