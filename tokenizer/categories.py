"""What each code point is to the patterns that cut text: a letter, a number, white space or something else.

The table is Unicode 16.0's, as in the regular expressions of tiktoken and tokenizers; Python's own is of another
version. `python -m octavo.tokenizer.categories` makes it anew, from unicodedata2 16.0.
"""

import re
from functools import lru_cache
from pathlib import Path
from textwrap import fill

import numpy as np
from numpy.typing import NDArray

from ..kernels.files import atomic_write

# Bits of a class. OTHER is [^\s\p{L}\p{N}], marks included; UPPER and LOWER are o200k's two halves of a word,
# [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] and [\p{Ll}\p{Lm}\p{Lo}\p{M}]; NEWLINE is [\r\n], which is white space too.
LETTER, NUMBER, OTHER, WHITE, NEWLINE, UPPER, LOWER = (np.int64(1 << bit) for bit in range(7))

_KINDS = {
    "u": LETTER | UPPER,
    "l": LETTER | LOWER,
    "b": LETTER | UPPER | LOWER,
    "m": OTHER | UPPER | LOWER,
    "n": NUMBER,
    "w": WHITE,
    "r": WHITE | NEWLINE,
    "o": OTHER,
}
_KIND_OF = {"Lu": "u", "Lt": "u", "Ll": "l", "Lm": "b", "Lo": "b", "M": "m", "N": "n"}
_WHITE = [0x09, 0x0B, 0x0C, 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000]
_TABLE = Path(__file__).with_name("categories.txt")
_CODES = 1 << 21  # what four bytes of UTF-8 can write: no bytes lead out of the table


@lru_cache(None)
def classes() -> NDArray[np.uint8]:
    """The class of every code point, shape (2²¹,): bits LETTER to LOWER."""
    runs = re.findall(r"(\d+)(\w)", _TABLE.read_text())
    kinds = [_KINDS[kind] for _, kind in runs]
    lengths = [int(length) for length, _ in runs]
    return np.repeat(np.array([*kinds, OTHER], np.uint8), [*lengths, _CODES - sum(lengths)])


def _kind(character: str) -> str:
    import unicodedata2

    if character in "\r\n":
        return "r"
    if ord(character) in _WHITE:
        return "w"
    category = unicodedata2.category(character)
    return _KIND_OF.get(category) or _KIND_OF.get(category[0], "o")


def _write_table() -> None:
    """Runs of code points of one kind, from 0 on: how many, then the kind's letter."""
    kinds = "".join(map(_kind, map(chr, range(0x110000))))
    runs = " ".join(f"{len(run[0])}{run[1]}" for run in re.finditer(r"(.)\1*", kinds))
    with atomic_write(_TABLE) as file:
        file.write(f"{fill(runs, 120)}\n".encode())


if __name__ == "__main__":
    _write_table()
