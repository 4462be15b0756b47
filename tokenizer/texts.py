"""Texts to train on, which need not fit into memory."""

import codecs
import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

Text = str | os.PathLike[str] | Iterator[str]  # in pieces, cut anywhere
Texts = str | os.PathLike[str] | Iterable[Text]


def parts_of(texts: Texts, size: int = 1 << 23) -> Iterator[tuple[str, bool]]:
    """Parts of texts, of about `size` characters or bytes, and of each whether it is its text's last.

    Raises:
        FileNotFoundError: there is no such file or folder.
        TypeError: a text is neither str, nor a path, nor an iterator of str.
        ValueError: a file is not UTF-8; names it.
    """
    if not isinstance(texts, (str, os.PathLike, Iterable)):
        raise TypeError(f"texts must be str, a path, or an iterable of them, got {type(texts).__name__}")
    for text in [texts] if isinstance(texts, (str, os.PathLike)) else texts:
        if isinstance(text, str):
            for start in range(0, len(text), size):
                yield text[start : start + size], False
            yield "", True
        elif isinstance(text, os.PathLike):
            for path in _files(Path(text)):
                try:
                    with path.open("rb") as file:
                        for part in codecs.iterdecode(iter(partial(file.read, size), b""), "utf-8"):
                            yield part, False
                except UnicodeDecodeError as error:
                    raise ValueError(f"{path} is not UTF-8 ({error.reason}); give text files only") from None
                yield "", True
        elif isinstance(text, Iterator):
            for piece in text:
                if not isinstance(piece, str):
                    raise TypeError(f"every piece of a text must be str, got {type(piece).__name__}")
                yield piece, False
            yield "", True
        else:
            raise TypeError(f"every text must be str, a path or an iterator of str, got {type(text).__name__}")


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}; a text is given as str, not as a path")
    if not path.is_dir():
        return [path]
    shown = (p for p in path.rglob("*") if not any(name.startswith(".") for name in p.relative_to(path).parts))
    return sorted(p for p in shown if p.is_file())
