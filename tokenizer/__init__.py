"""Text to ids and back: bytes, characters, byte-pair encoding.

>>> from octavo import tokenizer
>>> tok = tokenizer.train("bpe", "to be or not to be", vocab_size=260)
>>> tok.decode(tok.encode("not to be"))
'not to be'
"""

if "." not in __name__:
    raise ImportError("this is a room of octavo: import octavo.tokenizer")

import os
from collections.abc import Mapping
from typing import Any

from . import files, huggingface, tiktoken
from .base import Stream, Tokenizer
from .bpe import BPETokenizer
from .byte import ByteTokenizer
from .char import CharTokenizer
from .texts import Texts

__all__ = [
    "BPETokenizer",
    "ByteTokenizer",
    "CharTokenizer",
    "Stream",
    "Tokenizer",
    "huggingface",
    "load",
    "tiktoken",
    "train",
]

_KINDS: dict[str, type[Tokenizer]] = {c.kind: c for c in (ByteTokenizer, CharTokenizer, BPETokenizer)}


def train(
    kind: str,
    texts: Texts = (),
    vocab_size: int | None = None,
    **options: Any,
) -> Tokenizer:
    """The tokenizer of `kind` ("bytes", "chars" or "bpe") for `texts`.

    Args:
        vocab_size: for "bpe" the number of tokens; the others have as many as there are bytes or characters.
        options: for "bpe", those of `BPETokenizer.train`.
    """
    if kind not in _KINDS:
        raise ValueError(f"kind must be one of {', '.join(_KINDS)}; got {kind!r}")
    if kind == "bpe":
        if vocab_size is None:
            raise ValueError('"bpe" needs vocab_size')
        return BPETokenizer.train(texts, vocab_size, **options)
    if vocab_size is not None or options:
        raise ValueError(f'"{kind}" takes no {next(iter(options), "vocab_size")}')
    return ByteTokenizer() if kind == "bytes" else CharTokenizer.train(texts)


def load(
    path: str | os.PathLike[str], *, pattern: str | None = None, special_tokens: Mapping[str, int] | None = None
) -> Tokenizer:
    """The tokenizer of a file: what `Tokenizer.save` wrote, Hugging Face's tokenizer.json, or tiktoken's ranks.

    Args:
        pattern: for a file of tiktoken, which does not say it: how text is cut into words, as for `BPETokenizer`.
        special_tokens: for a file of tiktoken: their ids, by their text.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is cut short, foreign or contradicts itself; names the file and the cause.
    """
    try:
        return _parse(files.read(path), pattern, special_tokens)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a usable tokenizer file: {error}") from None


def _parse(data: bytes, pattern: str | None, special_tokens: Mapping[str, int] | None) -> Tokenizer:
    if tiktoken.resembles(data):
        if pattern is None:
            raise ValueError('tiktoken\'s files lack the pattern; give it, as pattern="cl100k", and special_tokens')
        return tiktoken.parse(data, pattern, special_tokens or {})
    document = files.parse(data)
    if pattern is not None or special_tokens is not None:
        raise ValueError("it has its own pattern and special tokens; give them for tiktoken's files only")
    if document.get("format") != files.FORMAT:
        if "model" not in document:
            raise ValueError(f'JSON, but not a tokenizer: it has neither "format": "{files.FORMAT}" nor "model"')
        return huggingface.parse(document)
    kind = files.field(document, "kind", str)
    if kind not in _KINDS:
        raise ValueError(f"unknown kind {kind!r}; this Octavo reads {', '.join(_KINDS)}")
    tokenizer = _KINDS[kind].from_fields(document)
    files.check(data, document)
    return tokenizer
