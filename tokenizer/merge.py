"""Merging a word: the pair with the smallest rank becomes one, of equal ones the leftmost, until none is left.

**A window** of at most SHORT bytes takes at most so many merges, and in each the smallest rank is searched for. A
larger one of n bytes has a heap of its pairs; a merge makes two new ones at most, so that fewer than 3 n ever enter it,
and each leaves it once: O(n log n).

**A word** is merged in windows that overlap. Two tokens are *settled* if merging the bytes of both gives them again. A
word's tokens are its own if and only if all neighbours among them are settled: what would merge across a boundary first
has the smallest rank among the pairs of the two tokens beside it too, and would have merged across it there. So all
neighbours in what a window becomes are settled, and if the next window begins where a token begins and with the same
token, so are all of both. If it does not, windows become as many bytes as their square, which may mean to begin anew.
A word of n bytes is gone through once for each size, and the logarithm of the size doubles: O(n) if windows stay small,
as they do but for tokens that long, and O(n log n) at worst. Ranks may be any, and need not be those of a training. A
window of the same bytes as the one before becomes the same tokens: runs, as of one character, need not be merged.
"""

import numpy as np

from ..kernels.cpu.kernel import primitive, subroutine
from ..kernels.cpu.simd import elements
from .tables import NO_RANK, pair_rank

SHORT = 64  # bytes
SCRATCH = 4 * (SHORT + 1)  # integers, to merge a window of at most SHORT bytes in
_HALF = 0xFFFF_FFFF
_NO_PAIR = NO_RANK << 32

# A window of n bytes is four rows of n + 1 integers, by place: rank << 32 | place of the pair that begins here, the
# token's id, the place before, the place after.


@primitive
def _begin(cells, row, text, start, size, pairs):
    """One token a byte."""
    _, _, of_bytes, byte_ids = pairs
    for i in range(size):
        first = np.int64(text[start + i])
        cells[i] = np.int64(of_bytes[first << 8 | text[start + i + 1]]) << 32 | i
        cells[row + i] = byte_ids[first]
        cells[2 * row + i] = i - 1
        cells[3 * row + i] = i + 1
    cells[size - 1] = _NO_PAIR


@primitive
def _join(cells, row, size, pair, pairs):
    """Merge a pair; returns the place before it, or −1."""
    known, made, _, _ = pairs
    i = pair & _HALF
    right, first = cells[3 * row + i], cells[2 * row + i]
    following = cells[3 * row + right]
    new = np.int64(made[pair >> 32])
    cells[row + i] = new
    cells[3 * row + i] = following
    cells[2 * row + following] = i
    cells[right] = cells[i] = _NO_PAIR
    if following < size:
        cells[i] = pair_rank(known, new, cells[row + following]) << 32 | i
    if first >= 0:
        cells[first] = pair_rank(known, cells[row + first], new) << 32 | first
    return first


@primitive
def _end(out, at, cells, row, size):
    """Write the ids; returns where they end."""
    i = np.int64(0)
    while i < size:
        out[at] = cells[row + i]
        at += 1
        i = cells[3 * row + i]
    return at


@subroutine
def _merge_short(out, at, cells, text, start, size, pairs):
    row = np.int64(SHORT + 1)
    _begin(cells, row, text, start, size, pairs)
    while True:
        lowest = _NO_PAIR
        for i in range(size):
            lowest = min(lowest, cells[i])
        if lowest >= _NO_PAIR:
            return _end(out, at, cells, row, size)
        _join(cells, row, size, lowest, pairs)


@primitive
def _push(heap, count, pair):
    at = count
    while at > 0 and heap[(at - 1) >> 1] > pair:
        heap[at] = heap[(at - 1) >> 1]
        at = (at - 1) >> 1
    heap[at] = pair
    return count + 1


@primitive
def _pop(heap, count):
    """Take the smallest away; returns how many are left."""
    count -= 1
    pair, at = heap[count], np.int64(0)
    while 2 * at + 1 < count:
        child = 2 * at + 1
        child += np.int64(child + 1 < count and heap[child + 1] < heap[child])
        if heap[child] >= pair:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = pair
    return count


@subroutine
def _merge_long(out, at, text, start, size, pairs):
    row = size + 1
    own, room = np.empty(4 * row, np.int64), np.empty(3 * size, np.int64)
    cells, heap = elements(own), elements(room)
    _begin(cells, row, text, start, size, pairs)
    count = np.int64(0)
    for i in range(size):
        if cells[i] < _NO_PAIR:
            count = _push(heap, count, cells[i])
    while count:
        pair = heap[0]
        count = _pop(heap, count)
        if cells[pair & _HALF] != pair:
            continue  # it has changed since
        first = _join(cells, row, size, pair, pairs)
        if cells[pair & _HALF] < _NO_PAIR:
            count = _push(heap, count, cells[pair & _HALF])
        if first >= 0 and cells[first] < _NO_PAIR:
            count = _push(heap, count, cells[first])
    after = _end(out, at, cells, row, size)
    return after + own.size - 4 * row  # which keeps the memory alive until here


@primitive
def _merge_window(out, at, cells, text, start, size, pairs):
    if size <= SHORT:
        return _merge_short(out, at, cells, text, start, size, pairs)
    return _merge_long(out, at, text, start, size, pairs)


@primitive
def _repeats(text, start, place, window, end):
    """How often the bytes from `start` to `place` come again before a window that is as the one from `start`."""
    same = np.int64(0)
    while place + same < end and text[place + same] == text[start + same]:
        same += 1
    return (same - window) // (place - start) + 1 if same >= window else 0


@primitive
def _repeat(out, at, cut, after, more):
    """Insert `more` ids in front of out[cut:after], those from `at` to `cut` again and again."""
    for i in range(after - 1, cut - 1, -1):
        out[i + more] = out[i]
    for i in range(cut, cut + more):
        out[i] = out[i - cut + at]


@subroutine
def merge(out, at, cells, text, start, size, pairs, offsets):
    """Merge a word; returns where its ids end in out.

    Args:
        cells: int64, SCRATCH of them.
        offsets: token i has offsets[i + 1] − offsets[i] bytes.
    """
    if size <= SHORT:
        return _merge_short(out, at, cells, text, start, size, pairs)
    end, window, origin = start + size, np.int64(SHORT), (at, start)
    after = _merge_short(out, at, cells, text, start, window, pairs)
    while start + window < end:
        cut, place, token = at, start, np.int64(out[at])
        while place + offsets[token + 1] - offsets[token] <= start + window - window // 4:
            place += offsets[token + 1] - offsets[token]
            cut += 1
            token = np.int64(out[cut])
        repeats = np.int64(0)
        if cut > at and out[at] == token:
            repeats = _repeats(text, start, place, window, end)
        if repeats:
            more = repeats * (cut - at)
            _repeat(out, at, cut, after, more)
            at, after, start = at + more, after + more, start + repeats * (place - start)
            continue
        if cut > at:
            after = _merge_window(out, cut, cells, text, place, min(window, end - place), pairs)
            if out[cut] == token:
                at, start = cut, place
                continue
        window *= window
        token = np.int64(out[at])
        after = _merge_window(out, at, cells, text, start, min(window, end - start), pairs)
        if at > origin[0] and out[at] != token:  # which was settled with what is before
            at, start = origin
            after = _merge_window(out, at, cells, text, start, min(window, end - start), pairs)
    return after
