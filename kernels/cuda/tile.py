"""Tiles of bfloat16 in shared memory, and the fragments of them that a tensor core multiplies.

A row of a tile has `PADDING` elements more than are used, so that the eight rows that `load_matrices` reads at once
lie in different banks.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from numba import cuda
from numba.cuda import int32, int64, uint32

from .block import lane
from .kernel import primitive
from .ptx import copy_async

CHUNK = 8  # elements that one instruction copies
PADDING = 8


@lru_cache(None)
def filler(tall: int, wide: int, threads: int) -> Callable[..., Any]:
    """A helper by which a block of threads starts to copy a tile."""
    chunks, pitch, count = int32(wide // CHUNK), int32(wide + PADDING), tall * wide // (CHUNK * threads)
    step, chunk, zero = int32(threads), int32(CHUNK), int32(0)

    @primitive
    def fill(to, pointer, start, lead, row, column, rows, columns):
        """The tile from [row, column] on of a matrix that begins at pointer[start]; zeros beyond its rows and columns.

        Its rows lie `lead` apart; they, and the start, are on multiples of 16 bytes.
        """
        n = int32(cuda.threadIdx.x)
        for _ in range(count):
            r, c = n // chunks, n % chunks * chunk
            left = min(columns - column - c, chunk) if row + r < rows else zero
            at = start + int64(row + r) * lead + int64(column + c) if left > zero else int64(0)
            copy_async(to + uint32((r * pitch + c) * int32(2)), pointer, at, max(left, zero) * int32(2))
            n += step

    return fill


@primitive
def down(pitch):
    """Bytes to the row of a 16 x 16 tile that this lane gives `load_matrices`, which counts quarters down, then across.

    So the four are a left operand as it lies, or two right operands of eight columns, each 16 deep, transposed.
    """
    return uint32(((lane() & int32(15)) * int32(pitch) + (lane() >> int32(4)) * int32(8)) * int32(2))


@primitive
def across(pitch):
    """The same, for quarters counted across, then down: a left operand transposed, or two right operands."""
    row = (lane() & int32(7)) + (lane() >> int32(4)) * int32(8)
    return uint32((row * int32(pitch) + (lane() >> int32(3) & int32(1)) * int32(8)) * int32(2))
