"""Bytes as tokens: nothing to learn, nothing unknown, and the longest sequences."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base import Tokenizer


class ByteTokenizer(Tokenizer):
    """256 tokens; the ids are the UTF-8 bytes of the text.

    >>> ByteTokenizer().encode("né").tolist()
    [110, 195, 169]
    """

    kind = "bytes"

    def __init__(self) -> None:
        super().__init__([bytes([i]) for i in range(256)])

    def _encode(self, text: str) -> NDArray[np.uint32]:
        return np.frombuffer(text.encode(), np.uint8).astype(np.uint32)

    def _fields(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_fields(cls, document: dict[str, Any]) -> "ByteTokenizer":
        return cls()
