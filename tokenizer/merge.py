"""Merging a word: the pair with the smallest rank becomes one, of equal ones the leftmost, until none is left.

In a short word the smallest is searched for: at most n merges of n steps. A longer one has a list of places for each
rank, and a bitmap of the lists that are not empty, three levels of 64, whose uppermost is searched. A merge replaces
two pairs at most, so that a word of n bytes puts fewer than 3 n places on lists; each is taken off once, and is passed
over if its pair has changed since. To put one on a list and to find the smallest rank take a constant number of steps,
so all is O(n), if lists are in the order of places. They are where a rank has one pair that forms in one pass from left
to right; else the list is sorted when its turn comes, and all is O(n log n).

That holds where no merge makes a pair of a smaller rank than its own, as in vocabularies that were trained. With any
other ranks the outcome is right too: the list is left in the middle for the smaller rank, and sorted again if need be.
"""

import numpy as np
from numba.cpython.unsafe.numbers import trailing_zeros

from ..kernels.cpu.kernel import primitive, subroutine
from ..kernels.cpu.simd import elements
from .tables import NO_RANK, pair_rank

SHORT = 64  # bytes
SCRATCH = 4 * (SHORT + 1)  # integers, to merge a short word in
_IDS, _BEFORE, _AFTER = (n * (SHORT + 1) for n in (1, 2, 3))
_HALF = 0xFFFF_FFFF
_UNSORTED = 1 << 31


def queue_size(ranks: int) -> int:
    """Integers of a queue for so many ranks: the lists, then the three levels of the bitmap; all are 0 at first."""
    return ranks + sum(ranks // 64**level + 1 for level in (1, 2, 3))


@subroutine
def merge_short(out, at, scratch, text, start, size, pairs):
    """Merge a word of at most SHORT bytes; returns where its ids end in out.

    Args:
        scratch: int64, shape (SCRATCH,): first, by place, rank << 32 | place of the pair that begins there.
    """
    known, made, _, of_bytes, byte_ids = pairs
    for i in range(size):
        first = np.int64(text[start + i])
        scratch[_IDS + i] = byte_ids[first]
        scratch[_BEFORE + i] = i - 1
        scratch[_AFTER + i] = i + 1
        scratch[i] = np.int64(of_bytes[first << 8 | text[start + i + 1]]) << 32 | i
    scratch[size - 1] = NO_RANK << 32
    while True:
        lowest = NO_RANK << 32
        for i in range(size):
            lowest = min(lowest, scratch[i])
        if lowest >= NO_RANK << 32:
            break
        i = lowest & _HALF
        right = scratch[_AFTER + i]
        following = scratch[_AFTER + right]
        new = np.int64(made[lowest >> 32])
        scratch[_IDS + i] = new
        scratch[_AFTER + i] = following
        scratch[_BEFORE + following] = i
        scratch[right] = scratch[i] = NO_RANK << 32
        if following < size:
            scratch[i] = pair_rank(known, new, scratch[_IDS + following]) << 32 | i
        if i > 0:
            first = scratch[_BEFORE + i]
            scratch[first] = pair_rank(known, scratch[_IDS + first], new) << 32 | first
    i = 0
    while i < size:
        out[at] = scratch[_IDS + i]
        at += 1
        i = scratch[_AFTER + i]
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
def merge_long(out, at, queue, cells, nodes, text, start, size, pairs):
    """Merge a word of any size; returns where its ids end in out.

    Args:
        cells: int32, shape (size + 1, 4): for id, place before, place after, rank of the pair that begins here.
        nodes: int32, shape (6 · size + 2,): for pairs of place and next node; node 0 is none.
    """
    known, made, ranks, of_bytes, byte_ids = pairs
    nodes = elements(nodes)
    n = 1
    for i in range(size):
        cells[i, 0] = byte_ids[text[start + i]]
        cells[i, 1] = i - 1
        cells[i, 2] = i + 1
        cells[i, 3] = -1
    for i in range(size - 1):
        rank = np.int64(of_bytes[np.int64(text[start + i]) << 8 | text[start + i + 1]])
        if rank != NO_RANK:
            cells[i, 3] = rank
            _put(queue, ranks, nodes, n, rank, i)
            n += 1
    while True:
        rank = _smallest(queue, ranks)
        if rank < 0:
            break
        if queue[rank] & _UNSORTED:
            _sort(queue, nodes, rank)
        node, lowest = queue[rank] & _HALF, rank
        while node and lowest == rank:
            i = np.int64(nodes[2 * node])
            node = np.int64(nodes[2 * node + 1])
            if cells[i, 3] != rank:
                continue
            right = np.int64(cells[i, 2])
            first, following = np.int64(cells[i, 1]), np.int64(cells[right, 2])
            cells[i, 0] = made[rank]
            cells[i, 2] = following
            cells[following, 1] = i
            cells[i, 3] = cells[right, 3] = -1
            if first >= 0:
                new = pair_rank(known, np.int64(cells[first, 0]), np.int64(made[rank]))
                cells[first, 3] = -1
                if new != NO_RANK:
                    cells[first, 3] = new
                    _put(queue, ranks, nodes, n, new, first)
                    n += 1
                    lowest = min(lowest, new)
            while node and cells[nodes[2 * node], 3] != rank:
                node = np.int64(nodes[2 * node + 1])
            if following < size:
                new = pair_rank(known, np.int64(made[rank]), np.int64(cells[following, 0]))
                passing = new > rank and lowest == rank and node and nodes[2 * node] == following  # it merges next
                if new != NO_RANK and not passing:
                    cells[i, 3] = new
                    _put(queue, ranks, nodes, n, new, i)
                    n += 1
                    lowest = min(lowest, new)
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
