"""Token files, and the batches that training and validation draw from them.

A token file is the eight bytes OCTAVOTK, the length of the header as a little-endian uint32, the header, and
the tokens as little-endian uint16 or uint32. The header is JSON in UTF-8, padded with spaces so that the
tokens start at a multiple of 64 bytes; the padding counts in its length. Its last field is the CRC-32 of the
tokens and then of the other fields.
"""

import json
import operator
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..kernels.files import atomic_write

__all__ = ["END_OF_TEXT", "IGNORE_INDEX", "Batches", "EvalBatches", "TokenFile", "Tokenizer", "write_tokens"]

END_OF_TEXT = "<|endoftext|>"
IGNORE_INDEX = -100

Batch = tuple[NDArray[np.int64], NDArray[np.int64]]

_MAGIC = b"OCTAVOTK"
_VERSION = 2
_PREFIX = struct.Struct("<8sI")
_ALIGNMENT = 64
_LONGEST_HEADER = 1 << 16
_DTYPES: dict[str, np.dtype[Any]] = {"uint16": np.dtype("<u2"), "uint32": np.dtype("<u4")}


class Tokenizer(Protocol):
    """What token files need to know of a tokenizer."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def special_tokens(self) -> Mapping[str, int]: ...
    def encode(self, text: str) -> NDArray[Any]: ...


def write_tokens(
    path: str | os.PathLike[str],
    texts: Iterable[str],
    tokenizer: Tokenizer,
    progress: Callable[[int], object] | None = None,
    *,
    whole_documents: bool = True,
) -> None:
    """Encodes text after text into a token file; only one text is held in memory.

    Args:
        path: replaced when all is written, untouched if anything fails.
        texts: whole documents, each followed by the tokenizer's `<|endoftext|>` if it has one; with
            `whole_documents=False` pieces of one text, with nothing between them.
        progress: called after each text with its number of UTF-8 bytes.

    Raises:
        TypeError: `texts` is one string.
        ValueError: no token came out, or one that is not below the tokenizer's `vocab_size`.
    """
    if isinstance(texts, str):
        raise TypeError("write_tokens: texts must be an iterable of texts, got one str; put it into a list")
    vocab_size = int(tokenizer.vocab_size)
    name = "uint16" if vocab_size <= 1 << 16 else "uint32"
    end = tokenizer.special_tokens.get(END_OF_TEXT) if whole_documents else None
    fields: dict[str, Any] = {
        "version": _VERSION,
        "dtype": name,
        "vocab_size": vocab_size,
        "fingerprint": tokenizer.fingerprint,
    }
    # Both counts are known only at the end: this leaves room for the longest.
    longest = _PREFIX.size + len(json.dumps(fields | {"count": 1 << 63, "bytes": 1 << 63, "crc32": "01234567"}))
    start = -(-longest // _ALIGNMENT) * _ALIGNMENT
    count = size = crc = 0
    with atomic_write(path) as file:
        file.seek(start)
        for text in texts:
            ids = np.asarray(tokenizer.encode(text))
            if end is not None:
                ids = np.append(ids, end)
            if ids.size and not 0 <= ids.min() <= ids.max() < vocab_size:
                raise ValueError(
                    f"the tokenizer gave ids from {ids.min()} to {ids.max()}, its vocab_size is "
                    f"{vocab_size}; mend the tokenizer"
                )
            ids = ids.astype(_DTYPES[name])
            file.write(ids.data)
            crc = zlib.crc32(ids.data, crc)
            text_bytes = len(text.encode("utf-8"))
            count, size = count + ids.size, size + text_bytes
            if progress is not None:
                progress(text_bytes)
        if count == 0:
            raise ValueError(f"{path} would hold no tokens: the text is empty; give at least one character")
        fields |= {"count": count, "bytes": size}
        header = json.dumps(fields | {"crc32": _checksum(fields, crc)}).encode("utf-8")
        file.seek(0)
        file.write(_PREFIX.pack(_MAGIC, start - _PREFIX.size) + header.ljust(start - _PREFIX.size))


class TokenFile:
    """A token file, mapped into memory read-only and checked in full: sizes, dtype, checksum, ids in range.

    Args:
        path: written by `write_tokens`.
        tokenizer: if given, the file must have been written with it.

    Attributes:
        tokens: (count,) uint16 or uint32.
        bytes: number of UTF-8 bytes of the text that the tokens stand for.
        vocab_size: all tokens are below it.
        fingerprint: of the tokenizer.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not a token file, another version, damaged, or from another tokenizer.
    """

    tokens: np.memmap[Any, Any]
    bytes: int
    vocab_size: int
    fingerprint: str

    def __init__(self, path: str | os.PathLike[str], tokenizer: Tokenizer | None = None) -> None:
        path = Path(path)
        if not path.exists():
            raise FileNotFoundError(f"there is no token file {path}; write it from text first")
        if path.is_dir():
            raise ValueError(f"{path} is a folder; name a token file")
        with open(path, "rb") as file:
            start, header = _read_header(path, file.read(_PREFIX.size + _LONGEST_HEADER))
            self.bytes, self.vocab_size = header["bytes"], header["vocab_size"]
            self.fingerprint = header["fingerprint"]
            dtype = _DTYPES[header["dtype"]]
            expected, found = start + header["count"] * dtype.itemsize, os.fstat(file.fileno()).st_size
            if found != expected:
                raise _damaged(path, f"its header promises {expected} bytes, it has {found}")
            if tokenizer is not None:
                self._check_tokenizer(path, tokenizer)
            self.tokens = np.memmap(file, dtype, "r", start, (header["count"],))
        if header.pop("crc32") != _checksum(header, zlib.crc32(self.tokens.data)):
            raise _damaged(path, "its content does not match its checksum")
        if (largest := self.tokens.max()) >= self.vocab_size:
            raise _damaged(path, f"it has a token {largest}, its vocab_size is {self.vocab_size}")

    @property
    def bytes_per_token(self) -> float:
        """How many UTF-8 bytes of text a token stands for, on average."""
        return self.bytes / len(self.tokens)

    def _check_tokenizer(self, path: Path, tokenizer: Tokenizer) -> None:
        for what in ("vocab_size", "fingerprint"):
            ours, given = getattr(self, what), getattr(tokenizer, what)
            if ours != given:
                raise ValueError(
                    f"{path} was written with another tokenizer: {what} {ours}, given {given}; "
                    "load the tokenizer it was written with, or write it again from its text"
                )


class Batches:
    """Shuffled batches for training, endless: `batches[step]` depends on nothing but arguments and step.

    Each epoch shifts the grid of windows by a phase below `context`, so that they are cut elsewhere each
    time, and visits every window once, in an order of its own. A batch may end one epoch and begin the next.

    Args:
        tokens: (N,) integers, N > `context`.
        batch_size: B, windows in a batch.
        context: T, tokens in a window.
        seed: at least 0.

    Attributes:
        windows_per_epoch: the same in every epoch: as many as fit behind any phase, but at least 1.

    Raises:
        ValueError: an argument out of range, or a context longer than the data.
    """

    def __init__(self, tokens: NDArray[Any], batch_size: int, context: int, seed: int = 0) -> None:
        self._tokens = _as_tokens(tokens)
        self._batch_size = _at_least(1, batch_size, "batch_size")
        self._context = _at_least(1, context, "context")
        self._seed = _at_least(0, seed, "seed")
        count = len(self._tokens)
        if count <= context:
            raise ValueError(
                f"the context of {context} tokens needs data of at least {context + 1}, got {count} tokens; "
                "shorten the context or give more text"
            )
        self.windows_per_epoch = max((count - context) // context, 1)
        # Less than the context only where the data holds a single window.
        self._phases = min(context, count - self.windows_per_epoch * context)
        self._current = (-1, np.empty(0, np.int64))

    def __getitem__(self, step: int) -> Batch:
        """(inputs, targets) of a step from 0 up: each (B, T) int64, the targets one token further on."""
        first = _at_least(0, step, "step") * self._batch_size
        stop = first + self._batch_size
        starts = []
        while first < stop:
            epoch, at = divmod(first, self.windows_per_epoch)
            part = self._starts(epoch)[at : at + stop - first]
            starts.append(part)
            first += len(part)
        return _gather(self._tokens, np.concatenate(starts), self._context)

    def _starts(self, epoch: int) -> NDArray[np.int64]:
        known, starts = self._current
        if known != epoch:
            random = np.random.default_rng([self._seed, epoch])
            phase = random.integers(self._phases)
            starts = phase + self._context * random.permutation(self.windows_per_epoch)
            self._current = epoch, starts
        return starts


class EvalBatches:
    """The whole data in order, for validation: every token but the first is a target exactly once.

    Iterating gives (inputs, targets), each (B, T) int64; the last batch may have fewer rows. The last window
    is filled up with input 0 and target `IGNORE_INDEX`, so a mean over batches must be weighted by the number
    of targets that count.

    Args:
        tokens: (N,) integers, N of at least 2.
        batch_size: B, windows in a batch.
        context: T, tokens in a window; may exceed N.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(self, tokens: NDArray[Any], batch_size: int, context: int) -> None:
        self._tokens = _as_tokens(tokens)
        self._batch_size = _at_least(1, batch_size, "batch_size")
        self._context = _at_least(1, context, "context")
        if len(self._tokens) < 2:
            raise ValueError(f"validation needs at least 2 tokens, got {len(self._tokens)}; give more text")
        self._starts = np.arange(0, len(self._tokens) - 1, self._context)

    def __len__(self) -> int:
        return -(-len(self._starts) // self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        return self._batches(self._starts)

    def sample(self, k: int, seed: int = 0) -> Iterator[Batch]:
        """k batches of windows drawn without repetition, or all windows where they fill fewer batches."""
        size = min(_at_least(1, k, "k") * self._batch_size, len(self._starts))
        random = np.random.default_rng(_at_least(0, seed, "seed"))
        return self._batches(random.choice(self._starts, size, replace=False))

    def _batches(self, starts: NDArray[np.int64]) -> Iterator[Batch]:
        for first in range(0, len(starts), self._batch_size):
            yield _gather(self._tokens, starts[first : first + self._batch_size], self._context)


def _gather(tokens: NDArray[Any], starts: NDArray[np.int64], context: int) -> Batch:
    inputs = np.zeros((len(starts), context), np.int64)
    targets = np.full_like(inputs, IGNORE_INDEX)
    for row, start in enumerate(starts):
        window = tokens[start : start + context + 1]
        inputs[row, : len(window) - 1] = window[:-1]
        targets[row, : len(window) - 1] = window[1:]
    return inputs, targets


def _read_header(path: Path, data: bytes) -> tuple[int, dict[str, Any]]:
    """Where the tokens start, and the fields of the header; every field has the right type and range."""
    if len(data) < _PREFIX.size or not data.startswith(_MAGIC):
        raise ValueError(f"{path} is not a token file: it does not start with {_MAGIC.decode()}; name another")
    start = _PREFIX.size + _PREFIX.unpack_from(data)[1]
    if start > len(data) or start % _ALIGNMENT:
        raise _damaged(path, "its header has an impossible length")
    try:
        header = json.loads(data[_PREFIX.size : start])
    except (ValueError, RecursionError):
        raise _damaged(path, "its header is not JSON") from None
    if not isinstance(header, dict):
        raise _damaged(path, "its header is not a JSON object")
    if header.get("version") != _VERSION:
        raise ValueError(
            f"{path} is a token file of version {header.get('version')!r}, this Octavo reads {_VERSION}; "
            "write it again from its text"
        )
    for field, expected, fits in _FIELDS:
        if not fits(header.get(field)):
            raise _damaged(path, f"{field} must be {expected}, got {header.get(field)!r}")
    return start, header


def _checksum(fields: Mapping[str, Any], crc: int) -> str:
    return f"{zlib.crc32(json.dumps(fields).encode(), crc):08x}"


def _is_positive(value: object) -> bool:
    return type(value) is int and 0 < value < 1 << 63


_FIELDS: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    ("dtype", " or ".join(_DTYPES), lambda value: value in tuple(_DTYPES)),
    ("count", "a whole number over 0", _is_positive),
    ("bytes", "a whole number of at least 0", lambda value: type(value) is int and 0 <= value < 1 << 63),
    ("vocab_size", "a whole number over 0", _is_positive),
    ("fingerprint", "a string", lambda value: isinstance(value, str)),
    ("crc32", "a string", lambda value: isinstance(value, str)),
)


def _damaged(path: Path, fault: str) -> ValueError:
    return ValueError(f"{path} is damaged: {fault}; write it again from its text")


def _as_tokens(tokens: NDArray[Any]) -> NDArray[Any]:
    # A plain view: slicing a memmap costs several times as much.
    array = np.asarray(tokens)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"tokens must be one-dimensional integers, got shape {array.shape} of {array.dtype}")
    return array


def _at_least(low: int, value: int, argument: str) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{argument} must be a whole number, got {value!r}") from None
    if number < low:
        raise ValueError(f"{argument} must be at least {low}, got {number}")
    return number
