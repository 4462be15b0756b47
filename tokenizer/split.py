"""Where words end: the published patterns as one state machine over UTF-8 bytes.

A pattern is an integer (`patterns.py` has the five): CUSTOM, or the sum of the flags below and of the number of
digits that a word may hold. GPT-2's is 0. No pattern looks back, so that where a word ends depends only on what
follows its beginning; each byte is read at most a few times, whatever the text.
"""

import numpy as np
from numpy.typing import NDArray

from ..kernels.cpu.kernel import kernel, primitive
from .categories import LETTER, LOWER, NEWLINE, NUMBER, OTHER, UPPER, WHITE

DIGITS = 3  # at most so many in a word, and no space before them; 0: any number of them, after a space
MODERN = 4  # contractions in any case; any one character before letters; line ends close other signs and white space
CASED = 8  # o200k: words begin anew at a capital, marks belong to them, contractions stay with them
KEEP_TAIL = 16  # white space at the end of the text is one word, whatever lines it ends
CUSTOM = -1  # `classes` marks the last byte of each word

_SPACE, _APOSTROPHE, _SLASH, _IGNORE_CASE = 0x20, 0x27, 0x2F, 0x20


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
def run_end(text, at, end, classes, mask):
    """Where characters whose class meets `mask` end."""
    while at < end:
        code, after = character(text, at)
        if not classes[code] & mask:
            break
        at = after
    return at


@primitive
def contraction_end(text, at, end, letter):
    """Where one of 's 't 'd 'm 'll 've 're ends that begins at a byte, or that byte; `letter` are bits to ignore."""
    if at + 1 >= end or text[at] != _APOSTROPHE:
        return at
    first = text[at + 1] | letter
    if first == ord("s") or first == ord("t") or first == ord("d") or first == ord("m"):
        return at + 2
    if at + 2 >= end:
        return at
    second = text[at + 2] | letter
    if second == ord("e") and (first == ord("r") or first == ord("v")) or second == ord("l") and first == ord("l"):
        return at + 3
    if letter and text[at + 1] == 0xC5 and text[at + 2] == 0xBF:  # U+017F, which folds to s
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
    small = run_end(text, at, end, classes, LOWER)
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
        text: bytes, and 8 more behind `end`, whichever.
        classes: `Pattern.classes`.
        pattern: `Pattern.code`.
    """
    if pattern == CUSTOM:
        at = start
        while not classes[at]:
            at += 1
        return at + 1
    first = text[start]
    if first == _APOSTROPHE and not pattern & CASED:
        at = contraction_end(text, start, end, _IGNORE_CASE if pattern & MODERN else 0)
        if at > start:
            return at
    letter = UPPER | LOWER if pattern & CASED else LETTER
    code, body = character(text, start)
    lead = kind = classes[code]
    after = body
    joins = 0
    if first == _SPACE:
        joins = letter | OTHER | (0 if pattern & DIGITS else NUMBER)
    elif pattern & MODERN and not kind & (LETTER | NUMBER | NEWLINE):
        joins = letter
    body = start
    if joins and after < end:
        code, after_next = character(text, after)
        following = classes[code]
        if following & joins:
            kind, body, after = following, after, after_next
    if kind & letter:
        if pattern & CASED:
            return cased_end(text, body, end, classes, lead)
        return run_end(text, after, end, classes, LETTER)
    if kind & WHITE:
        return white_end(text, start, end, classes, pattern)
    if kind & NUMBER:
        if not pattern & DIGITS:
            return run_end(text, after, end, classes, NUMBER)
        for _ in range(1, pattern & DIGITS):
            if after < end:
                code, after_next = character(text, after)
                if classes[code] & NUMBER:
                    after = after_next
        return after
    at = run_end(text, after, end, classes, OTHER)
    if pattern & MODERN:
        while at < end and (text[at] == 10 or text[at] == 13 or text[at] == _SLASH and pattern & CASED):
            at += 1
    return at


@kernel("i8[1] i8[1] <- u1[1] i8 u1[1] i8", parallel=False)
def _word_ends(ends, count, text, end, classes, pattern):
    at = n = 0
    while at < end:
        at = word_end(text, at, end, classes, pattern)
        ends[n] = at
        n += 1
    count[0] = n
