"""Philox 4x32-10 for kernels: see ops/philox.py. Words are held in uint64, which their products need."""

import numpy as np

from ..ops.philox import KEY_STEPS, MULTIPLIERS, ROUNDS
from .kernel import primitive

_M0, _M1 = map(np.uint64, MULTIPLIERS)
_STEP0, _STEP1 = map(np.uint64, KEY_STEPS)
_MASK, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


@primitive
def philox(index, seed, stream, offset):
    """The four words of counter (index low, index high, offset, stream) under the key `seed`; all uint64."""
    c0, c1, c2, c3 = index & _MASK, index >> _HALF, offset, stream
    k0, k1 = seed & _MASK, seed >> _HALF
    for _ in range(ROUNDS):
        p0, p1 = _M0 * c0, _M1 * c2
        c0, c1, c2, c3 = (p1 >> _HALF) ^ c1 ^ k0, p1 & _MASK, (p0 >> _HALF) ^ c3 ^ k1, p0 & _MASK
        k0, k1 = (k0 + _STEP0) & _MASK, (k1 + _STEP1) & _MASK
    return c0, c1, c2, c3
