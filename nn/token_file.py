"""Token files: mapped into memory and checked in full before they are trusted.

A token file is the eight bytes OCTAVOTK, the length of the header as a little-endian uint32, the header, and
the tokens as little-endian uint16 or uint32. The header is JSON in UTF-8, padded with spaces so that the
tokens start at a multiple of 64 bytes; the padding counts in its length. Its last field is the CRC-32 of the
tokens and then of the other fields.
"""

import json
import os
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["END_OF_TEXT", "TokenFile", "Tokenizer"]

END_OF_TEXT = "<|endoftext|>"

MAGIC = b"OCTAVOTK"
VERSION = 2
DTYPES: dict[str, np.dtype[Any]] = {"uint16": np.dtype("<u2"), "uint32": np.dtype("<u4")}
PREFIX = struct.Struct("<8sI")
_ALIGNMENT = 64
_LONGEST_HEADER = 1 << 16


class Encoder(Protocol):
    """`octavo.tokenizer`'s encoder of text in chunks."""

    @property
    def held(self) -> int: ...
    def push(self, chunk: str) -> NDArray[Any]: ...
    def finish(self) -> NDArray[Any]: ...


class Tokenizer(Protocol):
    """What token files need to know of a tokenizer."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def special_tokens(self) -> Mapping[str, int]: ...
    def encode_batch(self, texts: Sequence[str]) -> tuple[NDArray[Any], NDArray[Any]]: ...
    def encoder(self) -> Encoder: ...


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
            start, header = _read_header(path, file.read(PREFIX.size + _LONGEST_HEADER))
            self.bytes, self.vocab_size = header["bytes"], header["vocab_size"]
            self.fingerprint = header["fingerprint"]
            dtype = DTYPES[header["dtype"]]
            expected, found = start + header["count"] * dtype.itemsize, os.fstat(file.fileno()).st_size
            if found != expected:
                raise _damaged(path, f"its header promises {expected} bytes, it has {found}")
            if tokenizer is not None:
                self._check_tokenizer(path, tokenizer)
            self.tokens = np.memmap(file, dtype, "r", start, (header["count"],))
        if header.pop("crc32") != checksum(header, zlib.crc32(self.tokens.data)):
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


def header_size(fields: Mapping[str, Any]) -> int:
    """Where tokens start behind a header of these fields."""
    return -(-(PREFIX.size + len(json.dumps(fields))) // _ALIGNMENT) * _ALIGNMENT


def pack_header(magic: bytes, fields: Mapping[str, Any], crc: int, size: int) -> bytes:
    """`size` bytes that hold `fields`, and a checksum of these and of what has the CRC-32 `crc`."""
    header = json.dumps({**fields, "crc32": checksum(fields, crc)}).encode()
    return PREFIX.pack(magic, size - PREFIX.size) + header.ljust(size - PREFIX.size)


def _read_header(path: Path, data: bytes) -> tuple[int, dict[str, Any]]:
    """Where the tokens start, and the fields of the header; every field has the right type and range."""
    if len(data) < PREFIX.size or not data.startswith(MAGIC):
        raise ValueError(f"{path} is not a token file: it does not start with {MAGIC.decode()}; name another")
    start = PREFIX.size + PREFIX.unpack_from(data)[1]
    if start > len(data) or start % _ALIGNMENT:
        raise _damaged(path, "its header has an impossible length")
    try:
        header = json.loads(data[PREFIX.size : start])
    except (ValueError, RecursionError):
        raise _damaged(path, "its header is not JSON") from None
    if not isinstance(header, dict):
        raise _damaged(path, "its header is not a JSON object")
    if header.get("version") != VERSION:
        raise ValueError(
            f"{path} is a token file of version {header.get('version')!r}, this Octavo reads {VERSION}; "
            "write it again from its text"
        )
    for field, expected, fits in _FIELDS:
        if not fits(header.get(field)):
            raise _damaged(path, f"{field} must be {expected}, got {header.get(field)!r}")
    return start, header


def checksum(fields: Mapping[str, Any], crc: int) -> str:
    """Of the fields, and of what has the CRC-32 `crc`."""
    return f"{zlib.crc32(json.dumps(fields).encode(), crc):08x}"


def _is_positive(value: object) -> bool:
    return type(value) is int and 0 < value < 1 << 63


_FIELDS: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    ("dtype", " or ".join(DTYPES), lambda value: value in tuple(DTYPES)),
    ("count", "a whole number over 0", _is_positive),
    ("bytes", "a whole number of at least 0", lambda value: type(value) is int and 0 <= value < 1 << 63),
    ("vocab_size", "a whole number over 0", _is_positive),
    ("fingerprint", "a string", lambda value: isinstance(value, str)),
    ("crc32", "a string", lambda value: isinstance(value, str)),
)


def _damaged(path: Path, fault: str) -> ValueError:
    return ValueError(f"{path} is damaged: {fault}; write it again from its text")
