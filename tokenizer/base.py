"""What all tokenizers share: a list of byte strings, one per id, and the ways between text and ids.

Decoding is the same for all: join the tokens' bytes and read them as UTF-8. A token may hold only a part of a
character, so text that arrives id by id goes through a `Stream`, which keeps parts back until the rest comes.
"""

import codecs
import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import files
from .decode import decode
from .streaming import StreamEncoder

Errors = Literal["replace", "strict"]
Specials = Literal["all"] | Collection[str]
Ids = NDArray[np.uint32]


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
        self._data = np.frombuffer(b"".join([*self.token_bytes, bytes(8)]), np.uint8)
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

    def encode(self, text: str, *, allowed_special: Specials = (), disallowed_special: Specials = ()) -> Ids:
        """The ids of `text`, uint32, shape (T,).

        Args:
            allowed_special: the special tokens, or "all", that become their ids where the text spells them out.
                Others are ordinary text, so that text from others cannot end a document.
            disallowed_special: those, or "all" that are not allowed, that the text must not spell out.

        Raises:
            ValueError: the text holds a lone surrogate, a character that the vocabulary lacks, or a special token that
                is not allowed.
        """
        if not isinstance(text, str):
            raise TypeError(f"text must be str, got {type(text).__name__}")
        try:
            return self._encode(text)
        except UnicodeEncodeError:
            utf8(text)  # says where in the text
            raise

    def encode_batch(
        self, texts: Iterable[str], *, allowed_special: Specials = (), disallowed_special: Specials = ()
    ) -> tuple[Ids, NDArray[np.int64]]:
        """The ids of all texts, uint32, and offsets: those of text i are ids[offsets[i] : offsets[i + 1]].

        Of many or long texts the parts go to all threads. Arguments and errors are those of `encode`.
        """
        ids = [self.encode(text) for text in texts_of(texts)]
        return np.concatenate([np.empty(0, np.uint32), *ids]), np.cumsum([0, *map(len, ids)], dtype=np.int64)

    def encode_lists(self, texts: Iterable[str], **options: Any) -> list[list[int]]:
        """The ids of each text as a list; arguments and errors are those of `encode_batch`."""
        ids, offsets = self.encode_batch(texts, **options)
        flat = ids.tolist()
        return [flat[start:end] for start, end in pairwise(offsets.tolist())]

    def encode_with_offsets(
        self, text: str, unit: Literal["bytes", "characters"] = "characters", **special: Any
    ) -> tuple[Ids, NDArray[np.int64]]:
        """The ids of `text`, and where each begins and ends in it, int64, shape (T, 2).

        A character of which a token holds a part belongs to it as a whole, so that neighbours may overlap.

        Args:
            unit: what is counted: characters of the text or bytes of its UTF-8.
            special: as for `encode`.
        """
        if unit not in ("bytes", "characters"):
            raise ValueError(f'unit must be "bytes" or "characters", got {unit!r}')
        ids = self.encode(text, **special)
        ends = np.diff(self._offsets)[ids].cumsum()
        spans = np.stack([np.append(0, ends)[:-1], ends], axis=1)
        data = np.frombuffer(text.encode(), np.uint8)
        if ids.size and ends[-1] != data.size:
            raise ValueError("the tokenizer's normalizer changes this text, so that its ids have no place in it")
        if unit == "characters" and ids.size:
            begun = (data & 0xC0 != 0x80).cumsum()
            spans = np.stack([begun[spans[:, 0]] - 1, begun[ends - 1]], axis=1)
        return ids, spans

    def count(self, text: str, **special: Any) -> int:
        """The number of ids of `text`; arguments as for `encode`."""
        return self.encode(text, **special).size

    def decode_bytes(self, ids: ArrayLike) -> bytes:
        """The bytes of `ids`, integers of shape (T,).

        Raises:
            TypeError: the ids are not integers.
            ValueError: an id is outside the vocabulary or not in use, or the shape is another.
        """
        return decode(ids, self._data, self._offsets).tobytes()

    def decode(self, ids: ArrayLike, errors: Errors = "replace") -> str:
        """The text of `ids`, integers of shape (T,).

        Bytes that are not UTF-8 (a model may emit any) become U+FFFD, or raise ValueError if `errors` is
        "strict".
        """
        if errors not in ("replace", "strict"):
            raise ValueError(f'errors must be "replace" or "strict", got {errors!r}')
        data = decode(ids, self._data, self._offsets)
        try:
            return str(data, "utf-8", errors)  # type: ignore[call-overload]
        except UnicodeDecodeError as error:
            where = f"at byte {error.start} ({error.reason})"
            raise ValueError(f'these ids are not UTF-8 {where}; errors="replace" puts U+FFFD there') from None

    def encoder(self, *, allowed_special: Specials = (), disallowed_special: Specials = ()) -> StreamEncoder:
        """An encoder that takes text in chunks; arguments as for `encode`."""
        return StreamEncoder(self.encode, len)

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


def texts_of(texts: str | Iterable[str]) -> Iterator[str]:
    """The texts one by one, each checked to be Unicode; a str is one text."""
    if not isinstance(texts, Iterable):
        raise TypeError(f"texts must be str or an iterable of str, got {type(texts).__name__}")
    for text in [texts] if isinstance(texts, str) else texts:
        if not isinstance(text, str):
            raise TypeError(f"every text must be str, got {type(text).__name__}")
        utf8(text)
        yield text


def utf8(text: str) -> bytes:
    """The text as UTF-8, or a ValueError that says where a lone surrogate stands."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the text holds the lone surrogate U+{ord(text[error.start]):04X} at position {error.start}, "
            "which UTF-8 cannot write; text.encode(errors='replace').decode() puts a question mark there"
        ) from None
