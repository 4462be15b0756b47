"""Files that are either the old one or the new one, whenever the process is killed."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

__all__ = ["atomic_write", "remove_unfinished", "resumable_write", "writing"]

_UNFINISHED = ".octavo-{}.tmp"
_LOCKED = "make its folder writable, or choose another"
_CURES = {
    "ENOSPC": "free space on that disk and try again",
    "EDQUOT": "free space within your quota and try again",
    "EFBIG": "raise the limit on the size of a file (ulimit -f), or choose another disk",
    "EACCES": _LOCKED,
    "EPERM": _LOCKED,
    "EROFS": _LOCKED,
}


@contextmanager
def writing(path: str | os.PathLike[str], through: str | os.PathLike[str] | None = None) -> Iterator[None]:
    """Makes of an OSError within the block a sentence: which file cannot be written, why, and what to do.

    Its type stays. One that names a file other than `through`, the name under which `path` is written, is left alone.
    """
    names = (None, os.fspath(path if through is None else through))
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename not in names:
            raise
        cure = _CURES.get(errno.errorcode.get(error.errno, ""), "choose another place")
        raise type(error)(f"cannot write {os.fspath(path)}: {error.strerror}; {cure}") from None


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Opens a binary file for writing that takes the place of `path` when the block ends without exception.

    The bytes go to a temporary file in the same folder and reach the disk (fsync) before the rename. A
    failed block removes the temporary file and leaves `path` as it was. Where `path` is a symbolic link, the
    link stays and its target is replaced.

    Raises:
        FileNotFoundError: the folder does not exist.
        IsADirectoryError: `path` is a folder.
        OSError: the disk is full, the folder cannot be written.
    """
    target = _target(path)
    # A name of its own, not target.name with a suffix: that could pass the file system's limit on names.
    temporary = target.with_name(_UNFINISHED.format(secrets.token_hex(8)))
    try:
        with _replacing(target, temporary, "xb") as file:
            yield file
    finally:
        with suppress(OSError):  # the failure that led here tells more
            temporary.unlink(missing_ok=True)


@contextmanager
def resumable_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """As `atomic_write`, but what a failed block or a killed process has written stays, under the suffix .part.

    The next call opens that for reading and writing, at its beginning, instead of an empty file.
    """
    target = _target(path)
    part = target.with_name(target.name + ".part")
    with writing(target, part):
        part.touch()
    with _replacing(target, part, "r+b") as file:
        yield file


def _target(path: str | os.PathLike[str]) -> Path:
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(f"cannot write {target}: it is a folder; name a file")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot write {target}: there is no folder {target.parent}; create it first")
    return target


@contextmanager
def _replacing(target: Path, temporary: Path, mode: str) -> Iterator[BinaryIO]:
    """A file that takes the place of another once all of it is on the disk."""
    with writing(target, temporary), open(temporary, mode) as file:
        yield cast("BinaryIO", file)
        file.flush()
        os.fsync(file.fileno())
    with writing(target, temporary):
        os.replace(temporary, target)
    # The rename itself is durable only with its folder; Windows and some network file systems refuse this.
    with suppress(OSError):
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def remove_unfinished(folder: str | os.PathLike[str]) -> None:
    """Removes the temporary files that a killed process left in a folder, in which nobody may be writing now."""
    for path in Path(folder).glob(_UNFINISHED.format("*")):
        path.unlink(missing_ok=True)
