"""Characters as tokens: the code points that a text uses, in order; what the text lacks cannot be encoded."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base import Tokenizer, utf8
from .files import field
from .texts import Texts, parts_of


class CharTokenizer(Tokenizer):
    """One token per character of `characters`, which must be in ascending order and without duplicates.

    >>> CharTokenizer.train("banana").encode("nab").tolist()
    [2, 0, 1]
    """

    kind = "chars"

    def __init__(self, characters: str) -> None:
        if not characters:
            raise ValueError("a character vocabulary needs at least one character")
        if any(a >= b for a, b in pairwise(characters)):
            raise ValueError("the characters must be in ascending order, without duplicates")
        super().__init__([utf8(character) for character in characters])
        self.characters = characters
        self._codes = _code_points(characters)

    @classmethod
    def train(cls, texts: Texts) -> "CharTokenizer":
        """The tokenizer of the characters that occur in `texts`: str or paths, as for `BPETokenizer.train`."""
        seen: set[str] = set()
        for part, _ in parts_of(texts):
            utf8(part)
            seen.update(part)
        return cls("".join(sorted(seen)))

    def _encode(self, text: str) -> NDArray[np.uint32]:
        codes = _code_points(text)
        ids = np.searchsorted(self._codes, codes)
        unknown = self._codes[np.minimum(ids, self.vocab_size - 1)] != codes
        if unknown.any():
            position = int(unknown.argmax())
            raise ValueError(
                f"character {text[position]!r} (U+{ord(text[position]):04X}) at position {position} "
                f"is not among the {self.vocab_size} characters of this vocabulary"
            )
        return ids.astype(np.uint32)

    def _fields(self) -> dict[str, Any]:
        return {"characters": self.characters}

    @classmethod
    def from_fields(cls, document: dict[str, Any]) -> "CharTokenizer":
        return cls(field(document, "characters", str))


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), "<u4")
