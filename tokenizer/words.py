"""How byte-pair encoding cuts text into words, and words into their first ids, both as GPT-2 does.

Source: Radford et al. 2019, section 2.2, and the pattern and byte order released with it.
"""

from collections.abc import Iterator
from operator import itemgetter

import regex

# A contraction's ending; letters, digits or other signs, each with one space before them; white space,
# whose last character is left to the word that follows.
_WORD = regex.compile(r"'(?:[sdmt]|ll|re|ve)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")

# The bytes in the order of their ids: first those that Latin-1 prints.
_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
BYTES = bytes([*_PRINTABLE, *sorted(set(range(256)).difference(_PRINTABLE))])
_IDS = bytes(map(BYTES.index, range(256)))


def words(text: str) -> Iterator[str]:
    """The words of the text; joined they are the text."""
    return map(itemgetter(0), _WORD.finditer(text))


def byte_ids(word: str) -> bytes:
    """The ids of the word's UTF-8 bytes."""
    return word.encode().translate(_IDS)
