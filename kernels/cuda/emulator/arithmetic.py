"""What NumPy has no single function for: the arithmetic of PTX on arrays, called by translated code."""

import numpy as np

U32, U64 = np.uint32, np.uint64
TINY = np.float32(2.0**-126)
ROUND = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}


def spread(x, n):
    """One item for each of `n` threads."""
    return x if len(x) == n else np.broadcast_to(x, n)


def flush(x):
    """Denormals as zeros, as .ftz does."""
    return np.where(np.abs(x) < TINY, x * x.dtype.type(0), x) if x.dtype == np.float32 else x


def saturate(x):
    return np.where(np.isnan(x), x.dtype.type(0), np.clip(x, 0, 1))


def narrow(x, mode="rn"):
    """float64 to float32, rounded in a direction."""
    y = x.astype(np.float32)
    if mode == "rn":
        return y
    back = y.astype(np.float64)
    down, up = np.nextafter(y, np.float32(-np.inf)), np.nextafter(y, np.float32(np.inf))
    if mode == "rm":
        return np.where(back > x, down, y)
    if mode == "rp":
        return np.where(back < x, up, y)
    return np.where(np.abs(back) > np.abs(x), np.where(x > 0, down, up), y)


def fma(a, b, c, mode="rn"):
    """Rounded once for float32 (by float64, so twice in rare ties); a * b + c for float64."""
    if a.dtype == np.float64:
        return a * b + c
    return narrow(a.astype(np.float64) * b + c, mode)


def mul_hi(a, b):
    if a.dtype.itemsize < 8:
        wide = np.dtype(f"{a.dtype.kind}{2 * a.dtype.itemsize}")
        return (a.astype(wide) * b.astype(wide) >> wide.type(8 * a.dtype.itemsize)).astype(a.dtype)
    x, y = a.view(U64), b.view(U64)
    mask, half = U64(0xFFFFFFFF), U64(32)
    x0, x1, y0, y1 = x & mask, x >> half, y & mask, y >> half
    middle = (x0 * y0 >> half) + (x1 * y0 & mask) + (x0 * y1 & mask)
    high = x1 * y1 + (x1 * y0 >> half) + (x0 * y1 >> half) + (middle >> half)
    if a.dtype.kind == "i":
        high = high - np.where(a < 0, y, U64(0)) - np.where(b < 0, x, U64(0))
    return high.view(a.dtype)


def divide(a, b):
    """Integer division towards zero; all ones by zero, as the hardware's."""
    if a.dtype.kind == "u":
        return np.where(b == 0, ~a.dtype.type(0), a // np.where(b == 0, b.dtype.type(1), b))
    safe = np.where(b == 0, b.dtype.type(1), b)
    return np.where(b == 0, b.dtype.type(-1), (a - np.fmod(a, safe)) // safe)


def remainder(a, b):
    return np.where(b == 0, a, np.fmod(a, np.where(b == 0, b.dtype.type(1), b)))


def shl(a, n):
    bits = 8 * a.dtype.itemsize
    return np.where(n >= bits, a.dtype.type(0), a << (n & U32(bits - 1)).astype(a.dtype))


def shr(a, n):
    bits = 8 * a.dtype.itemsize
    if a.dtype.kind == "i":
        return a >> np.minimum(n, U32(bits - 1)).astype(a.dtype)
    return np.where(n >= bits, a.dtype.type(0), a >> (n & U32(bits - 1)).astype(a.dtype))


def funnel(low, high, n, left, clamp):
    n = (np.minimum(n, U32(32)) if clamp else n & U32(31)).astype(U64)
    both = high.astype(U64) << U64(32) | low
    return ((both << n) >> U64(32) if left else both >> n).astype(U32)


def add_carry(a, b, c):
    total = a + b
    out = total < a
    if c is not None:
        more = total + c.astype(a.dtype)
        out, total = out | (more < total), more
    return total, out


def sub_borrow(a, b, c):
    total = a - b
    out = a < b
    if c is not None:
        less = total - c.astype(a.dtype)
        out, total = out | (less > total), less
    return total, out


def bfe(a, position, length):
    bits = 8 * a.dtype.itemsize
    p, n = position & U32(255), length & U32(255)
    value = shr(a, p)  # for signed a the sign fills
    unsigned = value.view(f"u{a.dtype.itemsize}")
    drop = U32(bits) - np.minimum(n, U32(bits))
    if a.dtype.kind == "u":
        return shr(shl(unsigned, drop), drop)
    return np.where(n == 0, a.dtype.type(0), shr(shl(unsigned, drop).view(a.dtype), drop))


def bfi(a, b, position, length):
    bits = 8 * a.dtype.itemsize
    p, n = position & U32(255), length & U32(255)
    mask = shl(shr(np.full(1, ~a.dtype.type(0)), U32(bits) - np.minimum(n, U32(bits))), p)
    return b & ~mask | shl(a, p) & mask


def clz(a):
    """Leading zeros, as uint32."""
    bits, found = 8 * a.dtype.itemsize, np.zeros(a.shape, U32)
    x = a
    step = bits // 2
    while step:
        low = x < a.dtype.type(1 << (bits - step))
        found += low.astype(U32) * U32(step)
        x = np.where(low, x << a.dtype.type(step), x)
        step //= 2
    return found + (a == 0)


def bfind(a, shift):
    x = a
    if a.dtype.kind == "i":
        x = np.where(a < 0, ~a, a).view(f"u{a.dtype.itemsize}")
    n = clz(x)
    place = n if shift else U32(8 * a.dtype.itemsize - 1) - n
    return np.where(x == 0, U32(0xFFFFFFFF), place)


def popc(a):
    return np.unpackbits(np.ascontiguousarray(a).view(np.uint8).reshape(a.shape[0], -1), axis=1).sum(1, dtype=U32)


def brev(a):
    big = np.ascontiguousarray(a).view(np.uint8).reshape(a.shape[0], -1)
    reverse = np.packbits(np.unpackbits(big, axis=1)[:, ::-1], axis=1)
    # bytes are little-endian and each byte's bits most significant first: reversing all twice mirrors the number
    return np.ascontiguousarray(reverse).view(a.dtype).reshape(-1)


def prmt(a, b, selector):
    both = b.astype(U64) << U64(32) | a
    out = np.zeros(np.broadcast(a, b, selector).shape, U64)
    for k in range(4):
        s = (selector >> U32(4 * k) & U32(15)).astype(U64)
        byte = both >> ((s & U64(7)) * U64(8)) & U64(255)
        byte = np.where(s & U64(8), np.where(byte & U64(128), U64(255), U64(0)), byte)
        out |= byte << U64(8 * k)
    return out.astype(U32)


def lop3(a, b, c, table):
    out = np.zeros(1, U32)
    for k in range(8):
        if table >> k & 1:
            out = out | ((a if k & 4 else ~a) & (b if k & 2 else ~b) & (c if k & 1 else ~c))
    return out


def to_integer(x, kind, mode):
    """Float to integer: NaN is 0, and what does not fit is clamped."""
    info = np.iinfo(kind)
    whole = ROUND[mode](x.astype(np.float64))
    low, high = float(info.min), float(info.max)
    inside = np.where((whole > low) & (whole < high), whole, 0.0).astype(kind)
    out = np.where(whole >= high, info.max, np.where(whole <= low, info.min, inside)).astype(kind)
    return out


def clamp_integer(x, kind):
    info, own = np.iinfo(kind), np.iinfo(x.dtype)
    return np.clip(x, max(info.min, own.min), min(info.max, own.max)).astype(kind)


def to_bf16(x):
    """float32 to the bits of a bfloat16, to nearest even."""
    u = np.ascontiguousarray(x).view(U32)
    rounded = (u + ((u >> U32(16) & U32(1)) + U32(0x7FFF)) >> U32(16)).astype(np.uint16)
    return np.where(np.isnan(x), np.uint16(0x7FFF), rounded)


def from_bf16(u):
    return (u.astype(U32) << U32(16)).view(np.float32)


def approximate(name, x):
    """The results of the special function unit, exact up to rounding."""
    d = x.astype(np.float64)
    function = {"ex2": np.exp2, "lg2": np.log2, "sin": np.sin, "cos": np.cos, "tanh": np.tanh}
    if name in function:
        return function[name](d).astype(x.dtype)
    if name == "rsqrt":
        return (1.0 / np.sqrt(d)).astype(x.dtype)
    return (1.0 / d).astype(x.dtype)
