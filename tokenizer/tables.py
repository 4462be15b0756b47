"""The tables of a vocabulary: bytes to id, and pair of ids to rank.

Both are open addressing with linear probing in a flat array of int64, at most half full; FREE stands in a slot
that is not in use. The hash and the id of a token take two integers. A pair and its rank take one, as looking up pairs
is what merging spends its time with.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels.cpu.kernel import kernel, primitive
from ..kernels.cpu.simd import elements

FREE = -1
_ID_BITS, _RANK_BITS = 20, 22  # an entry of the table of pairs: left, right, rank
NO_RANK = 1 << _RANK_BITS  # of what does not merge: above all others
_SPREAD = np.uint64(0x9E37_79B9_7F4A_7C15)  # odd, 2⁶⁴ over the golden ratio
_BASE = np.uint64(0x1000_0000_01B3)  # odd too; of the polynomial that hashes bytes, modulo 2⁶⁴
_INVERSE = np.uint64(pow(int(_BASE), -1, 1 << 64))


Ints = NDArray[np.int64]


class Vocabulary(NamedTuple):
    """The tokens, laid out for kernels.

    Attributes:
        data: uint8, the bytes of all tokens, one after another.
        offsets: int64, shape (V + 1,): token i is data[offsets[i] : offsets[i + 1]].
        slots: int64: hash and id of every token that text may become (not of gaps and special tokens).
    """

    data: NDArray[np.uint8]
    offsets: Ints
    slots: Ints


def vocabulary(data: NDArray[np.uint8], offsets: Ints, ids: Ints) -> Vocabulary:
    """The table of the tokens `ids`, shape (n,).

    Raises:
        ValueError: two of them have the same bytes, or a byte is missing.
    """
    slots, twins = _empty(2 * ids.size), np.empty(2, np.int64)
    _fill_slots(slots, twins, data, offsets, ids)
    if twins[0] >= 0:
        first, second = sorted(twins.tolist())
        token = data[offsets[first] : offsets[first + 1]].tobytes()
        raise ValueError(f"tokens {first} and {second} are both {token!r:.80}; every id needs bytes of its own")
    found = Vocabulary(data, offsets, slots)
    missing = np.flatnonzero(_ids_of_bytes(found) < 0)
    if missing.size:
        raise ValueError(
            f"{missing.size} of the 256 bytes are no tokens, the first is {bytes(missing[:1].tolist())!r}; "
            "without them there are texts that cannot be encoded"
        )
    return found


class Pairs(NamedTuple):
    """The pairs that merge.

    Attributes:
        table: int64, left << 42 | right << 22 | rank.
        present: a table of bits, small enough for a near cache: where that of a pair is 0, it does not merge.
        made: int32, by rank: the id that such a pair becomes.
        of_bytes: int32, by first byte << 8 | second: the rank of two bytes' ids, or NO_RANK.
        ids: int32, by byte: its id.
    """

    table: Ints
    present: Ints
    made: NDArray[np.int32]
    of_bytes: NDArray[np.int32]
    ids: NDArray[np.int32]


def pair_table(tokens: Vocabulary, merges: Ints | None) -> Pairs:
    """The tables of the pairs that merge.

    Args:
        merges: shape (M, 2); the rank of a pair is its row. None: any two tokens merge whose bytes together are a
            token, and the rank is its id.

    Raises:
        ValueError: a merge names an id that is no token, makes no token, or comes twice.
    """
    if tokens.offsets.size > 1 << _ID_BITS or (merges is not None and len(merges) > NO_RANK):
        raise ValueError(f"a vocabulary may have {(1 << _ID_BITS) - 1} tokens and {NO_RANK} merges, not more")
    if merges is None:
        rows = np.empty((int(np.maximum(np.diff(tokens.offsets) - 1, 0).sum()), 3), np.int64)
        count = np.empty(1, np.int64)
        _find_splits(rows, count, *tokens)
        left, right, ranks = rows[: count[0]].T.copy()
        made = np.arange(tokens.offsets.size - 1)
    else:
        left, right = np.ascontiguousarray(merges.T)
        made, ranks = _made(tokens, left, right), np.arange(left.size)
    table, twins = _empty(left.size), np.empty(2, np.int64)
    present = np.zeros(max(table.size // 16, 1), np.int64)
    _fill_pairs(table, present, twins, left, right, ranks)
    if twins[0] >= 0:
        raise ValueError(f"merge {twins[1]} joins the same ids as merge {twins[0]}")
    ids, of_bytes = _ids_of_bytes(tokens), np.empty(1 << 16, np.int32)
    _fill_pairs_of_bytes(of_bytes, table, present, ids)
    return Pairs(table, present, made.astype(np.int32), of_bytes, ids.astype(np.int32))


def _made(tokens: Vocabulary, left: Ints, right: Ints) -> Ints:
    """The ids of the tokens that pairs make."""
    size = tokens.offsets.size - 1
    lengths = np.diff(tokens.offsets)
    wrong = (np.minimum(left, right) < 0) | (np.maximum(left, right) >= size)
    if not wrong.any():
        wrong = (lengths[left] == 0) | (lengths[right] == 0)
    if wrong.any():
        m = int(wrong.argmax())
        raise ValueError(f"merge {m} joins ids {left[m]} and {right[m]}, not both of which are tokens")
    made = np.empty(left.size, np.int64)
    joined = np.empty(int((lengths[left] + lengths[right]).max(initial=0)), np.uint8)
    _find_joined(made, joined, *tokens, left, right)
    if (made < 0).any():
        m = int((made < 0).argmax())
        token = b"".join(tokens.data[tokens.offsets[i] : tokens.offsets[i + 1]].tobytes() for i in (left[m], right[m]))
        raise ValueError(f"merge {m} makes {token!r:.80}, which is no token")
    return made


def _ids_of_bytes(tokens: Vocabulary) -> Ints:
    """The ids of the 256 bytes."""
    ids = np.empty(256, np.int64)
    _find(ids, *tokens, np.arange(256, dtype=np.uint8), np.arange(257))
    return ids


def _empty(entries: int) -> Ints:
    """A table for so many entries of one integer."""
    return np.full(2 << max(entries - 1, 1).bit_length(), FREE, np.int64)


@primitive
def mixed(key):
    """62 bits, each of which depends on many of a key; unsigned, as a signed product must not overflow."""
    product = np.uint64(key) * _SPREAD
    return np.int64((product ^ product >> np.uint64(32)) & np.uint64((1 << 62) - 1))


@primitive
def slot_of(key, slots):
    """The slot of so many where the search for a key begins; a power of two."""
    return mixed(key) & (slots - 1)


@primitive
def next_slot(slot, slots):
    return (slot + 1) & (slots - 1)


@primitive
def _bit(key, size):
    """The place of a key in a table of bits, `size` integers."""
    return mixed(key) >> 10 & (64 * size - 1)


@primitive
def has(bits, size, key):
    """1 if the key was put into a table of bits, and sometimes, since it holds hashes, if not."""
    at = _bit(key, size)
    return bits[at >> 6] >> (at & 63) & 1


@primitive
def put(bits, size, key):
    at = _bit(key, size)
    bits[at >> 6] |= 1 << (at & 63)


@primitive
def ranks_of(table, present):
    """The table of pairs as helpers take it: pointers, each with a size."""
    return elements(table), table.size, elements(present), present.size


@primitive
def pair_rank(ranks, left, right):
    """The rank of a pair, or NO_RANK; ranks: see `ranks_of`."""
    table, slots, present, size = ranks
    key = left << (_ID_BITS + _RANK_BITS) | right << _RANK_BITS
    if not has(present, size, key):
        return NO_RANK
    slot = slot_of(key, slots)
    while True:
        entry = table[slot]
        if entry == FREE:
            return NO_RANK
        if (entry ^ key) & -NO_RANK == 0:
            return entry & (NO_RANK - 1)
        slot = next_slot(slot, slots)


@primitive
def hash_bytes(data, start, end):
    """Σ (byte + 1) · _BASE^(end − 1 − place) modulo 2⁶⁴."""
    value = np.uint64(0)
    for i in range(start, end):
        value = value * _BASE + np.uint64(data[i] + 1)
    return np.int64(value)


@primitive
def pointers(data, offsets, slots):
    """A vocabulary as helpers take it: pointers to its parts, and the number of slots."""
    return elements(data), elements(offsets), elements(slots), slots.size // 2


@primitive
def find_token(tokens, text, start, end, hashed):
    """The id of the token text[start:end], whose hash is given, or −1; tokens: see `pointers`."""
    data, offsets, slots, size = tokens
    slot = slot_of(hashed, size)
    while slots[2 * slot + 1] != FREE:
        if slots[2 * slot] == hashed:
            token = slots[2 * slot + 1]
            first = offsets[token]
            length = offsets[token + 1] - first
            same = 0
            while same < length and length == end - start and data[first + same] == text[start + same]:
                same += 1
            if same == end - start == length:
                return token
        slot = next_slot(slot, size)
    return -1


@kernel("i8[1] i8[1] <- u1[1] i8[1] i8[1]", parallel=False)
def _fill_slots(slots, twins, data, offsets, ids):
    twins[0] = -1
    tokens = pointers(data, offsets, slots)
    text = tokens[0]
    for i in range(ids.size):
        start, end = offsets[ids[i]], offsets[ids[i] + 1]
        hashed = hash_bytes(text, start, end)
        twin = find_token(tokens, text, start, end, hashed)
        if twin >= 0:
            twins[0] = twin
            twins[1] = ids[i]
            return
        slot = slot_of(hashed, slots.size // 2)
        while slots[2 * slot + 1] != FREE:
            slot = next_slot(slot, slots.size // 2)
        slots[2 * slot] = hashed
        slots[2 * slot + 1] = ids[i]


@kernel("i8[1] <- u1[1] i8[1] i8[1] u1[1] i8[1]", parallel=False)
def _find(ids, data, offsets, slots, text, cuts):
    tokens, text = pointers(data, offsets, slots), elements(text)
    for i in range(ids.size):
        hashed = hash_bytes(text, cuts[i], cuts[i + 1])
        ids[i] = find_token(tokens, text, cuts[i], cuts[i + 1], hashed)


@kernel("i8[1] u1[1] <- u1[1] i8[1] i8[1] i8[1] i8[1]", parallel=False)
def _find_joined(made, joined, data, offsets, slots, left, right):
    tokens, text = pointers(data, offsets, slots), elements(joined)
    for m in range(made.size):
        size = 0
        for i in range(offsets[left[m]], offsets[left[m] + 1]):
            joined[size] = data[i]
            size += 1
        for i in range(offsets[right[m]], offsets[right[m] + 1]):
            joined[size] = data[i]
            size += 1
        made[m] = find_token(tokens, text, 0, size, hash_bytes(text, 0, size))


@kernel("i8[2] i8[1] <- u1[1] i8[1] i8[1]", parallel=False)
def _find_splits(rows, count, data, offsets, slots):
    """Every way to make a token of two: left, right, token.

    Where all n bytes have the hash h and the first k have p, the others have h − p · _BASE^(n − k): so hashing all
    parts of a token takes O(n).
    """
    n = 0
    tokens = pointers(data, offsets, slots)
    text = tokens[0]
    for at in range(slots.size // 2):
        token = slots[2 * at + 1]
        if token == FREE:
            continue
        start, end = offsets[token], offsets[token + 1]
        prefix, power = np.uint64(0), np.uint64(1)
        for _ in range(start, end):
            power *= _BASE
        for cut in range(start + 1, end):
            prefix = prefix * _BASE + np.uint64(data[cut - 1] + 1)
            power *= _INVERSE
            left = find_token(tokens, text, start, cut, np.int64(prefix))
            if left < 0:
                continue
            rest = np.int64(np.uint64(slots[2 * at]) - prefix * power)
            right = find_token(tokens, text, cut, end, rest)
            if right >= 0:
                rows[n, 0], rows[n, 1], rows[n, 2] = left, right, token
                n += 1
    count[0] = n


@kernel("i8[1] i8[1] i8[1] <- i8[1] i8[1] i8[1]", parallel=False)
def _fill_pairs(table, present, twins, left, right, ranks):
    twins[0] = -1
    known = ranks_of(table, present)
    for i in range(ranks.size):
        twin = pair_rank(known, left[i], right[i])
        if twin != NO_RANK:
            twins[0] = twin
            twins[1] = i
            return
        key = left[i] << (_ID_BITS + _RANK_BITS) | right[i] << _RANK_BITS
        slot = slot_of(key, table.size)
        while table[slot] != FREE:
            slot = next_slot(slot, table.size)
        table[slot] = key | ranks[i]
        put(present, present.size, key)


@kernel("i4[1] <- i8[1] i8[1] i8[1]", parallel=False)
def _fill_pairs_of_bytes(ranks, table, present, ids):
    known = ranks_of(table, present)
    for i in range(ranks.size):
        ranks[i] = pair_rank(known, ids[i >> 8], ids[i & 0xFF])
