"""Which pairs of tokens to merge: the most frequent one, again and again.

All distinct words stand one after another in one array, an END before and behind each. A token keeps its id at its
first and at its last byte, so that its neighbours' ids stand beside it, and the lengths of tokens tell where they
begin: a merge writes three numbers. What lies between those two bytes is never read again.

A pair's count grows only in the step that makes the younger of its tokens, and later it can but fall. So each pair
gets its list of places then, once and for all, of which some have gone when its turn comes; all lists together hold
at most three entries a byte. A step costs as much as its pair has places: it merges them, then sums up which tokens
are beside them, and only those sums go into the table of pairs, one entry for each token beside.

The queue is a heap of the pairs that occur at least `floor` times; when it is empty the floor is halved and the table
looked through again. Few pairs ever reach the heap: most are too rare to be merged.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..kernels.cpu.kernel import kernel, primitive, subroutine
from ..kernels.cpu.simd import elements
from .count import Words
from .words import BYTES

Pair = tuple[int, int]
Progress = Callable[[int, int], None]

END = -1  # beside words, and where a token was that is now part of another
_FREE = -1
_KEY, _COUNT, _START, _LENGTH = range(4)  # of a pair: left << 32 | right, and where its list of places is
_DONE, _FILLED, _USED, _QUEUED, _FLOOR, _FULL = range(6)  # merges, of `places`, of `pairs`, of `queue`, -, whether
_STEPS = 256  # merges between two calls of `progress`
_BYTE_IDS = np.argsort(np.frombuffer(BYTES, np.uint8)).astype(np.int32)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # odd: 2⁶⁴ over the golden ratio


def learn_merges(
    words: Words,
    n_merges: int,
    *,
    min_frequency: int = 1,
    max_token_length: int = 1 << 16,
    progress: Progress | None = None,
) -> NDArray[np.int64]:
    """At most `n_merges` pairs of ids, shape (M, 2), in the order of merging; merge m makes the id 256 + m.

    The most frequent pair comes first, of equally frequent ones the smallest pair of ids. There are fewer when every
    word has become one token, or no pair that may be merged occurs `min_frequency` times. No two merges make the same
    bytes: wherever these stand between ends of tokens, they have been merged in the same way.
    """
    counts, word, ids = words.laid_out(_BYTE_IDS, END)
    merges = np.empty((n_merges, 2), np.int64)
    lengths = np.ones(256 + n_merges, np.int64)
    beside = np.zeros((2, 256 + n_merges, 2), np.int64)
    places = np.empty(3 * ids.size, np.uint32)  # what is never written takes no memory
    state = np.zeros(6, np.int64)
    pairs = _table(min(ids.size, 1 << 16), 0)
    _begin(places, pairs, state, ids, word, counts)
    queue = np.empty((_most(pairs), 2), np.int64)
    limits = max_token_length, min_frequency
    while True:
        goal = min(n_merges, int(state[_DONE]) + _STEPS)
        _merge(merges, lengths, ids, places, pairs, queue, beside, state, word, counts, goal, *limits)
        done = int(state[_DONE])
        if state[_FULL]:
            old, pairs = pairs, _table(int((pairs[:, _COUNT] > 0).sum()), 2 * (256 + done))
            _refill(pairs, state, old)
            queue = np.empty((_most(pairs), 2), np.int64)
            continue
        if progress:
            progress(done, n_merges)
        if done < goal or done == n_merges:
            return merges[:done]


def _table(pairs: int, more: int) -> NDArray[np.int64]:
    """An empty table for so many pairs and more."""
    return np.full((1 << (2 * (pairs + more)).bit_length(), 4), _FREE, np.int64)


def _most(pairs: NDArray[np.int64]) -> int:
    return pairs.shape[0] * 2 // 3


@primitive
def _slot(pairs, last, key):
    """Where the slot of a pair begins, or of the free one where it belongs; the last slot begins at `last`."""
    at = np.int64(np.uint64(key) * _SPREAD >> np.uint64(32)) & last
    while pairs[at + _KEY] != key and pairs[at + _KEY] != _FREE:
        at = (at + 4) & last
    return at


@primitive
def _before(queue, i, j):
    if queue[2 * i + 1] != queue[2 * j + 1]:
        return queue[2 * i + 1] > queue[2 * j + 1]
    return queue[2 * i] < queue[2 * j]


@primitive
def _swap(queue, i, j):
    for column in range(2):
        kept = queue[2 * i + column]
        queue[2 * i + column] = queue[2 * j + column]
        queue[2 * j + column] = kept


@subroutine
def _push(queue, size, key, count):
    queue[2 * size], queue[2 * size + 1] = key, count
    at = size
    while at > 0 and _before(queue, at, (at - 1) >> 1):
        _swap(queue, at, (at - 1) >> 1)
        at = (at - 1) >> 1


@subroutine
def _sink(queue, size):
    """Put the first of a heap in its place."""
    at = np.int64(0)
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and _before(queue, child + 1, child):
            child += 1
        if not _before(queue, child, at):
            break
        _swap(queue, at, child)
        at = child


@kernel("u4[1] i8[2] i8[1] <- i4[1] u4[1] i8[1]", parallel=False)
def _begin(places, pairs, state, ids, word, counts):
    """Count the pairs of bytes and list their places, in ascending order."""
    total, length = np.zeros(1 << 16, np.int64), np.zeros(1 << 16, np.int64)
    for place in range(ids.size - 1):
        if ids[place] >= 0 and ids[place + 1] >= 0:
            pair = ids[place] << 8 | ids[place + 1]
            total[pair] += counts[word[place]]
            length[pair] += 1
    start = used = 0
    table, last = elements(pairs), 4 * (pairs.shape[0] - 1)
    for pair in range(1 << 16):
        if length[pair]:
            key = np.int64(pair >> 8) << 32 | (pair & 0xFF)
            at = _slot(table, last, key)
            table[at + _KEY], table[at + _COUNT] = key, total[pair]
            table[at + _START], table[at + _LENGTH] = start, length[pair]
            used += 1
            start, length[pair] = start + length[pair], start
    for place in range(ids.size - 1):
        if ids[place] >= 0 and ids[place + 1] >= 0:
            pair = ids[place] << 8 | ids[place + 1]
            places[length[pair]] = place
            length[pair] += 1
    state[_FILLED], state[_USED], state[_FLOOR] = start, used, np.iinfo(np.int64).max


@kernel("i8[2] i8[1] <- i8[2]", parallel=False)
def _refill(pairs, state, old):
    """Take over the pairs that still occur; the queue starts afresh, with the same floor."""
    used = 0
    table, last = elements(pairs), 4 * (pairs.shape[0] - 1)
    for i in range(old.shape[0]):
        if old[i, _COUNT] > 0:
            at = _slot(table, last, old[i, _KEY])
            for column in range(4):
                table[at + column] = old[i, column]
            used += 1
    state[_USED], state[_FULL], state[_QUEUED], state[_FLOOR] = used, 0, 0, 2 * state[_FLOOR] + 1


@subroutine
def _look_through(pairs, last, queue, floor, least):
    """Fill the empty queue with the pairs that occur at least `floor` times, or half as often, and so on."""
    size = np.int64(0)
    while floor > least and size == 0:
        most = np.int64(0)
        for at in range(0, last + 4, 4):
            most = max(most, pairs[at + _COUNT])
        floor = max(min(floor - 1, most) >> 1, least)
        for at in range(0, last + 4, 4):
            if pairs[at + _COUNT] >= floor:
                _push(queue, size, pairs[at + _KEY], pairs[at + _COUNT])
                size += 1
    return size, floor


@subroutine
def _join(ids, places, lengths, start, length, left, right, new):
    """Merge the pair wherever it is, from left to right; its list then holds only these places. How many?"""
    joined = 0
    for i in range(start, start + length):
        place = np.int64(places[i])
        second = place + lengths[left]
        if ids[place] == left and ids[second] == right:
            ids[second] = END
            ids[place] = ids[second + lengths[right] - 1] = new
            places[start + joined] = place
            joined += 1
    return joined


@kernel("i8[2] i8[1] i4[1] u4[1] i8[2] i8[2] i8[3] i8[1] <- u4[1] i8[1] i8 i8 i8", parallel=False)
def _merge(merges, lengths, ids, places, pairs, queue, beside, state, word, counts, goal, longest, least):
    """Merge until there are `goal` merges, nothing is left to merge, or `pairs` may become too full.

    beside[0, i] is of a token i that stands left of what was merged, beside[1, i] right of it: how often in all, and
    at how many places, then where the next of these goes in the new pair's list.
    """
    done, filled, used, size, floor = state[0], state[1], state[2], state[3], state[4]
    table, last, heap = elements(pairs), 4 * (pairs.shape[0] - 1), elements(queue)
    touched = np.empty(2 * (256 + goal), np.int64)
    while done < goal:
        if size == 0:
            size, floor = _look_through(table, last, heap, floor, max(least, 1))
            if size == 0:
                break
        key = heap[0]
        top = _slot(table, last, key)
        count = table[top + _COUNT] if table[top + _KEY] == key else 0
        stale = count != heap[1]
        if not stale and used + 2 * min(table[top + _LENGTH], 256 + done) > queue.shape[0]:
            state[_FULL] = 1
            break
        if stale and count >= floor:
            heap[1] = count
            _sink(heap, size)
            continue
        size -= 1
        heap[0], heap[1] = heap[2 * size], heap[2 * size + 1]
        _sink(heap, size)
        if stale:
            continue

        left, right, new = key >> 32, key & 0xFFFFFFFF, 256 + done
        merges[done, 0], merges[done, 1] = left, right
        lengths[new] = lengths[left] + lengths[right]
        start = table[top + _START]
        joined = _join(
            elements(ids), elements(places), elements(lengths), start, table[top + _LENGTH], left, right, new
        )
        table[top + _COUNT] = 0
        done += 1

        n_touched = 0
        for i in range(start, start + joined):
            place = np.int64(places[i])
            times = counts[word[place]]
            for side in range(2):
                other = ids[place + lengths[new]] if side else ids[place - 1]
                if other >= 0 and (side or other != new):
                    if beside[side, other, 1] == 0:
                        touched[n_touched] = side << 32 | other
                        n_touched += 1
                    beside[side, other, 0] += times
                    beside[side, other, 1] += 1

        for i in range(n_touched):
            side, other = touched[i] >> 32, touched[i] & 0xFFFFFFFF
            times, length = beside[side, other, 0], beside[side, other, 1]
            beside[side, other, 0], beside[side, other, 1] = 0, -1
            old = right << 32 | (left if other == new else other) if side else other << 32 | left
            at = _slot(table, last, old)
            if table[at + _KEY] == old:
                table[at + _COUNT] -= times
            if lengths[other] + lengths[new] <= longest and times >= least:
                key = new << 32 | other if side else other << 32 | new
                at = _slot(table, last, key)
                table[at + _KEY], table[at + _COUNT] = key, times
                table[at + _START], table[at + _LENGTH] = filled, length
                beside[side, other, 1] = filled
                filled += length
                used += 1
                if times >= floor:
                    _push(heap, size, key, times)
                    size += 1

        for i in range(start, start + joined):
            place = np.int64(places[i])
            for side in range(2):
                other = ids[place + lengths[new]] if side else ids[place - 1]
                if other >= 0 and (side or other != new) and beside[side, other, 1] >= 0:
                    places[beside[side, other, 1]] = place if side else place - lengths[other]
                    beside[side, other, 1] += 1
        for i in range(n_touched):
            beside[touched[i] >> 32, touched[i] & 0xFFFFFFFF, 1] = 0
    state[0], state[1], state[2], state[3], state[4] = done, filled, used, size, floor
