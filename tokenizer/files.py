"""One JSON file per tokenizer: how it is written whole or not at all, and read with suspicion.

The document names its format, version and kind, and carries a checksum of its other fields, so that no change goes
unnoticed. What those hold is the business of each kind. Version 1 called its checksum fingerprint; it had pairs of ids
for merges and a list of special tokens, from which ids and bytes followed; it is still read.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, TypeVar

from ..kernels.files import atomic_write

FORMAT = "octavo-tokenizer"
VERSION = 2

T = TypeVar("T")


def fingerprint(fields: dict[str, Any]) -> str:
    """The first 16 hex digits of the SHA-256 of the fields as canonical JSON."""
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def write(path: str | os.PathLike[str], fields: dict[str, Any]) -> None:
    """Write `fields` under the format's header; a reader sees the old file or the new one, never a part.

    Raises:
        FileNotFoundError: the folder does not exist.
    """
    document = {"format": FORMAT, "version": VERSION, **fields, "checksum": fingerprint(fields)}
    with atomic_write(path) as file:
        file.write(json.dumps(document, separators=(",", ":")).encode() + b"\n")


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


def check(document: dict[str, Any]) -> None:
    """ValueError where the content of our own document does not match its checksum."""
    name = "fingerprint" if document["version"] == 1 else "checksum"
    fields = {key: value for key, value in document.items() if key not in ("format", "version", name)}
    if fingerprint(fields) != field(document, name, str):
        raise ValueError(f"the content does not match its {name}: the file was changed after it was saved")


def field(document: dict[str, Any], name: str, expected: type[T]) -> T:
    """The field `name`, or a ValueError when it is missing or of another type than `expected`."""
    if name not in document:
        raise ValueError(f'the field "{name}" is missing')
    value = document[name]
    if not isinstance(value, expected):
        raise ValueError(f'the field "{name}" should be {expected.__name__}, not {type(value).__name__}')
    return value
