"""Philox 4x32-10: random words as a function of a counter and a key, so that any of them can be had in any order.

Source: Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3 (2011), section 3.3 and Table 2.
"""

from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np

from ..signature import Interval

Seed = Annotated[int, Interval(0, 2**64, open="high")]
Word = Annotated[int, Interval(0, 2**32, open="high")]

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
_MASK, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def philox(counter: tuple[Any, Any, Any, Any], seed: int) -> tuple[np.ndarray, ...]:
    """Four random words, uint64 below 2**32, for each counter of four such words (arrays that broadcast)."""
    c = [np.asarray(word, np.uint64) for word in counter]
    m0, m1 = map(np.uint64, MULTIPLIERS)
    for k0, k1 in _round_keys(seed):
        p0, p1 = m0 * c[0], m1 * c[2]
        c = [(p1 >> _HALF) ^ c[1] ^ k0, p1 & _MASK, (p0 >> _HALF) ^ c[3] ^ k1, p0 & _MASK]
    return tuple(c)


def _round_keys(seed: int) -> Iterator[tuple[np.uint64, np.uint64]]:
    low, high = int(seed) & 0xFFFFFFFF, int(seed) >> 32
    for r in range(ROUNDS):
        yield np.uint64((low + r * KEY_STEPS[0]) & 0xFFFFFFFF), np.uint64((high + r * KEY_STEPS[1]) & 0xFFFFFFFF)


def words(count: int, seed: int, stream: int, offset: int) -> np.ndarray:
    """(count, 4) random words: row i is that of counter (i low, i high, offset, stream)."""
    i = np.arange(count, dtype=np.uint64)
    return np.stack(philox((i & _MASK, i >> _HALF, offset, stream), seed), 1)
