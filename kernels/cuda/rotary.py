"""Rotary embedding: x is read in place, whatever its strides between heads (a fused product interleaves q, k and v).

A thread has one element, or four, of the left half of a head and those that they are paired with.
"""

from numba import int64, uint32

from .kernel import kernel
from .pointwise import cast, contiguous
from .ptx import VECTOR, load, load_vector, store, store_vector
from .runtime import empty
from .threads import THREADS, blocks, thread, width


def rotary(x, cos, sin):
    return _rotate(x, cos, sin, 1)


def rotary_backward(dout, cos, sin):
    return _rotate(dout, cos, sin, -1)


def _rotate(x, cos, sin, direction):
    out = empty(x.shape, x.dtype)
    _, time, heads, size = x.shape
    if out.size:
        item = x.dtype.itemsize
        x = x if x.strides[3] == item else contiguous(x)
        cos, sin = _table(cos, x.dtype), _table(sin, x.dtype)
        steps = [stride // item for stride in x.strides[:3]]
        each = width(size // 2, out, x, cos, sin) if all(step % VECTOR == 0 for step in steps) else 1
        pieces = size // 2 // each
        total = out.size // (2 * each)
        _rotary_kernel(blocks(total), out, x, cos, sin, direction, (*steps,), time, heads, pieces, total, each)
    return out


def _table(x, dtype):
    """Angles in the dtype in which x is rotated: float32 for bfloat16."""
    return contiguous(cast(x, "f4") if dtype.itemsize == 2 and x.dtype != "f4" else x)


@kernel("T* <- T* A* A* A n3 u4 u4 u4 u4 u4", threads=THREADS)
def _rotary_kernel(out, x, cos, sin, direction, steps, time, heads, pieces, total, each):
    i = thread()
    if i < total:
        head = i // pieces
        c = int64(i - head * pieces) * int64(each)
        half = int64(pieces) * int64(each)
        position = head // heads
        h = head - position * heads
        b = position // time
        t = position - b * time
        of = int64(b) * steps[0] + int64(t) * steps[1] + int64(h) * steps[2] + c
        to = int64(head) * (half + half) + c
        angle = int64(t) * half + c
        if each == uint32(VECTOR):
            l0, l1, l2, l3 = load_vector(x, of)
            r0, r1, r2, r3 = load_vector(x, of + half)
            c0, c1, c2, c3 = load_vector(cos, angle)
            s0, s1, s2, s3 = load_vector(sin, angle)
            s0, s1, s2, s3 = direction * s0, direction * s1, direction * s2, direction * s3
            left = l0 * c0 - r0 * s0, l1 * c1 - r1 * s1, l2 * c2 - r2 * s2, l3 * c3 - r3 * s3
            right = r0 * c0 + l0 * s0, r1 * c1 + l1 * s1, r2 * c2 + l2 * s2, r3 * c3 + l3 * s3
            store_vector(out, to, left)
            store_vector(out, to + half, right)
        else:
            left, right, c, s = load(x, of), load(x, of + half), load(cos, angle), direction * load(sin, angle)
            store(out, to, left * c - right * s)
            store(out, to + half, right * c + left * s)
