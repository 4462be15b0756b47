"""Where no token reaches from one byte to the next, so that merging one side knows nothing of the other."""

import numpy as np

from ..kernels.cpu.kernel import kernel, primitive
from ..kernels.cpu.simd import eight_bytes
from .tables import FREE, Ints, Vocabulary, has, put


def join_table(tokens: Vocabulary) -> Ints:
    """A table of bits, for `joined`: two and three bytes on each side, fewer at an end, of all places inside tokens."""
    joins = np.zeros(tokens.slots.size >> 2, np.int64)
    _fill_joins(joins, *tokens)
    return joins


@primitive
def _around(window, left, right, most):
    """The key of `left` bytes before a place and `right` behind it; `window` begins 3 bytes before it."""
    sides = left << 48 | right << 50 | most << 52
    return window >> 8 * (3 - left) & ((1 << 8 * (left + right)) - 1) | sides


@primitive
def joined(joins, size, text, at):
    """Whether a token may reach from byte at − 1 to byte `at`, as far as three bytes on each side tell; at is over 2.

    False is certain; true may be said of others too, since the table holds hashes. Two bytes are asked about first.
    """
    window = np.int64(eight_bytes(text, at - 3)) & ((1 << 48) - 1)
    for most in range(2, 4):
        found = 0
        for left in range(1, most + 1):
            for right in range(1, most + 1):
                found |= has(joins, size, _around(window, left, right, most))
        if not found:
            return False
    return True


@kernel("i8[1] <- u1[1] i8[1] i8[1]", parallel=False)
def _fill_joins(joins, data, offsets, slots):
    for slot in range(slots.size // 2):
        token = slots[2 * slot + 1]
        if token == FREE:
            continue
        start, end = offsets[token], offsets[token + 1]
        for at in range(start + 1, end):
            window = 0
            for i in range(max(start, at - 3), min(end, at + 3)):
                window |= np.int64(data[i]) << 8 * (i - at + 3)
            for most in range(2, 4):
                put(joins, joins.size, _around(window, min(at - start, most), min(end - at, most), most))
