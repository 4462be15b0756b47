"""Encoding as kernels over UTF-8 bytes: find where a word ends, look it up, and merge it if it is new.

**The word table.** Words of at most 128 bytes are looked up by two integers. Of one of at most 15 bytes they are its
bytes, filled up with zeros, and their number; of a longer one a hash, their number, and where its bytes are kept, which
are compared. A slot holds both, the number of ids and up to three of them; more lie in an arena, as the bytes do. What
was merged is entered; when three quarters of the slots or the arena are full, the table is emptied. Each part of the
work has a table of its own.

**Fragments.** No merge reaches over a place that no token reaches over. So a longer word, as of a script without
spaces, falls apart at the beginnings of its characters beyond ASCII which no token joins to what is before them
(`joins.joined`), and its fragments are looked up as words are. They are marked in the key: a whole word may be a token
that merging does not make.

**The worst case.** Splitting reads each byte a few times, and merging a fragment of n bytes is O(n), or O(n log n)
where what comes late decides what becomes of its beginning (`merge.py` has the derivation).
"""

import threading
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from ..kernels.cpu.kernel import Kernel, kernel, primitive, subroutine
from ..kernels.cpu.simd import eight_bytes, elements
from .joins import join_table, joined
from .merge import SCRATCH, merge
from .patterns import Pattern
from .split import CUSTOM, find_cut, word_end
from .tables import Ints, Vocabulary, find_token, hash_bytes, mixed, pair_table, pointers, ranks_of

_SLOTS = 1 << 17  # of the word table
_ARENA = 1 << 18  # ids
_KEY = 15  # bytes that a key holds
_LONGEST = 128  # bytes of a word in the table
_HASHED, _FRAGMENT = 1 << 61, 1 << 60  # in the second integer of a key
_PAD = 4  # ids that are written beyond the last
_PART = 1 << 16  # bytes that are worth a thread
_HALF = 0xFFFF_FFFF

# What a part of the work keeps from call to call is one array: the numbers of words and of ids in the arena, room to
# merge a short word in, the word table, the arena.
_WORDS = 2 + SCRATCH
_IDS = _WORDS + 4 * _SLOTS
_WORK = _IDS + _ARENA


@primitive
def _word_key(text, start, size):
    if size > _KEY:
        low = np.int64(eight_bytes(text, start + size - 8))
        for i in range(0, size - 8, 8):
            low = mixed(low) ^ np.int64(eight_bytes(text, start + i))
        return low, _HASHED | size << 32
    low, high = np.int64(eight_bytes(text, start)), np.int64(eight_bytes(text, start + 8))
    if size < 8:
        return low & ((1 << 8 * size) - 1), size << 56
    return low, high & ((1 << 8 * (size - 8)) - 1) | size << 56


@primitive
def _is_word(work, place, text, start, size, low, high):
    """Whether the slot at `place` holds a word with this key."""
    if work[place] != low:
        return False
    if size <= _KEY:
        return work[place + 1] == high
    kept = _IDS + (work[place + 1] & _HALF)
    same = work[place + 1] >> 32 == high >> 32 and work[kept] == np.int64(eight_bytes(text, start + size - 8))
    for i in range(0, size - 8, 8):
        same = same and work[kept + 1 + (i >> 3)] == np.int64(eight_bytes(text, start + i))
    return same


@primitive
def _fragment_end(text, start, end, joins):
    """The next place in a word where a character beyond ASCII begins that no token joins to what is before it, or its
    end."""
    table, size = joins
    for at in range(start + 3, end):
        if text[at] >= 0xC0 and not joined(table, size, text, at):
            return at
    return end


@primitive
def _look_up(out, at, work, text, start, size, mark):
    """Write the ids of a word, if the table has it; returns where they end, and its key and slot."""
    low, high = _word_key(text, start, size)
    high |= mark
    slot = _first_slot(low, high)
    place = _WORDS + 4 * slot
    while work[place + 1] and not _is_word(work, place, text, start, size, low, high):
        slot = (slot + 1) & (_SLOTS - 1)
        place = _WORDS + 4 * slot
    if work[place + 1]:
        count = work[place + 2] & _HALF
        if count <= 3:
            out[at] = work[place + 2] >> 32
            out[at + 1] = work[place + 3] & _HALF
            out[at + 2] = work[place + 3] >> 32
        else:
            for i in range(count):
                out[at + i] = work[_IDS + work[place + 3] + i]
        at += count
    return at, (low, high, slot)


@primitive
def _first_slot(low, high):
    return mixed(low ^ mixed(high) << 1) & (_SLOTS - 1)


@primitive
def _enter(work, key, text, start, size, out, at, after):
    """Keep the ids of a word for the next time, in the free slot of its key."""
    low, high, slot = key
    count = after - at
    if work[0] >= _SLOTS * 3 // 4 or work[1] + count + _LONGEST // 8 > _ARENA:
        for i in range(_WORDS, _IDS):
            work[i] = 0
        work[0] = work[1] = 0
        slot = _first_slot(low, high)
    place = _WORDS + 4 * slot
    work[place] = low
    work[place + 1] = high
    if size > _KEY:
        work[place + 1] |= work[1]
        work[_IDS + work[1]] = np.int64(eight_bytes(text, start + size - 8))
        work[1] += 1
        for i in range(0, size - 8, 8):
            work[_IDS + work[1]] = np.int64(eight_bytes(text, start + i))
            work[1] += 1
    work[place + 2] = count | np.int64(out[at]) << 32
    if count <= 3:
        work[place + 3] = np.int64(out[at + 1]) | np.int64(out[at + 2]) << 32
    else:
        work[place + 3] = work[1]
        for i in range(count):
            work[_IDS + work[1] + i] = out[at + i]
        work[1] += count
    work[0] += 1


@subroutine
def _encode_fragments(out, at, cells, work, text, start, first, end, joins, pairs, offsets):
    """Encode a word of several fragments, of which the first ends at `first`; returns where its ids end in out."""
    stop, zero = first, np.int64(0)
    while start < end:
        size, after = stop - start, at
        key = zero, zero, zero
        if size <= _LONGEST:
            after, key = _look_up(out, at, work, text, start, size, np.int64(_FRAGMENT))
        if after == at:
            after = merge(out, at, cells, text, start, size, pairs, offsets)
            if size <= _LONGEST:
                _enter(work, key, text, start, size, out, at, after)
        at, start = after, stop
        stop = _fragment_end(text, start, end, joins)
    return at


@subroutine
def _encode_new(out, at, cells, work, key, text, start, end, joins, pairs, tokens, whole_words):
    """Encode a word that the table lacks; returns where its ids end in out."""
    size, token = end - start, np.int64(-1)
    if whole_words:
        token = find_token(tokens, text, start, end, hash_bytes(text, start, end))
    if token >= 0:
        out[at] = token
        after = at + 1
    else:
        first = _fragment_end(text, start, end, joins) if size > _KEY else end
        if first < end:
            return _encode_fragments(out, at, cells, work, text, start, first, end, joins, pairs, tokens[1])
        after = merge(out, at, cells, text, start, size, pairs, tokens[1])
    if size <= _LONGEST:
        _enter(work, key, text, start, size, out, at, after)
    return after


@subroutine
def _encode_segments(out, at, counts, work, text, cuts, fixed, first, last, pattern, joins, pairs, tokens, whole_words):
    """Encode segments first to last − 1; returns where their ids end in out."""
    classes, code = pattern
    _, _, _, byte_ids = pairs
    cells = elements(work[2:])
    out, work, zero = elements(out), elements(work), np.int64(0)
    for segment in range(first, last):
        begin, start, end = at, cuts[segment], cuts[segment + 1]
        if fixed[segment] >= 0:
            out[at] = fixed[segment]
            at, start = at + 1, end
        while start < end:
            stop = word_end(text, start, end, classes, code)
            size = stop - start
            if size == 1:
                out[at] = byte_ids[text[start]]
                after = at + 1
            else:
                after, key = at, (zero, zero, zero)
                if size <= _LONGEST:
                    after, key = _look_up(out, at, work, text, start, size, zero)
                if after == at:
                    after = _encode_new(out, at, cells, work, key, text, start, stop, joins, pairs, tokens, whole_words)
            at, start = after, stop
        counts[segment] = at - begin
    return at


_SIGNATURE = """u4[1] i8[1] i8[2] <- u1[1] i8[1] i8[1] i8[1] u1[1] i8
                i8[1] i8[1] i8[1] i4[1] i4[1] i4[1] u1[1] i8[1] i8[1] i8"""


# fmt: off
@primitive
def _encode_part(out, at, counts, work, text, cuts, fixed, first, last, classes, code,
                 joins, table, present, made, of_bytes, byte_ids, data, offsets, slots, whole_words):
    pairs = ranks_of(table, present), elements(made), elements(of_bytes), elements(byte_ids)
    _encode_segments(out, at, counts, work, elements(text), cuts, fixed, first, last, (elements(classes), code),
                     (elements(joins), joins.size), pairs, pointers(data, offsets, slots), whole_words)


@kernel(_SIGNATURE, parallel=False)
def _encode(out, counts, work, text, cuts, fixed, parts, classes, code,
            joins, table, present, made, of_bytes, byte_ids, data, offsets, slots, whole_words):
    _encode_part(out, np.int64(0), counts, work[0], text, cuts, fixed, np.int64(0), fixed.size, classes, code,
                 joins, table, present, made, of_bytes, byte_ids, data, offsets, slots, whole_words)


@kernel(_SIGNATURE)
def _encode_parts(out, counts, work, text, cuts, fixed, parts, classes, code,
                  joins, table, present, made, of_bytes, byte_ids, data, offsets, slots, whole_words):
    for part in numba.prange(parts.size - 1):
        first, last = parts[part], parts[part + 1]
        at = cuts[first] + _PAD * part
        _encode_part(out, at, counts, work[part], text, cuts, fixed, first, last, classes, code,
                     joins, table, present, made, of_bytes, byte_ids, data, offsets, slots, whole_words)
# fmt: on


_ONE_PART = np.zeros(2, np.int64)
_TEXT = np.array([-1])


class Encoder:
    """Segments of bytes to ids, with the tables of a tokenizer and room to work in for each thread."""

    def __init__(
        self,
        tokens: Vocabulary,
        merges: NDArray[np.int64] | None,
        pattern: Pattern,
        whole_words: bool,
    ) -> None:
        self.pattern = pattern
        pairs = pair_table(tokens, merges)
        self._tables = (join_table(tokens), *pairs, *tokens, whole_words)
        self._work = np.zeros((1, _WORK), np.int64)
        self._cuts, self._count = np.zeros(2, np.int64), np.zeros(1, np.int64)
        self._lock = threading.Lock()

    def __call__(self, text: bytes, cuts: Ints, fixed: Ints) -> tuple[NDArray[np.uint32], Ints]:
        """The ids of all segments, uint32, and their number in each.

        Args:
            text: UTF-8, and 16 bytes more.
            cuts: shape (n + 1,), ascending: segment i is text[cuts[i] : cuts[i + 1]].
            fixed: shape (n,): the id that a segment of at least one byte is, or −1 where it is text.
        """
        data = np.frombuffer(text, np.uint8)
        classes = self._classes(data, cuts, fixed)
        parts = max(1, min(numba.get_num_threads(), data.size // _PART))
        out = np.empty(data.size + _PAD * parts, np.uint32)
        with self._lock:
            if parts == 1:
                counts = np.empty(fixed.size, np.int64)
                self._run(_encode, out, counts, data, cuts, fixed, _ONE_PART, classes)
                return out[: counts.sum()].copy(), counts
            places, cuts, fixed = self._divided(data, cuts, fixed, classes, parts)
            if len(self._work) < parts:
                self._work = np.zeros((parts, _WORK), np.int64)
            begins = np.array([0, *places + range(1, parts), fixed.size])
            counts = np.empty(fixed.size, np.int64)
            self._run(_encode_parts, out, counts, data, cuts, fixed, begins, classes)
        ends = np.append(0, counts.cumsum())
        sizes = np.diff(ends[begins])
        places_out = cuts[begins[:-1]] + _PAD * np.arange(parts)
        ids = np.concatenate([out[at : at + n] for at, n in zip(places_out, sizes, strict=True)])
        return ids, np.diff(np.delete(ends, places + np.arange(1, parts)))

    def one(self, text: bytes) -> NDArray[np.uint32]:
        """The ids of one segment; `text` has 16 bytes more."""
        size = len(text) - 16
        if size >= 2 * _PART or self.pattern.code == CUSTOM:
            return self(text, np.array([0, size]), np.array([-1]))[0]
        out = np.empty(size + _PAD, np.uint32)
        data = np.frombuffer(text, np.uint8)
        with self._lock:
            self._cuts[1] = size
            self._run(_encode, out, self._count, data, self._cuts, _TEXT, _ONE_PART, self.pattern.classes(data))
            return out[: self._count[0]].copy()

    def _run(self, kernel: Kernel, *arrays: NDArray[Any]) -> None:
        out, counts, *inputs = arrays
        kernel(out, counts, self._work, *inputs, self.pattern.code, *self._tables)

    def _divided(
        self, data: NDArray[np.uint8], cuts: Ints, fixed: Ints, classes: NDArray[np.uint8], parts: int
    ) -> tuple[Ints, Ints, Ints]:
        """The segments with parts − 1 more cuts, each of which makes a segment before those at the places returned."""
        targets = cuts[-1] * np.arange(1, parts) // parts
        places = np.searchsorted(cuts, targets, "right") - 1
        found = cuts[places]
        for i, place in enumerate(places):
            if fixed[place] < 0:
                find_cut(found[i : i + 1], data, cuts[place], targets[i], classes, self.pattern.code)
        return places, np.insert(cuts, places + 1, found), np.insert(fixed, places, -1)

    def _classes(self, data: NDArray[np.uint8], cuts: Ints, fixed: Ints) -> NDArray[np.uint8]:
        if self.pattern.code != CUSTOM:
            return self.pattern.classes(data)
        segments = np.split(data[: cuts[-1]], cuts[1:-1])
        return np.concatenate([self.pattern.classes(segment) for segment in segments])
