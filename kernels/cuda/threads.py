"""Which elements a thread has, where each has four that lie side by side, or a single one."""

from typing import Any

from numba import cuda, uint32

from .kernel import primitive
from .ptx import VECTOR
from .runtime import address

THREADS = 256


@primitive
def thread():
    """The number of this thread in the grid."""
    return uint32(cuda.blockIdx.x) * uint32(THREADS) + uint32(cuda.threadIdx.x)


def blocks(count: int) -> int:
    """How many blocks have so many threads."""
    return -(-count // THREADS)


def width(size: int, *arrays: Any) -> int:
    """4 if rows of `size` elements of contiguous arrays can be walked by vectors, else 1."""
    return VECTOR if size % VECTOR == 0 and aligned(*arrays) else 1


def aligned(*arrays: Any) -> bool:
    """Whether contiguous arrays begin where a vector can be loaded."""
    return all(int(address(x)) % min(16, VECTOR * x.dtype.itemsize) == 0 for x in arrays)
