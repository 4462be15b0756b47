"""Attention on tensor cores, for head sizes of 64 and 128: operands in bfloat16, sums and softmax in float32.

A warp owns 16 rows of a block's 64, and multiplies them with tiles of the other side, which are copied to shared
memory while it works on the tile before. Scores and their gradient stay in the registers in which the products leave
them: rounded, they are the left operand of the next product. Forward and for dq, the rows are queries; for dk and dv
they are keys, and scores stand transposed. So each kernel writes what it owns, and nothing is added across blocks.
"""

import math
from functools import lru_cache

import numpy as np
from numba.cuda import float32, int32, int64, uint32

from .block import lane, warp
from .kernel import primitive
from .pointwise import cast, contiguous
from .ptx import load_matrices, load_matrices_transposed, multiply_bf16, pack, store_pair
from .tile import PADDING

WIDTHS = 64, 128
ROWS, THREADS = 64, 128
LOG2_E = 1 / math.log(2)
_BF16 = np.dtype(np.uint16)


def rounded(x):
    """x in bfloat16 and in C order."""
    return contiguous(x) if x.dtype == _BF16 else cast(x, _BF16)


@lru_cache(None)
def products(width, others):
    """Products of a warp's 16 rows with tiles of so many others: of rows with rows, and of weights with rows."""
    pitch, depth, count, columns = width + PADDING, width // 16, others // 8, width // 8
    scores = 4 * count

    @primitive
    def multiply(sums, own, other):
        """sums = the products of rows at `own` with those at `other`, addresses of this lane."""
        for i in range(scores):
            sums[i] = float32(0)
        for d in range(depth):
            left = load_matrices(own + uint32(d * 32))
            for j in range(count // 2):
                right = load_matrices(other + uint32((j * 16 * pitch + d * 16) * 2))
                multiply_bf16(sums, 8 * j, left, right[0], right[1])
                multiply_bf16(sums, 8 * j + 4, left, right[2], right[3])

    @primitive
    def gather(totals, weights, other):
        """totals += weights, rounded, times rows at `other`, an address of this lane."""
        for s in range(others // 16):
            left = (
                pack(weights[8 * s], weights[8 * s + 1]),
                pack(weights[8 * s + 2], weights[8 * s + 3]),
                pack(weights[8 * s + 4], weights[8 * s + 5]),
                pack(weights[8 * s + 6], weights[8 * s + 7]),
            )
            for j in range(columns // 2):
                right = load_matrices_transposed(other + uint32((s * 16 * pitch + j * 16) * 2))
                multiply_bf16(totals, 8 * j, left, right[0], right[1])
                multiply_bf16(totals, 8 * j + 4, left, right[2], right[3])

    return multiply, gather


@primitive
def own_row():
    """The row of a block of which this lane has elements; it has some of that eight further down, too."""
    return warp() * int32(16) + (lane() >> int32(2))


@primitive
def own_column():
    """The first column, of eight, of which this lane has elements; it has those of the next, too."""
    return (lane() & int32(3)) * int32(2)


@lru_cache(None)
def writer(width):
    columns = width // 8

    @primitive
    def put_rows(out, totals, factor_a, factor_b, b, h, heads, row, rows):
        """What a lane has of its two rows of a head, times a factor each."""
        at = ((b * rows + row) * heads + h) * int64(width) + own_column()
        for j in range(columns):
            if row < rows:
                store_pair(out, at + 8 * j, totals[4 * j] * factor_a, totals[4 * j + 1] * factor_a)
            if row + int32(8) < rows:
                below = at + 8 * j + heads * int64(8 * width)
                store_pair(out, below, totals[4 * j + 2] * factor_b, totals[4 * j + 3] * factor_b)

    return put_rows
