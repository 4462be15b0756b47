"""Where words end: the published patterns as one state machine over UTF-8 bytes.

A pattern is an integer (`patterns.py` has the five): CUSTOM, or the sum of the flags below and of the number of
digits that a word may hold. GPT-2's is 0. No pattern looks back, so that where a word ends depends only on what
follows its beginning.

All is linear. Beyond the end of a word, eight bytes are looked at, except behind white space and o200k's capitals, of
which a run is read to its end. What is left of it has no line end then, or only capitals, so that its next word takes
all but its last character, or all: no byte is read for more than three words, but those eight.

The helpers take pointers (`simd.elements`) or arrays.
"""

import numpy as np
from numba.cpython.unsafe.numbers import trailing_zeros

from ..kernels.cpu.kernel import kernel, primitive
from ..kernels.cpu.simd import eight_bytes, elements
from .categories import LETTER, LOWER, NEWLINE, NUMBER, OTHER, UPPER, WHITE

DIGITS = 3  # at most so many in a word, and no space before them; 0: any number of them, after a space
MODERN = 4  # contractions in any case; any one character before letters; line ends close other signs and white space
CASED = 8  # o200k: words begin anew at a capital, marks belong to them, contractions stay with them
KEEP_TAIL = 16  # white space at the end of the text is one word, whatever lines it ends
PADDING = 8  # eight bytes are read at once, from wherever a word begins or after its space
CUSTOM = -1  # `classes` marks the last byte of each word

_SPACE, _APOSTROPHE, _SLASH = 0x20, 0x27, 0x2F
_IGNORE_CASE, _KEEP_CASE = np.int64(0x20), np.int64(0)
_LOW_BITS, _HIGH_BITS, _CASE_BITS = (np.uint64(0x0101010101010101 * byte) for byte in (0x7F, 0x80, 0x20))
_FROM_A, _AFTER_Z = (np.uint64(0x0101010101010101 * byte) for byte in (0x80 - ord("a"), 0x7F - ord("z")))


@primitive
def character(text, at):
    """The code point that begins at a byte, and the byte after it."""
    first = np.int64(text[at])
    if first < 0x80:
        return first, at + 1
    second = np.int64(text[at + 1]) & 0x3F
    if first < 0xE0:
        return (first & 0x1F) << 6 | second, at + 2
    third = np.int64(text[at + 2]) & 0x3F
    if first < 0xF0:
        return (first & 0x0F) << 12 | second << 6 | third, at + 3
    return (first & 0x07) << 18 | second << 12 | third << 6 | np.int64(text[at + 3]) & 0x3F, at + 4


@primitive
def run_end(text, at, end, classes, mask, most):
    """Where characters whose class meets `mask` end, or after `most` of them."""
    while at < end and most > 0:
        code, after = character(text, at)
        if not classes[code] & mask:
            break
        at, most = after, most - 1
    return at


@primitive
def short_word_end(text, start, end, pattern):
    """Where a word ends that begins at a byte, if it is up to 7 ASCII letters, perhaps after a space; 0 otherwise.

    Eight bytes at once: sums of bytes that do not carry over leave in each high bit whether it is a letter.
    """
    space = np.int64(text[start] == _SPACE)
    eight = eight_bytes(text, start + space)
    low = (eight | _CASE_BITS) & _LOW_BITS
    letters = (low + _FROM_A) & ~(low + _AFTER_Z) & ~eight
    if pattern & CASED:
        small = letters & (eight << np.uint64(2))  # what tells the case becomes the high bit
        capitals = trailing_zeros(~(letters & ~small) & _HIGH_BITS) & np.uint64(0x38)
        stops = ~small & (_HIGH_BITS << capitals) & _HIGH_BITS
    else:
        stops = ~letters & _HIGH_BITS
    bits = trailing_zeros(stops) & np.uint64(0x78)
    following = (eight >> bits) & np.uint64(0xFF)
    if bits == 0 or bits > np.uint64(56) or following >= np.uint64(0x80):
        return 0
    if pattern & CASED and following == np.uint64(_APOSTROPHE):
        return 0
    return min(start + space + np.int64(bits >> np.uint64(3)), end)


@primitive
def contraction_end(text, at, end, ignored):
    """Where one of 's 't 'd 'm 'll 've 're ends that begins at a byte, or that byte; `ignored` are bits of letters."""
    if at + 1 >= end or text[at] != _APOSTROPHE:
        return at
    first = text[at + 1] | ignored
    if first == ord("s") or first == ord("t") or first == ord("d") or first == ord("m"):
        return at + 2
    if at + 2 >= end:
        return at
    second = text[at + 2] | ignored
    if (second == ord("e") and (first == ord("r") or first == ord("v"))) or (second == ord("l") and first == ord("l")):
        return at + 3
    if ignored and text[at + 1] == 0xC5 and text[at + 2] == 0xBF:  # U+017F, which folds to s
        return at + 3
    return at


@primitive
def white_end(text, start, end, classes, pattern):
    """Where white space ends as a word: its last character is left to the word that follows."""
    at = last = after_newline = start
    while at < end:
        code, after = character(text, at)
        kind = classes[code]
        if not kind & WHITE:
            break
        last, at = at, after
        if kind & NEWLINE:
            after_newline = at
    if after_newline > start and pattern & MODERN and not (at == end and pattern & KEEP_TAIL):
        return after_newline
    return at if at == end or last == start else last


@primitive
def cased_end(text, body, end, classes, lead):
    """Where o200k's word ends: capitals, then small letters; what is both may be either.

    The capitals take all they can. If no small letter follows, the last of them that is both counts as one, and if
    none is, so does a mark that stood before them, or the word is all capitals.
    """
    at, last = body, 0
    while at < end:
        code, after = character(text, at)
        kind = classes[code]
        if not kind & UPPER:
            break
        at = after
        if kind & LOWER:
            last = at
    small = run_end(text, at, end, classes, LOWER, end)
    if small > at:
        at = small
    elif last:
        at = last
    elif lead & LOWER:
        at = body
    return contraction_end(text, at, end, _IGNORE_CASE)


@primitive
def word_end(text, start, end, classes, pattern):
    """Where the word ends that begins at byte `start` of text[start:end], UTF-8.

    Args:
        text: bytes, and PADDING more behind `end`, whichever.
        classes: `Pattern.classes`.
        pattern: `Pattern.code`.
    """
    if pattern == CUSTOM:
        at = start + 1
        while at < end and not classes[at - 1]:
            at += 1
        return at
    at = short_word_end(text, start, end, pattern)
    if at:
        return at
    first = text[start]
    if first == _APOSTROPHE and not pattern & CASED:
        at = contraction_end(text, start, end, _IGNORE_CASE if pattern & MODERN else _KEEP_CASE)
        if at > start:
            return at
    letter = UPPER | LOWER if pattern & CASED else LETTER
    code, after = character(text, start)
    lead = kind = classes[code]
    joins = 0
    if first == _SPACE:
        joins = letter | OTHER | (0 if pattern & DIGITS else NUMBER)
    elif pattern & MODERN and not kind & (LETTER | NUMBER | NEWLINE):
        joins = letter
    body = start
    if joins and after < end:
        code, after_second = character(text, after)
        second = classes[code]
        if second & joins:
            kind, body, after = second, after, after_second
    if kind & WHITE:
        return white_end(text, start, end, classes, pattern)
    if kind & letter and pattern & CASED:
        return cased_end(text, body, end, classes, lead)
    most = pattern & DIGITS if kind & NUMBER and pattern & DIGITS else end
    at = run_end(text, body, end, classes, kind & (LETTER | NUMBER | OTHER), most)
    if kind & OTHER and pattern & MODERN:
        while at < end and (text[at] == 10 or text[at] == 13 or (text[at] == _SLASH and pattern & CASED)):
            at += 1
    return at


@kernel("i8[1] i8[1] <- u1[1] i8 u1[1] i8", parallel=False)
def find_ends(ends, count, text, end, classes, pattern):
    """The ends of all words of text[:end], and how many they are; ends: shape (`end`,), count: (1,)."""
    at, n = np.int64(0), 0
    data, table = elements(text), elements(classes)
    while at < end:
        at = word_end(data, at, end, table, pattern)
        ends[n] = at
        n += 1
    count[0] = n


@primitive
def character_before(text, at):
    """The byte at which the character before a byte begins."""
    at -= 1
    while text[at] & 0xC0 == 0x80:
        at -= 1
    return at


@primitive
def safe_cut(text, start, end, classes, pattern):
    """The last place between `start` and `end` at which the text may be cut without changing a word, or `start`.

    The characters on both sides must be in text[start:end]. A cut is safe where every pattern ends a word whatever
    comes before, and what comes after decides no earlier word: behind anything but white space, whose division
    depends on what follows it, and before a character of another kind that no word joins to it, as a mark may be
    joined to a letter, an ending with its apostrophe, and the end of a line to other signs.
    """
    at = end
    while at > start:
        at = character_before(text, at)
        if at <= start:
            break
        if pattern == CUSTOM:
            if classes[at - 1]:
                return at
            continue
        before = classes[character(text, character_before(text, at))[0]]
        after = classes[character(text, at)[0]]
        joined = before | UPPER | LOWER | (NEWLINE if before & OTHER else 0)
        if not before & WHITE and not after & joined and text[at] != _APOSTROPHE:
            return at
    return start


@kernel("i8[1] <- u1[1] i8 i8 u1[1] i8", parallel=False)
def find_cut(cut, text, start, end, classes, pattern):
    """`safe_cut` for Python; cut: shape (1,)."""
    cut[0] = safe_cut(elements(text), start, end, elements(classes), pattern)
