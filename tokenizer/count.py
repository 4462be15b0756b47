"""How often each word of a text occurs, in memory proportional to distinct words.

Text goes by in blocks of some megabytes, cut where no word is changed. Each thread counts its part of a block in a
small table of its own, that stays in the processor's cache; what it holds is poured into the large table when it is
full, and when the block ends. What is in the large table then depends on the text alone, and so does what is dropped
from it where memory is short.

Tables are open addressing with linear probing. A slot is four numbers, 32 bytes: a word of at most 15 bytes is its own
key, padded with zeros and its length in the last byte; of a longer one the key is a hash and the length, and its bytes
stand elsewhere: in the block, or behind one another in the large table's own bytes.
"""

import logging
from collections.abc import Iterator

import numba
import numpy as np
from numpy.typing import NDArray

from ..kernels.cpu.kernel import kernel, primitive, subroutine
from ..kernels.cpu.simd import eight_bytes, elements
from ..kernels.device import threads
from .base import utf8
from .patterns import Pattern
from .split import find_cut, safe_cut, word_end
from .texts import Texts, parts_of

log = logging.getLogger("octavo.tokenizer")

PADDING = 16  # bytes behind a text, that kernels may read
_BLOCK = 1 << 23
_SLOTS = 1 << 15  # of a thread's table
_LOW, _HIGH, _COUNT, _PLACE = range(4)
_LONG = np.uint64(0xFF << 56)  # in the place of a short word's length
_AT, _PIECE, _LAST, _USED, _BYTES = range(5)  # of a thread: where it is, its pieces; slots in use, bytes of long words
_BYTES_A_SLOT, _BYTES_A_PLACE = 96, 20  # of memory: while words are counted (at a third full); while merges are learned
_ONE, _SPREAD, _MIX = np.uint64(1), np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)  # odd


class Words:
    """Counts of distinct words.

    Args:
        pattern: how text is cut into words.
        memory: bytes, about: where the words, and what learning from them takes, would come to more, the rarest are
            dropped, with a warning.
    """

    def __init__(self, pattern: Pattern, memory: int) -> None:
        self._pattern, self._memory = pattern, min(memory, _BYTES_A_PLACE << 31)  # places are uint32
        self._table, self._kept = _table(_SLOTS), np.empty(1 << 16, np.uint8)
        self._sizes = np.zeros(3, np.int64)  # slots in use, bytes in use, bytes of all words with one beside each
        self._dropped = False

    def __len__(self) -> int:
        return int(self._sizes[0])

    def add(self, text: NDArray[np.uint8], ends: NDArray[np.int64]) -> None:
        """Count the words of a block: texts one behind another, UTF-8, then PADDING bytes."""
        classes, code = self._pattern.classes(text[:-PADDING]), self._pattern.code
        shares = threads()
        pieces = np.empty(ends.size + shares, np.int64)
        state = np.zeros((shares, 5), np.int64)
        _share(pieces, state, text, ends, classes, code)
        tables = np.zeros((shares, _SLOTS, 4), np.uint64)
        while (state[:, _PIECE] < state[:, _LAST]).any():
            _count(tables, state, text, pieces, classes, code)
            self._make_room(state[:, _USED].sum(), state[:, _BYTES].sum())
            _pour(self._table, self._kept, self._sizes, tables.reshape(-1, 4), text, 1)
            tables[:] = 0
            state[:, [_USED, _BYTES]] = 0
        if self._takes() > self._memory:
            self._drop_rare()

    def _takes(self) -> int:
        used, _, places = self._sizes.tolist()
        return max(_BYTES_A_SLOT * used, _BYTES_A_PLACE * places)

    def _make_room(self, words: int, size: int) -> None:
        """Have slots and bytes for so many more words, and bytes of long ones."""
        used, kept, _ = self._sizes
        if (used + words) * 3 > self._table.shape[0] * 2:
            self._pour_into(1 << int(2 * (used + words)).bit_length(), kept + size, 1)
        elif kept + size > self._kept.size:
            self._kept = np.concatenate([self._kept, np.empty(kept + 2 * size, np.uint8)])

    def _pour_into(self, slots: int, size: int, least: int) -> None:
        old, kept = self._table, self._kept
        self._table, self._kept = _table(slots), np.empty(size, np.uint8)
        self._sizes[:] = 0
        _pour(self._table, self._kept, self._sizes, old, kept, least)

    def _drop_rare(self) -> None:
        """Keep the words that occur often, in about half of the memory."""
        counts = self._table[:, _COUNT]
        counts = np.sort(counts[counts > 0])
        least = int(counts[counts.size // 2]) + 1
        self._pour_into(self._table.shape[0], self._kept.size, least)
        log.log(
            logging.INFO if self._dropped else logging.WARNING,
            "%d distinct words do not fit in memory=%d: those that had occurred fewer than %d times were dropped, "
            "%d are left; merges of rare words may differ from those of more memory",
            counts.size,
            self._memory,
            least,
            len(self),
        )
        self._dropped = True

    def laid_out(
        self, byte_ids: NDArray[np.int32], end: int
    ) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.int32]]:
        """The words of two bytes or more: counts of each; then of each byte its word, and its id, `end` beside words.

        The words are forgotten, so that memory does not hold them twice.
        """
        counts, word = np.empty(len(self), np.int64), np.empty(int(self._sizes[2]) + 1, np.uint32)
        ids, size = np.empty(word.size, np.int32), np.zeros(2, np.int64)
        _lay_out(counts, word, ids, size, self._table, self._kept, byte_ids, end)
        self._table, self._sizes = _table(_SLOTS), np.zeros(3, np.int64)
        return counts[: size[0]], word[: size[1]], ids[: size[1]]


def count_words(texts: Texts, pattern: Pattern, memory: int) -> Words:
    """Count the words of texts: a str, the path of a file or folder, or several of them and of texts in pieces.

    Raises:
        TypeError: one of them is neither.
        ValueError: a text has a lone surrogate, or a file is not UTF-8; names it.
    """
    words = Words(pattern, memory)
    for text, ends in _blocks(texts, pattern):
        words.add(text, ends)
    return words


def _blocks(texts: Texts, pattern: Pattern) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Texts in blocks with their padding, and the ends of texts or parts of them in each."""
    block, ends, enough = bytearray(), [0], _BLOCK
    for part, last in parts_of(texts, _BLOCK):
        block += utf8(part)
        if last:
            ends.append(len(block))
        custom = not pattern.name  # a regular expression may look anywhere in a text, and across two of them
        if len(block) < enough and not (custom and last):
            continue
        enough = _BLOCK
        text = np.frombuffer(block + bytes(PADDING), np.uint8)
        if not last and not custom:
            cut = np.empty(1, np.int64)
            find_cut(cut, text, ends[-1], len(block), pattern.classes(text), pattern.code)
            ends.append(int(cut[0]))
        if ends[-1]:
            yield text[: ends[-1] + PADDING], np.array(ends[1:])
            block, ends = block[ends[-1] :], [0]
        else:
            enough = 2 * len(block)  # so that looking for a cut in one long word takes time in proportion to it
    if block:
        yield np.frombuffer(block + bytes(PADDING), np.uint8), np.array(ends[1:])


def _table(slots: int) -> NDArray[np.uint64]:
    return np.zeros((slots, 4), np.uint64)


@kernel("i8[1] i8[2] <- u1[1] i8[1] u1[1] i8", parallel=False)
def _share(pieces, state, text, ends, classes, code):
    """Cut what ends at `ends` once more for each thread, and give each of them as many bytes."""
    shares, size = state.shape[0], ends[-1]
    piece = share = n = 0
    start = 0
    while piece < ends.size:
        target = (share + 1) * size // shares
        if share + 1 < shares and target < ends[piece]:
            while text[target] & 0xC0 == 0x80:
                target -= 1
            cut = safe_cut(elements(text), start, target, elements(classes), code) if target > start else start
            if cut > start:
                pieces[n] = start = cut
                n += 1
            state[share, _LAST] = n
            share += 1
            state[share, _AT], state[share, _PIECE] = start, n
        else:
            pieces[n] = start = ends[piece]
            n += 1
            piece += 1
    state[shares - 1, _LAST] = n


@primitive
def _long_hash(text, at, length):
    hashed = np.uint64(length)
    for i in range(at, at + length - 7, 8):
        hashed = (hashed ^ eight_bytes(text, i)) * _SPREAD
        hashed ^= hashed >> np.uint64(29)
    return (hashed ^ eight_bytes(text, at + length - 8)) * _SPREAD


@primitive
def _key(text, at, length):
    """The two numbers that a word has in a table; only those of words to 15 bytes say all."""
    if length > 15:
        return _long_hash(text, at, length), _LONG | np.uint64(length)
    low_bits, high_bits = np.uint64(8 * min(length, 8)), np.uint64(8 * max(length - 8, 0))
    above = np.uint64(64) - low_bits
    low = eight_bytes(text, at) << above >> above
    return low, eight_bytes(text, at + 8) & ((_ONE << high_bits) - _ONE) | np.uint64(length) << np.uint64(56)


@primitive
def _same(first, at, second, start, length):
    i = 0
    while i < length and first[at + i] == second[start + i]:
        i += 1
    return i == length


@primitive
def _slot(table, last, owned, low, high, text, start):
    """Where the slot of a word begins, or of the free one where it belongs; the last slot begins at `last`.

    Of long words the bytes are compared, those in the table with those in `text`.
    """
    hashed = (low ^ low >> np.uint64(32)) * _SPREAD ^ high * _MIX
    at = np.int64((hashed ^ hashed >> np.uint64(32)) * _SPREAD >> np.uint64(32)) & last
    while table[at + _COUNT]:
        if (
            table[at + _LOW] == low
            and table[at + _HIGH] == high
            and (high < _LONG or _same(owned, np.int64(table[at + _PLACE]), text, start, np.int64(high ^ _LONG)))
        ):
            break
        at = (at + 4) & last
    return at


@subroutine
def _count_share(table, slots, text, pieces, classes, code, at, piece, end_piece):
    """Count from `at` until the pieces end or two thirds of the slots are in use."""
    used, size, last, most = 0, 0, 4 * (slots - 1), slots * 2 // 3
    while piece < end_piece and used < most:
        end = pieces[piece]
        while at < end and used < most:
            after = word_end(text, at, end, classes, code)
            low, high = _key(text, at, after - at)
            slot = _slot(table, last, text, low, high, text, at)
            if not table[slot + _COUNT]:
                table[slot + _LOW], table[slot + _HIGH], table[slot + _PLACE] = low, high, np.uint64(at)
                used += 1
                size += after - at if high >= _LONG else 0
            table[slot + _COUNT] += _ONE
            at = after
        piece += at == end
    return at, piece, used, size


@kernel("u8[3] i8[2] <- u1[1] i8[1] u1[1] i8")
def _count(tables, state, text, pieces, classes, code):
    """Each thread counts the words of its pieces until its table is two thirds full."""
    for share in numba.prange(tables.shape[0]):
        at, piece, used, size = _count_share(
            elements(tables[share]),
            tables.shape[1],
            elements(text),
            elements(pieces),
            elements(classes),
            code,
            state[share, _AT],
            state[share, _PIECE],
            state[share, _LAST],
        )
        state[share, _AT], state[share, _PIECE], state[share, _USED], state[share, _BYTES] = at, piece, used, size


@kernel("u8[2] u1[1] i8[1] <- u8[2] u1[1] u8", parallel=False)
def _pour(table, kept, sizes, source, text, least):
    """Add the words that occur at least so often in another table, whose long words stand in `text`."""
    to, owned, words, last = elements(table), elements(kept), elements(text), 4 * (table.shape[0] - 1)
    for i in range(source.shape[0]):
        count, low, high, start = source[i, _COUNT], source[i, _LOW], source[i, _HIGH], np.int64(source[i, _PLACE])
        if count >= least:
            slot = _slot(to, last, owned, low, high, words, start)
            if not to[slot + _COUNT]:
                to[slot + _LOW], to[slot + _HIGH], to[slot + _PLACE] = low, high, np.uint64(sizes[1])
                length = np.int64(high >> np.uint64(56))
                if high >= _LONG:
                    length = np.int64(high ^ _LONG)
                    for j in range(length):
                        owned[sizes[1] + j] = words[start + j]
                    sizes[1] += length
                sizes[0] += 1
                sizes[2] += length + 1
            to[slot + _COUNT] += count


@kernel("i8[1] u4[1] i4[1] i8[1] <- u8[2] u1[1] i4[1] i4", parallel=False)
def _lay_out(counts, word, ids, size, table, kept, byte_ids, end):
    n, place = 0, 1
    ids[0], word[0] = end, 0
    for i in range(table.shape[0]):
        high = table[i, _HIGH]
        length = np.int64(high ^ _LONG) if high >= _LONG else np.int64(high >> np.uint64(56))
        if table[i, _COUNT] and length > 1:
            for j in range(length):
                if high >= _LONG:
                    byte = np.uint64(kept[np.int64(table[i, _PLACE]) + j])
                else:
                    byte = table[i, j >> 3] >> np.uint64(8 * (j & 7)) & np.uint64(0xFF)
                ids[place], word[place] = byte_ids[np.int64(byte)], n
                place += 1
            ids[place], word[place] = end, n
            place += 1
            counts[n] = np.int64(table[i, _COUNT])
            n += 1
    size[0], size[1] = n, place
