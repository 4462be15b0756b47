"""Sums over the threads of a block that come before each, in an order that never varies."""

from numba import cuda
from numba.cuda import int32, types, uint32
from numba.cuda.extending import overload

from .block import WARP, lane, warp

_ALL = uint32(0xFFFFFFFF)
_PARTIAL = WARP + 1


def block_prefix(x):
    """(the sum of x over the threads before this one, that over the block); the block has whole warps."""


@overload(block_prefix, target="cuda")
def _block_prefix(x):
    number = x
    as_number = getattr(types, str(x))  # sums of int32 would be int64

    def of_block(x):
        partial = cuda.shared.array(_PARTIAL, number)
        for s in range(5):
            step = int32(1) << int32(s)
            before = cuda.shfl_up_sync(_ALL, x, step)
            x = as_number(x + before) if lane() >= step else x
        if lane() == int32(WARP - 1):
            partial[warp()] = x
        cuda.syncthreads()
        warps = int32(cuda.blockDim.x) >> int32(5)
        if cuda.threadIdx.x == 0:
            total = as_number(0)
            for w in range(warps):
                its = partial[w]
                partial[w] = total
                total = as_number(total + its)
            partial[warps] = total
        cuda.syncthreads()
        before = cuda.shfl_up_sync(_ALL, x, int32(1))
        before = as_number(0) if lane() == int32(0) else before
        found = as_number(partial[warp()] + before), partial[warps]
        cuda.syncthreads()  # before the next call writes `partial`
        return found

    return of_block
