"""Finding text to train on, and holding some of it back for validation."""

import codecs
import hashlib
import logging
import os
import sys
import sysconfig
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple

__all__ = ["Document", "Split", "iterate_texts", "read_texts", "split_texts"]

_log = logging.getLogger(__name__)
_NOT_STANDARD_LIBRARY = {"site-packages", "dist-packages", "test", "tests", "__pycache__"}
_PIECE = 1 << 24  # bytes


class Document(NamedTuple):
    """A text and its name: the path within its folder with forward slashes, the same on every machine."""

    name: str
    text: str


@dataclass(frozen=True)
class Split:
    """Texts for training and for validation; `whole_documents` is false where one text was cut in two."""

    train: list[str]
    val: list[str]
    whole_documents: bool

    def __str__(self) -> str:
        return f"train {_count(self.train)}; validation {_count(self.val)}"


def read_texts(source: str | os.PathLike[str] | None = None) -> list[Document]:
    """Reads a source of text into memory.

    Args:
        source: a file; a folder, of which every UTF-8 text file is read except hidden and empty ones, sorted
            by path; "-", standard input; or None, the Python standard library's source, without its tests.

    Returns:
        At least one document, none of them empty. Line ends are kept as they are.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: a file or standard input that is empty, binary (has a NUL byte) or not UTF-8, or a folder
            without text. Within a folder binary and non-UTF-8 files are skipped and counted in the log.
    """
    if source is None:
        library = Path(sysconfig.get_paths()["stdlib"])
        return _documents(library, ".py", _NOT_STANDARD_LIBRARY)
    if source == "-":
        return [Document("standard input", _decode(sys.stdin.buffer.read(), "standard input")[0])]
    path = _existing(source)
    if path.is_dir():
        return _documents(path)
    return [Document(path.name, _decode(path.read_bytes(), path)[0])]


def iterate_texts(source: str | os.PathLike[str]) -> Iterator[str | Iterator[str]]:
    """The texts of a source, as `read_texts`, but one after another, and large ones in pieces, cut anywhere.

    Raises:
        FileNotFoundError, ValueError: as `read_texts`; for a fault in a later piece of a file, when it is read.
    """
    if source == "-":
        yield _pieces(sys.stdin.buffer, "standard input")
        return
    path = _existing(source)
    if path.is_dir():
        yield from (text for _, text in _folder(path))
        return
    with open(path, "rb") as file:
        yield _pieces(file, path)


def split_texts(documents: Sequence[Document], val_fraction: float = 0.1) -> Split:
    """Holds back a share of the text for validation, always the same.

    Of one document, the last `val_fraction` of the characters. Of several, `val_fraction` of the documents as
    wholes, those whose names have the smallest SHA-256, in the given order; at least one on each side.

    Raises:
        ValueError: a fraction not between 0 and 1, no document, or a single one of fewer than two characters.
    """
    if not 0 < val_fraction < 1:
        raise ValueError(f"val_fraction must lie between 0 and 1, got {val_fraction!r}")
    if not documents:
        raise ValueError("there is no document to split; give at least one")
    if len(documents) == 1:
        name, text = documents[0]
        if len(text) < 2:
            raise ValueError(f"{name} is too short to hold some back ({len(text)} characters); give more text")
        cut = len(text) - _share(len(text), val_fraction)
        return Split([text[:cut]], [text[cut:]], whole_documents=False)
    by_hash = sorted(range(len(documents)), key=lambda i: _hash(documents[i].name))
    held_back = set(by_hash[: _share(len(documents), val_fraction)])
    return Split(
        [document.text for i, document in enumerate(documents) if i not in held_back],
        [documents[i].text for i in sorted(held_back)],
        whole_documents=True,
    )


def _existing(source: str | os.PathLike[str]) -> Path:
    path = Path(source)
    # Path("") is the current folder, which nobody asks for with an unset variable.
    if source == "" or not path.exists():
        raise FileNotFoundError(f"there is no {str(source)!r}; give a file, a folder, or - for standard input")
    return path


def _documents(root: Path, suffix: str = "", without: Collection[str] = ()) -> list[Document]:
    found = _folder(root, suffix, without)
    return [Document(name, text if isinstance(text, str) else "".join(text)) for name, text in found]


def _folder(root: Path, suffix: str = "", without: Collection[str] = ()) -> Iterator[tuple[str, str | Iterator[str]]]:
    found = skipped = 0
    for name, path in _files(root, suffix, without):
        with open(path, "rb") as file:
            pieces = _pieces(file, path)
            try:
                first = next(pieces)
            except ValueError:
                skipped += os.fstat(file.fileno()).st_size > 0
                continue
            found += 1
            yield name, first if os.fstat(file.fileno()).st_size <= _PIECE else chain([first], pieces)
    if skipped:
        _log.warning("%s: skipped %d files that are binary or not UTF-8", root, skipped)
    if not found:
        raise ValueError(
            f"{root} holds no {suffix or 'text'} file to read (hidden, empty, binary and non-UTF-8 files do "
            "not count); give a folder or a file with UTF-8 text"
        )


def _pieces(file: BinaryIO, origin: object) -> Iterator[str]:
    """The text of a file, at least one piece."""
    at, data, following = 0, file.read(_PIECE), b"-"
    while following:
        following = file.read(_PIECE)
        text, size = _decode(data, origin, at, final=not following)
        yield text
        at, data = at + size, data[size:] + following


def _files(root: Path, suffix: str, without: Collection[str]) -> list[tuple[str, Path]]:
    found = []
    for folder, subfolders, names in os.walk(root, onerror=_raise):
        subfolders[:] = [name for name in subfolders if not name.startswith(".") and name not in without]
        found += [Path(folder, name) for name in names if name.endswith(suffix) and not name.startswith(".")]
    # is_file: a pipe would block the reader, and a dangling link cannot be read.
    return sorted((path.relative_to(root).as_posix(), path) for path in found if path.is_file())


def _raise(error: OSError) -> None:
    raise error


def _decode(data: bytes, origin: object, at: int = 0, *, final: bool = True) -> tuple[str, int]:
    """The text of bytes that stand at a place in a file, and how many they are without an unfinished character."""
    if not data:
        raise ValueError(f"{origin} is empty; give UTF-8 text")
    nul = data.find(0)
    if nul >= 0:
        raise ValueError(f"{origin} is binary (byte {at + nul} is NUL); give plain text, encoded as UTF-8")
    try:
        return codecs.utf_8_decode(data, "strict", final)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{origin} is not UTF-8 (byte {at + error.start} is 0x{data[error.start]:02x}); convert it, "
            "for example with: iconv -f ENCODING -t utf-8"
        ) from None


def _share(total: int, fraction: float) -> int:
    return min(max(round(total * fraction), 1), total - 1)


def _hash(name: str) -> bytes:
    # surrogatepass: a file name need not be valid Unicode.
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()


def _count(texts: list[str]) -> str:
    characters = sum(map(len, texts))
    return f"{len(texts):,} document{'s' * (len(texts) != 1)}, {characters:,} characters"
