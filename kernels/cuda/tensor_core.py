"""A matrix product on tensor cores, written out: bfloat16 operands, sums in float32, bias and activation at the end.

What cuBLAS does for `matmul.product`, to read: blocks of 8 warps make tiles of 128 x 128, a warp 64 x 32 of one. The
operands pass through a ring of `STAGES` pairs of tiles in shared memory, which are copied while others are multiplied.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numba import cuda
from numba.cuda import float32, int32, int64, types, uint32

from . import gates
from .block import lane, warp
from .kernel import kernel, primitive
from .pointwise import cast, copy
from .ptx import (
    commit_copies,
    load,
    load_matrices,
    load_matrices_transposed,
    multiply_bf16,
    shared_address,
    store,
    wait_copies_but_one,
)
from .runtime import address, empty
from .tile import CHUNK, PADDING, across, down, filler

SIDE, DEPTH, STAGES, THREADS = 128, 32, 3, 256
_ROOM = max(SIDE * (DEPTH + PADDING), DEPTH * (SIDE + PADDING))  # elements of a tile
_BF16 = np.dtype(np.uint16)


def product(out: Any, a: Any, b: Any, bias: Any = None, activation: str = "none") -> None:
    """out (M, N) = f(a (M, K) b (K, N) + bias (N)), for out in C order of float32 or bfloat16.

    a and b, any views, are rounded to bfloat16 if they are not.
    """
    (m, n), k = out.shape, a.shape[1]
    if not out.size:
        return
    (a, a_deep, a_lead), (b, b_across, b_lead) = _readable(a), _readable(b)
    if bias is not None:
        bias = cast(bias, np.float32)
    run = _kernel(a_deep, not b_across, activation)
    run((-(-n // SIDE), -(-m // SIDE), 1), out, a, b, bias, bias is not None, m, n, k, a_lead, b_lead)


def _readable(x):
    """x in bfloat16, whether rows have no gaps (else columns), and the elements from one to the
    next, a multiple of `CHUNK`; copied if need be."""
    turned = abs(x.strides[0]) < abs(x.strides[1])
    x = x.T if turned else x
    rows, columns = x.shape
    lead = x.strides[0] // x.itemsize
    is_direct = x.dtype == _BF16 and x.strides[1] == x.itemsize and lead >= columns and lead % CHUNK == 0
    if not is_direct or int(address(x)) % 16:
        lead = -(-columns // CHUNK) * CHUNK
        room = empty((rows, lead), _BF16)
        copy(x, out=room[:, :columns])
        x = room
    return x, not turned, lead


_ACTIVATIONS = {
    "none": lambda z: z,
    "relu": lambda z: float32(0) if z < float32(0) else z,
    "gelu": lambda z: gates.gelu(z),
    "gelu_tanh": lambda z: gates.gelu_tanh(z),
}


@lru_cache(None)
def _kernel(a_deep, b_deep, activation):
    """The kernel for operands in which elements along the depth lie side by side, or those across it."""
    f = primitive(_ACTIVATIONS[activation])
    fill_a, first_a, a_side, a_depth, load_a = _operand(a_deep, True)
    fill_b, first_b, b_side, b_depth, load_b = _operand(b_deep, False)

    @kernel(
        "T* <- u2* u2* f4* i4 i4 i4 i4 i8 i8",
        threads=THREADS,
        shared=max(2 * STAGES * _ROOM * 2, SIDE * (SIDE + PADDING) * 4),
        name=f"product-{'xk'[a_deep]}{'xk'[b_deep]}-{activation}",
    )
    def multiply(out, a, b, bias, has_bias, m, n, k, a_lead, b_lead):
        room, zero = uint32(_ROOM * 2), int32(0)
        a_tiles = shared_address(cuda.shared.array(0, types.uint16, alignment=128), zero)
        b_tiles = a_tiles + uint32(STAGES) * room
        row, column = int32(cuda.blockIdx.y) * int32(SIDE), int32(cuda.blockIdx.x) * int32(SIDE)
        steps = (k + int32(DEPTH - 1)) // int32(DEPTH)
        for s in range(STAGES - 1):
            if s < steps:
                fill_a(a_tiles + uint32(s) * room, a, a_lead, row, int32(s * DEPTH), m, k)
                fill_b(b_tiles + uint32(s) * room, b, b_lead, column, int32(s * DEPTH), n, k)
            commit_copies()
        sums = cuda.local.array(64, types.float32)  # of 4 times 16 rows, 4 times 8 columns, in fragments
        for i in range(64):
            sums[i] = float32(0)
        tall, wide = (warp() & int32(1)) * int32(64), (warp() >> int32(1)) * int32(32)
        a_from, b_from = a_tiles + first_a(tall), b_tiles + first_b(wide)
        right = cuda.local.array(8, types.uint32)
        at, later_at = uint32(0), uint32(STAGES - 1) * room
        for step in range(steps):
            wait_copies_but_one()
            cuda.syncthreads()  # the copies of all threads have landed, and nobody reads the tiles that are next filled
            later = (int32(step) + int32(STAGES - 1)) * int32(DEPTH)
            if later < k:
                fill_a(a_tiles + later_at, a, a_lead, row, later, m, k)
                fill_b(b_tiles + later_at, b, b_lead, column, later, n, k)
            commit_copies()
            for d in range(DEPTH // 16):
                for j in range(2):
                    right[4 * j], right[4 * j + 1], right[4 * j + 2], right[4 * j + 3] = load_b(
                        b_from + at + uint32(j * 16 * b_side + d * 16 * b_depth)
                    )
                for i in range(4):
                    left = load_a(a_from + at + uint32(i * 16 * a_side + d * 16 * a_depth))
                    for j in range(4):
                        multiply_bf16(sums, (i * 4 + j) * 4, left, right[2 * j], right[2 * j + 1])
            at = at + room if at < uint32(STAGES - 1) * room else uint32(0)
            later_at = later_at + room if later_at < uint32(STAGES - 1) * room else uint32(0)
        # The sums pass through shared memory, so that a warp writes neighbours.
        cuda.syncthreads()
        whole = cuda.shared.array(0, types.float32, alignment=128)
        pitch = int32(SIDE + PADDING)
        first = (tall + (lane() >> int32(2))) * pitch + wide + (lane() & int32(3)) * int32(2)
        for i in range(4):
            for j in range(4):
                for q in range(4):
                    whole[first + int32(16 * i + q // 2 * 8) * pitch + int32(8 * j + q % 2)] = sums[(i * 4 + j) * 4 + q]
        cuda.syncthreads()
        own_column = int32(cuda.threadIdx.x) % int32(SIDE)
        if column + own_column < n:
            shift = load(bias, column + own_column) if has_bias else float32(0)
            for r in range(int32(cuda.threadIdx.x) // int32(SIDE), min(int32(SIDE), m - row), THREADS // SIDE):
                z = whole[int32(r) * pitch + own_column] + shift
                store(out, int64(row + r) * int64(n) + int64(column + own_column), f(z))

    return multiply


def _operand(is_deep, is_left):
    """Of an operand: what fills its tile; where its first fragment is for this lane, from an element on across the
    depth; bytes from element to element, across and along the depth; what loads a fragment."""
    tall, wide = (SIDE, DEPTH) if is_deep else (DEPTH, SIDE)
    pitch = wide + PADDING
    fill_tile = filler(tall, wide, THREADS)
    place = down if is_left == is_deep else across
    side, depth = (2 * pitch, 2) if is_deep else (2, 2 * pitch)

    def fill_deep(to, pointer, lead, x, k, size, ks):
        fill_tile(to, pointer, int64(0), lead, x, k, size, ks)

    def fill_across(to, pointer, lead, x, k, size, ks):
        fill_tile(to, pointer, int64(0), lead, k, x, ks, size)

    @primitive
    def first(x):
        return place(int32(pitch)) + uint32(x) * uint32(side)

    fill = primitive(fill_deep if is_deep else fill_across)
    return fill, first, side, depth, load_matrices if is_deep else load_matrices_transposed
