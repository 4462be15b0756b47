"""What all tokenizers share: a list of byte strings, one per id, and the ways between text and ids.

Decoding is the same for all: join the tokens' bytes and read them as UTF-8. A token may hold only a part of a
character, so text that arrives id by id goes through a `Stream`, which keeps parts back until the rest comes.
"""

import codecs
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import files

Errors = Literal["replace", "strict"]


class Tokenizer(ABC):
    """Text to ids and back.

    Attributes:
        kind: "bytes", "chars" or "bpe".
        token_bytes: the bytes of every token, by id; b"" where an id is not in use.
        special_tokens: the id of every special token, by its text.
    """

    kind: ClassVar[str]

    def __init__(self, tokens: Sequence[bytes], special_tokens: Mapping[str, int] | None = None) -> None:
        self.token_bytes = list(tokens)
        self.special_tokens = dict(special_tokens or {})
        if not set(map(type, self.token_bytes)) <= {bytes}:
            raise TypeError("tokens must be a sequence of bytes")
        for special, token in self.special_tokens.items():
            if not isinstance(special, str) or not special or type(token) is not int:
                raise TypeError(f"special_tokens must map non-empty strings to ids, got {special!r}: {token!r}")
            if not 0 <= token < self.vocab_size or self.token_bytes[token] != utf8(special):
                raise ValueError(f"special token {special!r} has id {token}, where tokens does not hold its bytes")
        self._data = np.frombuffer(b"".join(self.token_bytes), np.uint8)
        self._offsets = np.concatenate([[0], np.cumsum([*map(len, self.token_bytes)], dtype=np.int64)])

    @abstractmethod
    def _encode(self, text: str) -> NDArray[np.uint32]:
        """The ids of text without special tokens."""

    @abstractmethod
    def _fields(self) -> dict[str, Any]:
        """What, beside the kind, makes this tokenizer; JSON values."""

    @classmethod
    @abstractmethod
    def from_fields(cls, document: dict[str, Any]) -> "Tokenizer":
        """The tokenizer that `_fields` described; ValueError where the document contradicts itself."""

    @property
    def vocab_size(self) -> int:
        """The number of tokens, special ones included; ids are 0 to vocab_size − 1."""
        return len(self.token_bytes)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits, the same for equal tokenizers only."""
        return files.fingerprint({"kind": self.kind, **self._fields()})

    def __repr__(self) -> str:
        return f"{type(self).__name__}(vocab_size={self.vocab_size}, fingerprint={self.fingerprint})"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tokenizer to one JSON file, whole or not at all; `octavo.tokenizer.load` reads it."""
        files.write(path, {"kind": self.kind, **self._fields()})

    def encode(self, text: str, *, allowed_special: bool = False) -> NDArray[np.uint32]:
        """The ids of `text`, uint32, shape (T,).

        A special token spelled out in the text is ordinary text, unless `allowed_special`, so that text from
        others cannot end a document.

        Raises:
            ValueError: the text holds a lone surrogate, or a character that the vocabulary lacks.
        """
        if not isinstance(text, str):
            raise TypeError(f"text must be str, got {type(text).__name__}")
        try:
            if not (allowed_special and self.special_tokens):
                return self._encode(text)
            longest_first = sorted(self.special_tokens, key=len, reverse=True)
            pieces = re.split(f"({'|'.join(map(re.escape, longest_first))})", text)
            ids = [self._encode(piece) for piece in pieces]
            ids[1::2] = [np.array([self.special_tokens[special]], np.uint32) for special in pieces[1::2]]
            return np.concatenate(ids)
        except UnicodeEncodeError:
            utf8(text)  # says where in the whole text
            raise

    def decode_bytes(self, ids: ArrayLike) -> bytes:
        """The bytes of `ids`, integers of shape (T,).

        Raises:
            TypeError: the ids are not integers.
            ValueError: an id is outside the vocabulary, or the shape is another.
        """
        ids = np.asarray(ids)
        if ids.ndim != 1:
            raise ValueError(f"ids must have one dimension, got shape {ids.shape}")
        if ids.size == 0:
            return b""
        if ids.dtype.kind not in "iu":
            raise TypeError(f"ids must be integers, got {ids.dtype}")
        outside = (ids < 0) | (ids >= self.vocab_size)
        if outside.any():
            raise ValueError(f"id {ids[outside][0]} is outside the vocabulary of {self.vocab_size} tokens")
        return b"".join(map(self.token_bytes.__getitem__, ids.tolist()))

    def decode(self, ids: ArrayLike, errors: Errors = "replace") -> str:
        """The text of `ids`, integers of shape (T,).

        Bytes that are not UTF-8 (a model may emit any) become U+FFFD, or raise ValueError if `errors` is
        "strict".
        """
        if errors not in ("replace", "strict"):
            raise ValueError(f'errors must be "replace" or "strict", got {errors!r}')
        data = self.decode_bytes(ids)
        try:
            return data.decode("utf-8", errors)
        except UnicodeDecodeError as error:
            where = f"at byte {error.start} ({error.reason})"
            raise ValueError(f'these ids are not UTF-8 {where}; errors="replace" puts U+FFFD there') from None

    def stream(self) -> "Stream":
        """A decoder that takes ids one at a time."""
        return Stream(self)


class Stream:
    """Ids in, text out as soon as its characters are whole; all that came out together equals `decode`.

    >>> from octavo.tokenizer import ByteTokenizer
    >>> stream = ByteTokenizer().stream()
    >>> [stream.push(i) for i in "né".encode()]
    ['n', '', 'é']
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """The text that the id `token` completes, often empty."""
        return self._decoder.decode(self._tokenizer.decode_bytes([token]))

    def finish(self) -> str:
        """What is held back, as U+FFFD; the stream then starts afresh."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest


def utf8(text: str) -> bytes:
    """The text as UTF-8, or a ValueError that says where a lone surrogate stands."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the text holds the lone surrogate U+{ord(text[error.start]):04X} at position {error.start}, "
            "which UTF-8 cannot write; text.encode(errors='replace').decode() puts a question mark there"
        ) from None
