"""Rotary embedding: x is read in place, whatever its strides between heads (a fused product interleaves q, k and v).

The halves of a head are written in two loops: with both outputs in one, LLVM would need more overlap checks than it
is willing to make, and not vectorise.
"""

from numba import prange

from ..device import contiguous, empty
from .kernel import kernel
from .simd import array_at

_TASK = 16384  # elements, in whole positions


def rotary(x, cos, sin):
    return _rotate(x, cos, sin, 1)


def rotary_backward(dout, cos, sin):
    return _rotate(dout, cos, sin, -1)


def _rotate(x, cos, sin, direction):
    out = empty(x.shape, x.dtype)
    if out.size:
        x = x if x.strides[3] == x.itemsize else contiguous(x)
        positions = max(1, _TASK // (x.shape[2] * x.shape[3]))
        _rotary_kernel(out, x, contiguous(cos), contiguous(sin), direction, positions)
    return out


@kernel("T[4] <- T[4s] T[2] T[2] T i8")
def _rotary_kernel(out, x, cos, sin, direction, positions):
    batch, time, heads, size = out.shape
    half = size // 2
    blocks = -(-time // positions)
    for task in prange(batch * blocks):
        b, first = task // blocks, task % blocks * positions
        for t in range(first, min(time, first + positions)):
            c, s = cos[t], sin[t]
            for h in range(heads):
                address = x.ctypes.data + b * x.strides[0] + t * x.strides[1] + h * x.strides[2]
                left, right = array_at(address, 0, half, x), array_at(address, half, half, x)
                low, high = out[b, t, h, :half], out[b, t, h, half:]
                for i in range(half):
                    low[i] = left[i] * c[i] - right[i] * (direction * s[i])
                for i in range(half):
                    high[i] = right[i] * c[i] + left[i] * (direction * s[i])
