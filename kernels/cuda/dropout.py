"""Dropout: a thread has the four elements of one counter of Philox; the backward pass draws them again."""

import math

from numba import int64, uint64

from ..device import is_array
from .kernel import kernel
from .philox import philox
from .pointwise import contiguous
from .ptx import VECTOR, load, load_vector, store, store_vector
from .runtime import empty
from .threads import THREADS, aligned, blocks, thread

_MOST = 1 << 31  # vectors of a launch


def dropout(x, p, seed, stream, offset):
    out, x = empty(x.shape, x.dtype), contiguous(x)
    threshold = math.ceil(p * 2.0**32)  # word · 2⁻³² ≥ p, in whole numbers
    scale = 1 / (1 - p) if p < 1 else 0.0
    place, offset = (offset, 0) if is_array(offset) else (None, offset)
    to, of = out.reshape(-1), x.reshape(-1)
    for start in range(0, x.size, _MOST * VECTOR):
        part = slice(start, start + _MOST * VECTOR)
        size = to[part].size
        whole = size // VECTOR if aligned(out, x) else 0
        _dropout_kernel(
            blocks(-(-size // VECTOR)),
            *(to[part], of[part], size, whole, threshold, scale, start // VECTOR, seed, stream, offset),
            *(place, place is not None),
        )
    return out


def dropout_backward(dout, p, seed, stream, offset):
    return dropout(dout, p, seed, stream, offset)


@kernel("T* <- T* i8 u4 u8 A u8 u8 u8 u8 i8* ?", threads=THREADS)
def _dropout_kernel(out, x, size, whole, threshold, factor, first, seed, stream, offset, offset_at, reads_offset):
    """Vectors from `whole` on are walked by elements."""
    offset = uint64(load(offset_at, 0)) if reads_offset else offset
    i = thread()
    at = int64(i) * int64(VECTOR)
    if at < size:
        zero = type(factor)(0)
        w0, w1, w2, w3 = philox(first + uint64(i), seed, stream, offset)
        k0, k1, k2, k3 = w0 >= threshold, w1 >= threshold, w2 >= threshold, w3 >= threshold
        if i < whole:
            x0, x1, x2, x3 = load_vector(x, at)
            store_vector(
                out,
                at,
                (
                    x0 * factor if k0 else zero,
                    x1 * factor if k1 else zero,
                    x2 * factor if k2 else zero,
                    x3 * factor if k3 else zero,
                ),
            )
        else:
            store(out, at, load(x, at) * factor if k0 else zero)
            if at + int64(1) < size:
                store(out, at + int64(1), load(x, at + int64(1)) * factor if k1 else zero)
            if at + int64(2) < size:
                store(out, at + int64(2), load(x, at + int64(2)) * factor if k2 else zero)
            if at + int64(3) < size:
                store(out, at + int64(3), load(x, at + int64(3)) * factor if k3 else zero)
