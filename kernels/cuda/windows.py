"""Windows of images, written out as rows, and added up where they came from: a thread has an element."""

from numba.cuda import int32, int64

from .kernel import kernel
from .ptx import load, store
from .runtime import empty
from .threads import THREADS, blocks, thread


def windows(x, weight_shape, out_shape, stride, padding):
    """(B P Q, C h w) of x (B, C, H, W): what each output of `conv2d` sees, with zeros around the image."""
    _, channels, taps, across = weight_shape
    (height, width), (high, wide) = x.shape[2:], out_shape[2:]
    rows = empty((len(x) * high * wide, channels * taps * across), x.dtype)
    sizes = channels, height, width, high, wide, taps, across
    _windows_kernel(blocks(rows.size), rows, x, rows.size, *sizes, stride, padding)
    return rows


def add_windows(dx, rows, weight_shape, out_shape, stride, padding):
    """dx (B, C, H, W): for each pixel the sum over the windows (B P Q, C h w) that see it."""
    if dx.size:
        sizes = *dx.shape[1:], *out_shape[2:], *weight_shape[2:]
        _add_kernel(blocks(dx.size), dx, rows, dx.size, *sizes, stride, padding)


@kernel("T* <- T* u4 u4 i4 i4 u4 u4 u4 u4 i4 i4", threads=THREADS)
def _windows_kernel(rows, x, count, channels, height, width, high, wide, taps, across, stride, padding):
    n = thread()
    if n < count:
        rest, s = n // across, n % across
        rest, r = rest // taps, rest % taps
        rest, c = rest // channels, rest % channels
        rest, q = rest // wide, rest % wide
        b, p = rest // high, rest % high
        i, j = int32(p) * stride + int32(r) - padding, int32(q) * stride + int32(s) - padding
        value = type(load(x, 0))(0)
        if (i >= int32(0)) & (i < height) & (j >= int32(0)) & (j < width):
            line = (int64(b) * int64(channels) + int64(c)) * int64(height) + int64(i)
            value = load(x, line * int64(width) + int64(j))
        store(rows, n, value)


@kernel("T* <- A* u4 u4 u4 u4 i4 i4 i4 i4 i4 i4", threads=THREADS)
def _add_kernel(dx, rows, count, channels, height, width, high, wide, taps, across, stride, padding):
    n = thread()
    if n < count:
        rest, j = n // width, int32(n % width) + padding
        rest, i = rest // height, int32(rest % height) + padding
        b, c = rest // channels, rest % channels
        size = int64(channels) * int64(taps) * int64(across)
        total = type(load(rows, 0))(0)
        # Windows p that see i: stride p <= i < stride p + taps, and q alike.
        for p in range(max(int32(0), (i - taps + stride) // stride), min(high, i // stride + int32(1))):
            for q in range(max(int32(0), (j - across + stride) // stride), min(wide, j // stride + int32(1))):
                row = (int64(b) * int64(high) + int64(p)) * int64(wide) + int64(q)
                tap = (int64(c) * int64(taps) + int64(i - p * stride)) * int64(across) + int64(j - q * stride)
                total += load(rows, row * size + tap)
        store(dx, n, total)
