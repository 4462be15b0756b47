"""Decoding as two kernels: how many bytes the ids take, then eight bytes at a time."""

from array import array

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..kernels.cpu.kernel import kernel
from ..kernels.cpu.simd import eight_bytes, set_eight_bytes

_UNSIGNED = {size: np.dtype(f"u{size}") for size in (1, 2, 4, 8)}


def decode(ids: ArrayLike, data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The bytes of `ids`, integers of shape (T,).

    Args:
        data: the bytes of all tokens, and 8 more.
        offsets: shape (V + 1,): token i is data[offsets[i] : offsets[i + 1]]; none where it is empty.

    Raises:
        TypeError: the ids are not integers.
        ValueError: an id is no token, or the shape is another.
    """
    given = _integers(ids)
    unsigned = np.ascontiguousarray(given).view(_UNSIGNED[given.itemsize])  # what is negative is beyond every id
    size = np.empty(2, np.int64)
    _measure(size, unsigned, offsets)
    if size[1] >= 0:
        wrong, count = given[size[1]], offsets.size - 1
        known = "not in use" if 0 <= wrong < count else f"outside the vocabulary of {count} tokens"
        raise ValueError(f"id {wrong} is {known}")
    out = np.empty(size[0] + 8, np.uint8)
    _copy(out, unsigned, data, offsets)
    return out[:-8]


def _integers(ids: ArrayLike) -> NDArray[np.integer]:
    if type(ids) is list:
        try:
            return np.frombuffer(array("q", ids), np.int64)  # several times as fast as NumPy
        except (TypeError, OverflowError):
            pass  # to be named below
    given = np.asarray(ids)
    if given.ndim != 1:
        raise ValueError(f"ids must have one dimension, got shape {given.shape}")
    if given.size == 0:
        return given.astype(np.int64)
    if given.dtype.kind not in "iu":
        raise TypeError(f"ids must be integers, got {given.dtype}")
    return given.astype(given.dtype.newbyteorder("="), copy=False)


@kernel("i8[1] <- T[1] i8[1]", parallel=False)
def _measure(size, ids, offsets):
    """size: of all tokens, and the place of the first id that is none, or −1."""
    total = 0
    size[1] = -1
    for i in range(ids.size):
        length = 0
        if np.uint64(ids[i]) < np.uint64(offsets.size - 1):
            token = np.int64(ids[i])
            length = offsets[token + 1] - offsets[token]
        if length == 0:
            size[1] = i
            return
        total += length
    size[0] = total


@kernel("u1[1] <- T[1] u1[1] i8[1]", parallel=False)
def _copy(out, ids, data, offsets):
    at = 0
    for i in range(ids.size):
        token = np.int64(ids[i])
        start, end = offsets[token], offsets[token + 1]
        for k in range(0, end - start, 8):
            set_eight_bytes(out, at + k, eight_bytes(data, start + k))
        at += end - start
