"""One JSON file per tokenizer: how it is written whole or not at all, and read with suspicion.

The document names its format, version and kind, and ends with a checksum of all bytes before it, so that no change
goes unnoticed. What the other fields hold is the business of each kind. Version 1 had a fingerprint instead, pairs of
ids for merges, and a list of special tokens, from which ids and bytes followed; it is still read.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, TypeVar

from ..kernels.files import atomic_write

FORMAT = "octavo-tokenizer"
VERSION = 2
_CHECKSUM = b',"checksum"'

T = TypeVar("T")


def fingerprint(fields: dict[str, Any]) -> str:
    """The first 16 hex digits of the SHA-256 of the fields as canonical JSON."""
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return _digest(canonical.encode())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def write(path: str | os.PathLike[str], fields: dict[str, Any]) -> None:
    """Write `fields` under the format's header; a reader sees the old file or the new one, never a part.

    Raises:
        FileNotFoundError: the folder does not exist.
    """
    document = {"format": FORMAT, "version": VERSION, **fields}
    data = json.dumps(document, separators=(",", ":")).encode()[:-1]
    with atomic_write(path) as file:
        file.write(data + _CHECKSUM + b':"' + _digest(data).encode() + b'"}\n')


def read(path: str | os.PathLike[str]) -> bytes:
    """The content of a tokenizer's file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a file; without the path.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such tokenizer file")
    if not path.is_file():
        raise ValueError("not a file")
    return path.read_bytes()


def parse(data: bytes) -> dict[str, Any]:
    """The JSON object of a file's content, ours with its header checked; ValueError where it is no such thing."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON, or cut short ({error})") from None
    if not isinstance(document, dict):
        raise ValueError("JSON, but not a tokenizer: it should be an object")
    if document.get("format") == FORMAT and document.get("version") not in range(1, VERSION + 1):
        raise ValueError(f"version {document.get('version')!r}; this Octavo reads 1 to {VERSION}")
    return document


def check(data: bytes, document: dict[str, Any]) -> None:
    """ValueError where the content of our own file, read as `document`, does not match its checksum."""
    if document["version"] == 1:
        name, others = "fingerprint", ("format", "version", "fingerprint")
        found = fingerprint({key: value for key, value in document.items() if key not in others})
    else:
        name, found = "checksum", _digest(data[: data.rfind(_CHECKSUM)])
    if field(document, name, str) != found:
        raise ValueError(f"the content does not match its {name}: the file was changed after it was saved")


def field(document: dict[str, Any], name: str, expected: type[T]) -> T:
    """The field `name`, or a ValueError when it is missing or of another type than `expected`."""
    if name not in document:
        raise ValueError(f'the field "{name}" is missing')
    value = document[name]
    if not isinstance(value, expected):
        raise ValueError(f'the field "{name}" should be {expected.__name__}, not {type(value).__name__}')
    return value
