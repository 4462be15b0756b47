"""What the threads of a block do together: sums and maxima, the same in each thread, in an order that never varies."""

import math

from numba import cuda
from numba.cuda import int32, uint32
from numba.cuda.extending import overload

from .kernel import primitive

WARP = 32
_ALL = uint32(0xFFFFFFFF)


@primitive
def add(a, b):
    """The sum."""
    return a + b


@primitive
def larger(a, b):
    """The larger number; a NaN if there is one."""
    return a if (a >= b) | (a != a) else b


@primitive
def lane():
    """The number of this thread in its warp."""
    return int32(cuda.threadIdx.x) & int32(WARP - 1)


@primitive
def warp():
    """The number of this thread's warp in its block."""
    return int32(cuda.threadIdx.x) >> int32(5)


@primitive
def warp_join(x, join):
    """All numbers of a warp joined by `add` or `larger`, by exchanging partial results at distances 16, 8, 4, 2, 1."""
    x = join(x, cuda.shfl_xor_sync(_ALL, x, int32(16)))
    x = join(x, cuda.shfl_xor_sync(_ALL, x, int32(8)))
    x = join(x, cuda.shfl_xor_sync(_ALL, x, int32(4)))
    x = join(x, cuda.shfl_xor_sync(_ALL, x, int32(2)))
    return join(x, cuda.shfl_xor_sync(_ALL, x, int32(1)))


def block_join(x, join, neutral):
    """All numbers of a block joined; the block has whole warps, and all its threads must come here."""


@overload(block_join, target="cuda")
def _block_join(x, join, neutral):
    number = x

    def of_all(x, join, neutral):
        partial = cuda.shared.array(WARP, number)
        x = warp_join(x, join)
        if lane() == int32(0):
            partial[warp()] = x
        cuda.syncthreads()
        x = warp_join(partial[lane()] if lane() < int32(cuda.blockDim.x) >> int32(5) else neutral, join)
        cuda.syncthreads()  # before the next call writes `partial`
        return x

    return of_all


@primitive
def block_sum(x):
    """The sum over the block."""
    return block_join(x, add, type(x)(0))


@primitive
def block_max(x):
    """The maximum over the block; NaN if there is one."""
    return block_join(x, larger, type(x)(-math.inf))
