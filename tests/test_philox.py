"""Philox 4x32-10 against the answers that its authors publish (Random123, kat_vectors)."""

import numpy as np
import pytest

from octavo.kernels.ops.philox import philox, words

ONES = 0xFFFFFFFF
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_known_answers(counter, key, expected):
    assert tuple(map(int, philox(counter, key[0] | key[1] << 32))) == expected


def test_words_are_those_of_their_counters():
    rows = words(5, seed=7 << 40, stream=ONES, offset=9)
    for i, row in enumerate(rows):
        assert row.tolist() == [int(w) for w in philox((i, 0, 9, ONES), 7 << 40)]


def test_words_are_spread_evenly():
    u = words(4096, seed=3, stream=0, offset=0) * 2.0**-32
    counts = np.histogram(u, bins=16, range=(0, 1))[0]
    assert ((counts - 1024) ** 2 / 1024).sum() < 38  # chi-squared, 15 degrees of freedom: one seed in a thousand
