"""The words of a text, and their first ids: bytes in the order of GPT-2, released with Radford et al. 2019."""

from itertools import pairwise

from .patterns import find

# The bytes in the order of their ids: first those that Latin-1 prints.
_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
BYTES = bytes([*_PRINTABLE, *sorted(set(range(256)).difference(_PRINTABLE))])
_IDS = bytes(map(BYTES.index, range(256)))


def words(text: str, pattern: str = "gpt2") -> list[str]:
    """The words of the text; joined they are the text."""
    data = text.encode()
    return [data[start:end].decode() for start, end in pairwise([0, *find(pattern).ends(data).tolist()])]


def byte_ids(word: str) -> bytes:
    """The ids of the word's UTF-8 bytes."""
    return word.encode().translate(_IDS)
