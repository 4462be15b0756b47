"""Encoding as kernels over UTF-8 bytes: find where a word ends, look it up, and merge it if it is new.

**The word table.** Words of at most 15 bytes are looked up by two integers: their bytes, filled up with zeros, and
their length in the last one. So equal keys are equal words. A slot holds both, the number of ids and up to three of
them; more lie in an arena. What was merged is entered; when half of the slots or the arena are full, the table is
emptied. Each part of the work has a table of its own.

**Merging.** The pair with the smallest rank merges, of equal ones the leftmost, until none is left. Up to SHORT bytes
the smallest is searched for: at most n merges of n steps. Longer words have a list of places for each rank, and a
bitmap of the lists that are not empty, three levels of 64, whose uppermost is searched. A merge replaces two pairs at
most, so that a word of n bytes puts fewer than 3 n places on lists; each is taken off once, and is passed over if its
pair has changed since. To put one on a list and to find the smallest rank take a constant number of steps, so all is
O(n), if lists are in the order of places. They are where a rank has one pair that forms in one pass from left to right;
else the list is sorted when its turn comes, and all is O(n log n). That holds where no merge makes a pair of a smaller
rank than its own, as in all vocabularies that were trained. Any other ranks are right too: the list is then left in
the middle for the smaller rank, and sorted again if need be.
"""

import threading
from typing import Any

import numba
import numpy as np
from numba.cpython.unsafe.numbers import trailing_zeros
from numpy.typing import NDArray

from ..kernels.cpu.kernel import Kernel, kernel, primitive, subroutine
from ..kernels.cpu.simd import eight_bytes
from .patterns import Pattern
from .split import CUSTOM, find_cut, word_end
from .tables import NO_PAIR, Ints, Vocabulary, find_token, hash_bytes, ids_of_bytes, pair_table, pair_value

SLOTS = 1 << 16
ARENA = 1 << 17
SHORT = 64
PAD = 4  # ids that a part may write beyond its last
_KEY = 15  # bytes
_PART = 1 << 16  # bytes that are worth a thread
_NONE = -1
_HALF = 0xFFFF_FFFF
_UNSORTED = 1 << 31

# What a part of the work keeps from call to call, in one array: numbers of words and of ids in the arena, room to merge
# a short word, the word table, the arena.
_SCRATCH = 2
_WORDS = _SCRATCH + 5 * (SHORT + 1)
_ARENA = _WORDS + 4 * SLOTS
WORK = _ARENA + ARENA


def queue_size(ranks: int) -> int:
    """Integers of a queue for so many ranks: the lists, then the three levels of the bitmap."""
    return ranks + sum(ranks // 64**level + 1 for level in (1, 2, 3))


@primitive
def _word_key(text, start, size):
    """Bytes start to start + size as two integers, the uppermost byte of which is their number."""
    low, high = np.int64(eight_bytes(text, start)), np.int64(eight_bytes(text, start + 8))
    if size < 8:
        return low & ((1 << 8 * size) - 1), size << 56
    return low, high & ((1 << 8 * (size - 8)) - 1) | size << 56


@primitive
def _first_slot(low, high):
    mixed = (low ^ (high * -7046029254386353131)) * -4417276706812531889
    return (mixed ^ (mixed >> 32)) & (SLOTS - 1)


@primitive
def _enter(work, slot, low, high, out, at, count):
    """Keep the ids of a word for the next time, in the free slot."""
    if work[0] >= SLOTS // 2 or work[1] + count > ARENA:
        work[_WORDS:_ARENA] = 0
        work[0] = work[1] = 0
        slot = _first_slot(low, high)
    place = _WORDS + 4 * slot
    work[place] = low
    work[place + 1] = high
    work[place + 2] = count | np.int64(out[at]) << 32
    if count <= 3:
        work[place + 3] = np.int64(out[at + 1]) | np.int64(out[at + 2]) << 32
    else:
        work[place + 3] = work[1]
        for i in range(count):
            work[_ARENA + work[1] + i] = out[at + i]
        work[1] += count
    work[0] += 1


@subroutine
def _merge_short(out, at, work, text, start, size, byte_ids, pairs):
    """Merge a word of at most SHORT bytes; returns where its ids end in out."""
    ids, made = work[_SCRATCH:], work[_SCRATCH + SHORT + 1 :]
    best = work[_SCRATCH + 2 * (SHORT + 1) :]  # rank << 32 | place of the pair that begins at a place, or NO_PAIR
    before, after = work[_SCRATCH + 3 * (SHORT + 1) :], work[_SCRATCH + 4 * (SHORT + 1) :]
    for i in range(size):
        ids[i] = byte_ids[text[start + i]]
        before[i] = i - 1
        after[i] = i + 1
    best[size - 1] = NO_PAIR
    for i in range(size - 1):
        value = pair_value(pairs, ids[i], ids[i + 1])
        best[i] = value & ~_HALF | i
        made[i] = value & _HALF
    while True:
        lowest = NO_PAIR
        for i in range(size):
            lowest = min(lowest, best[i])
        if lowest >= NO_PAIR & ~_HALF:
            break
        i = lowest & _HALF
        right = after[i]
        following = after[right]
        ids[i] = made[i]
        after[i] = following
        before[following] = i
        best[right] = best[i] = NO_PAIR
        if following < size:
            value = pair_value(pairs, ids[i], ids[following])
            best[i] = value & ~_HALF | i
            made[i] = value & _HALF
        if i > 0:
            first = before[i]
            value = pair_value(pairs, ids[first], ids[i])
            best[first] = value & ~_HALF | first
            made[first] = value & _HALF
    i = 0
    while i < size:
        out[at] = ids[i]
        at += 1
        i = after[i]
    return at


@primitive
def _put(queue, ranks, nodes, n, rank, place):
    """Put a place at the end of the list of a rank, as node n; a list is the nodes of its ends, last << 32 | first."""
    nodes[2 * n] = place
    nodes[2 * n + 1] = 0
    ends = queue[rank]
    if ends:
        last = ends >> 32
        nodes[2 * last + 1] = n
        queue[rank] = n << 32 | ends & _HALF | (_UNSORTED if nodes[2 * last] > place else 0)
        return
    queue[rank] = n << 32 | n
    level = ranks
    for shift in (6, 12, 18):
        word = level + (rank >> shift)
        was = queue[word]
        queue[word] = was | 1 << (rank >> (shift - 6) & 63)
        if was:
            return
        level += (ranks >> shift) + 1


@primitive
def _remove(queue, ranks, rank):
    """Note that the list of a rank is empty."""
    queue[rank] = 0
    level = ranks
    for shift in (6, 12, 18):
        word = level + (rank >> shift)
        queue[word] &= ~(1 << (rank >> (shift - 6) & 63))
        if queue[word]:
            return
        level += (ranks >> shift) + 1


@primitive
def _smallest(queue, ranks):
    """The smallest rank whose list is not empty, or −1."""
    third = ranks + (ranks >> 6) + (ranks >> 12) + 2
    for i in range((ranks >> 18) + 1):
        if queue[third + i]:
            i = i << 6 | trailing_zeros(queue[third + i])
            i = i << 6 | trailing_zeros(queue[ranks + (ranks >> 6) + 1 + i])
            return i << 6 | trailing_zeros(queue[ranks + i])
    return -1


@subroutine
def _sort(queue, nodes, rank):
    """Bring the list of a rank into the order of places."""
    first = queue[rank] & ~_UNSORTED & _HALF
    size, node = 0, first
    while node:
        size += 1
        node = np.int64(nodes[2 * node + 1])
    places = np.empty(size, np.int32)
    node = first
    for i in range(size):
        places[i] = nodes[2 * node]
        node = np.int64(nodes[2 * node + 1])
    places.sort()
    node = first
    for i in range(size):
        nodes[2 * node] = places[i]
        node = np.int64(nodes[2 * node + 1])
    queue[rank] &= ~_UNSORTED


@subroutine
def _merge_long(out, at, queue, ranks, text, start, size, byte_ids, pairs):
    """Merge a word of any size; returns where its ids end in out."""
    cells = np.empty((size + 1, 4), np.int32)  # id, place before, place after, rank of the pair that begins here
    nodes = np.empty(6 * size + 2, np.int32)  # place, next node; node 0 is none
    n = 1
    for i in range(size):
        cells[i, 0] = byte_ids[text[start + i]]
        cells[i, 1] = i - 1
        cells[i, 2] = i + 1
        cells[i, 3] = -1
    for i in range(size - 1):
        value = pair_value(pairs, np.int64(cells[i, 0]), np.int64(cells[i + 1, 0]))
        if value != NO_PAIR:
            cells[i, 3] = value >> 32
            _put(queue, ranks, nodes, n, value >> 32, i)
            n += 1
    while True:
        rank = _smallest(queue, ranks)
        if rank < 0:
            break
        if queue[rank] & _UNSORTED:
            _sort(queue, nodes, rank)
        node, made, lowest = queue[rank] & _HALF, -1, rank
        while node and lowest == rank:
            i = np.int64(nodes[2 * node])
            node = np.int64(nodes[2 * node + 1])
            if cells[i, 3] != rank:
                continue
            right = np.int64(cells[i, 2])
            if made < 0:
                made = pair_value(pairs, np.int64(cells[i, 0]), np.int64(cells[right, 0])) & _HALF
            first, following = np.int64(cells[i, 1]), np.int64(cells[right, 2])
            cells[i, 0] = made
            cells[i, 2] = following
            cells[following, 1] = i
            cells[i, 3] = cells[right, 3] = -1
            if following < size:
                value = pair_value(pairs, made, np.int64(cells[following, 0]))
                if value != NO_PAIR:
                    cells[i, 3] = value >> 32
                    _put(queue, ranks, nodes, n, value >> 32, i)
                    n += 1
                    lowest = min(lowest, value >> 32)
            if first >= 0:
                value = pair_value(pairs, np.int64(cells[first, 0]), made)
                cells[first, 3] = -1
                if value != NO_PAIR:
                    cells[first, 3] = value >> 32
                    _put(queue, ranks, nodes, n, value >> 32, first)
                    n += 1
                    lowest = min(lowest, value >> 32)
        if node:
            queue[rank] = queue[rank] & ~_HALF | node
        else:
            _remove(queue, ranks, rank)
    i = 0
    while i < size:
        out[at] = cells[i, 0]
        at += 1
        i = np.int64(cells[i, 2])
    return at


@subroutine
def _encode_part(
    out,
    at,
    counts,
    work,
    queue,
    text,
    starts,
    fixed,
    first,
    last,
    classes,
    code,
    pairs,
    ranks,
    byte_ids,
    data,
    offsets,
    slots,
    whole_words,
):
    """Encode segments first to last − 1; returns where their ids end in out."""
    for segment in range(first, last):
        begin = at
        if fixed[segment] >= 0:
            out[at] = fixed[segment]
            at += 1
        start, end = starts[segment], starts[segment + 1]
        while start < end and fixed[segment] < 0:
            stop = word_end(text, start, end, classes, code)
            size = stop - start
            slot = low = high = 0
            if size <= _KEY:
                low, high = _word_key(text, start, size)
                slot = _first_slot(low, high)
                place = _WORDS + 4 * slot
                while work[place + 1] and (work[place] != low or work[place + 1] != high):
                    slot = (slot + 1) & (SLOTS - 1)
                    place = _WORDS + 4 * slot
                if work[place + 1]:
                    count = work[place + 2] & _HALF
                    if count <= 3:
                        out[at] = work[place + 2] >> 32
                        out[at + 1] = work[place + 3] & _HALF
                        out[at + 2] = work[place + 3] >> 32
                    else:
                        for i in range(count):
                            out[at + i] = work[_ARENA + work[place + 3] + i]
                    at += count
                    start = stop
                    continue
            token = -1
            if whole_words:
                token = find_token(data, offsets, slots, text, start, stop, hash_bytes(text, start, stop))
            if token >= 0:
                out[at] = token
                after = at + 1
            elif size <= SHORT:
                after = _merge_short(out, at, work, text, start, size, byte_ids, pairs)
            else:
                after = _merge_long(out, at, queue, ranks, text, start, size, byte_ids, pairs)
            if size <= _KEY:
                _enter(work, slot, low, high, out, at, after - at)
            at = after
            start = stop
        counts[segment] = at - begin
    return at


_SIGNATURE = """u4[1] i8[1] i8[2] i8[2] <- u1[1] i8[1] i8[1] i8[1] u1[1] i8 i8[1] i8 i8[1] u1[1] i8[1] i8[1] i8"""


@kernel(_SIGNATURE, parallel=False)
def _encode(
    out,
    counts,
    work,
    queue,
    text,
    starts,
    fixed,
    parts,
    classes,
    code,
    pairs,
    ranks,
    byte_ids,
    data,
    offsets,
    slots,
    whole_words,
):
    _encode_part(
        out,
        0,
        counts,
        work[0],
        queue[0],
        text,
        starts,
        fixed,
        0,
        fixed.size,
        classes,
        code,
        pairs,
        ranks,
        byte_ids,
        data,
        offsets,
        slots,
        whole_words,
    )


@kernel(_SIGNATURE)
def _encode_parts(
    out,
    counts,
    work,
    queue,
    text,
    starts,
    fixed,
    parts,
    classes,
    code,
    pairs,
    ranks,
    byte_ids,
    data,
    offsets,
    slots,
    whole_words,
):
    for part in numba.prange(parts.size - 1):
        at = starts[parts[part]] + PAD * part
        _encode_part(
            out,
            at,
            counts,
            work[part],
            queue[part],
            text,
            starts,
            fixed,
            parts[part],
            parts[part + 1],
            classes,
            code,
            pairs,
            ranks,
            byte_ids,
            data,
            offsets,
            slots,
            whole_words,
        )


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
        ranks = tokens.offsets.size - 1 if merges is None else len(merges)
        pairs, byte_ids = pair_table(tokens, merges), ids_of_bytes(tokens)
        self._tables = (pairs, ranks, byte_ids, *tokens, whole_words)
        self._work, self._queue = np.zeros((1, WORK), np.int64), np.zeros((1, queue_size(ranks)), np.int64)
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
        out = np.empty(data.size + PAD * parts, np.uint32)
        with self._lock:
            if parts == 1:
                counts = np.empty(fixed.size, np.int64)
                self._run(_encode, out, counts, data, cuts, fixed, _ONE_PART, classes)
                return out[: counts.sum()].copy(), counts
            places, cuts, fixed = self._divided(data, cuts, fixed, classes, parts)
            if len(self._work) < parts:
                self._work, self._queue = (np.zeros((parts, a.shape[1]), np.int64) for a in (self._work, self._queue))
            begins = np.array([0, *places + range(1, parts), fixed.size])
            counts = np.empty(fixed.size, np.int64)
            self._run(_encode_parts, out, counts, data, cuts, fixed, begins, classes)
        ends = np.append(0, counts.cumsum())
        sizes = np.diff(ends[begins])
        places_out = cuts[begins[:-1]] + PAD * np.arange(parts)
        ids = np.concatenate([out[at : at + n] for at, n in zip(places_out, sizes, strict=True)])
        return ids, np.diff(np.delete(ends, places + np.arange(1, parts)))

    def one(self, text: bytes) -> NDArray[np.uint32]:
        """The ids of one segment; `text` has 16 bytes more."""
        size = len(text) - 16
        if size >= 2 * _PART or self.pattern.code == CUSTOM:
            return self(text, np.array([0, size]), np.array([-1]))[0]
        out = np.empty(size + PAD, np.uint32)
        data = np.frombuffer(text, np.uint8)
        with self._lock:
            self._cuts[1] = size
            self._run(_encode, out, self._count, data, self._cuts, _TEXT, _ONE_PART, self.pattern.classes(data))
            return out[: self._count[0]].copy()

    def _run(self, kernel: Kernel, *arrays: NDArray[Any]) -> None:
        out, counts, *inputs = arrays
        kernel(out, counts, self._work, self._queue, *inputs, self.pattern.code, *self._tables)

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
