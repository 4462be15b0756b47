"""A stable sort of ids, by eight bits at a time, the lowest first: a radix sort.

Each pass counts the digits in every tile, adds the counts up, and puts each id where its digit, its tile and its place
in the tile say. Lanes of a warp that have the same digit find each other by ballots: there are no atomics, and the
order is that of the input. Source: Satish, Harris and Garland, Designing Efficient Sorting Algorithms for Manycore
GPUs (2009).
"""

from typing import Any

from numba import cuda, int32, uint32

from .block import WARP, lane, warp
from .kernel import kernel, primitive
from .prefix import block_prefix
from .ptx import load, store
from .runtime import empty
from .threads import THREADS, blocks, thread

_BITS = 8
_DIGITS = 1 << _BITS  # as many as threads: each adds up the counts of one
_WARPS = THREADS // WARP
_EACH = 4  # ids of a thread
_TILE = THREADS * _EACH
_ALL = uint32(0xFFFFFFFF)


def sorted_ids(ids: Any, size: int) -> tuple[Any, Any]:
    """Ids (N,), int64, in rising order, uint32, those outside [0, size) as `size`; and where each stood, uint32.

    Of equal ids the one that stood first comes first. size < 2**32.
    """
    count = ids.size
    keys, order = empty(count, "u4"), empty(count, "u4")
    if not count:
        return keys, order
    other_keys, other_order = empty(count, "u4"), empty(count, "u4")
    tiles = -(-count // _TILE)
    counts, totals = empty(_DIGITS * tiles, "u4"), empty(_DIGITS, "u4")
    _start_kernel(blocks(count), keys, order, ids, count, size)
    for shift in range(0, size.bit_length(), _BITS):
        _count_kernel(tiles, counts, keys, count, shift, tiles)
        _scan_kernel(_DIGITS, counts, totals, tiles)
        _place_kernel(tiles, other_keys, other_order, keys, order, counts, totals, count, shift, tiles)
        keys, order, other_keys, other_order = other_keys, other_order, keys, order
    return keys, order


@kernel("u4* u4* <- i8* u4 u4", threads=THREADS)
def _start_kernel(keys, order, ids, count, size):
    i = thread()
    if i < count:
        id = load(ids, i)
        store(keys, i, uint32(id) if (id >= 0) & (id < size) else size)
        store(order, i, i)


@primitive
def _below():
    """The lanes before this one, as bits."""
    return (uint32(1) << uint32(lane())) - uint32(1)


@primitive
def _alike(digit, is_there):
    """The lanes that have the same digit as this one, as bits; none for a lane that has no id."""
    same = uint32(cuda.ballot_sync(_ALL, is_there))
    for b in range(_BITS):
        is_set = (digit >> uint32(b)) & uint32(1) != uint32(0)
        votes = uint32(cuda.ballot_sync(_ALL, is_set))
        same &= votes if is_set else ~votes
    return same if is_there else uint32(0)


@kernel("u4* <- u4* u4 u4 u4", threads=THREADS)
def _count_kernel(counts, keys, count, shift, tiles):
    """counts of (digit, tile)."""
    own = cuda.shared.array((_WARPS, _DIGITS), uint32)
    digit = int32(cuda.threadIdx.x)
    for w in range(_WARPS):
        own[w, digit] = uint32(0)
    cuda.syncthreads()
    first = (uint32(cuda.blockIdx.x) * uint32(_WARPS) + uint32(warp())) * uint32(_EACH * WARP) + uint32(lane())
    for k in range(_EACH):
        at = first + uint32(k * WARP)
        key = load(keys, at) if at < count else uint32(0)
        its = (key >> shift) & uint32(_DIGITS - 1)
        same = _alike(its, at < count)
        if (same != uint32(0)) & (same & _below() == uint32(0)):
            own[warp(), int32(its)] += uint32(cuda.popc(same))
        cuda.syncwarp()
    cuda.syncthreads()
    total = uint32(0)
    for w in range(_WARPS):
        total += own[w, digit]
    store(counts, uint32(digit) * tiles + uint32(cuda.blockIdx.x), total)


@kernel("u4* u4* <- u4", threads=THREADS)
def _scan_kernel(counts, totals, tiles):
    """Each count becomes the sum of those of the tiles before, for the digit of this block; totals are over all."""
    first = uint32(cuda.blockIdx.x) * tiles
    sum = int32(0)
    for start in range(uint32(0), tiles, uint32(THREADS)):
        at = uint32(start) + uint32(cuda.threadIdx.x)
        before, total = block_prefix(int32(load(counts, first + at)) if at < tiles else int32(0))
        if at < tiles:
            store(counts, first + at, uint32(sum + before))
        sum = int32(sum + total)
    if cuda.threadIdx.x == 0:
        store(totals, uint32(cuda.blockIdx.x), uint32(sum))


@kernel("u4* u4* <- u4* u4* u4* u4* u4 u4 u4", threads=THREADS)
def _place_kernel(out_keys, out_order, keys, order, counts, totals, count, shift, tiles):
    own = cuda.shared.array((_WARPS, _DIGITS), uint32)
    rank = cuda.local.array(_EACH, uint32)
    digit = int32(cuda.threadIdx.x)
    for w in range(_WARPS):
        own[w, digit] = uint32(0)
    start = uint32(block_prefix(int32(load(totals, uint32(digit))))[0])
    start += load(counts, uint32(digit) * tiles + uint32(cuda.blockIdx.x))
    first = (uint32(cuda.blockIdx.x) * uint32(_WARPS) + uint32(warp())) * uint32(_EACH * WARP) + uint32(lane())
    for k in range(_EACH):
        at = first + uint32(k * WARP)
        key = load(keys, at) if at < count else uint32(0)
        its = int32((key >> shift) & uint32(_DIGITS - 1))
        same = _alike(uint32(its), at < count)
        before = own[warp(), its]
        cuda.syncwarp()
        rank[k] = before + uint32(cuda.popc(same & _below()))
        if (same != uint32(0)) & (same & _below() == uint32(0)):
            own[warp(), its] = before + uint32(cuda.popc(same))
        cuda.syncwarp()
    cuda.syncthreads()
    for w in range(_WARPS):
        its_count = own[w, digit]
        own[w, digit] = start
        start += its_count
    cuda.syncthreads()
    for k in range(_EACH):
        at = first + uint32(k * WARP)
        if at < count:
            key = load(keys, at)
            to = own[warp(), int32((key >> shift) & uint32(_DIGITS - 1))] + rank[k]
            store(out_keys, to, key)
            store(out_order, to, load(order, at))
