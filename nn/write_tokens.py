"""From texts to a token file: in bounded memory, over all threads, and on from where a killed process had come to."""

import json
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..kernels.files import atomic_write, resumable_write
from .token_file import DTYPES, END_OF_TEXT, MAGIC, PREFIX, VERSION, Tokenizer, checksum, header_size, pack_header

__all__ = ["write_tokens"]

_UNFINISHED = b"OCTAVOTU"
_BATCH = 1 << 22  # characters of whole documents that are encoded at once
_SAVE_EVERY = 1 << 26  # bytes of text
_CHUNK = 1 << 24

_Piece = tuple[str, bool]  # a document or part of one, and whether the document ends with it


@dataclass
class _Done:
    """How far it is: tokens, bytes of text, their checksums, pieces, and how many of the last characters wait.

    `waiting` is −1 between documents.
    """

    count: int = 0
    bytes: int = 0
    crc: int = 0
    text_crc: int = 0
    pieces: int = 0
    waiting: int = -1

    def add_text(self, piece: str) -> int:
        data = piece.encode("utf-8", "surrogatepass")  # which the tokenizer refuses in better words
        self.text_crc = zlib.crc32(data, self.text_crc)
        self.bytes += len(data)
        self.pieces += 1
        return len(data)


def write_tokens(
    path: str | os.PathLike[str],
    texts: Iterable[str | Iterable[str]],
    tokenizer: Tokenizer,
    progress: Callable[[int], object] | None = None,
    *,
    whole_documents: bool = True,
    resume: bool = False,
) -> None:
    """Encodes text after text into a token file; only a few megabytes of text are held in memory.

    Args:
        path: replaced when all is written, untouched if anything fails.
        texts: documents, each a text or the pieces of one, cut anywhere; each is followed by the tokenizer's
            `<|endoftext|>` if it has one and `whole_documents`.
        progress: called after each text or piece with its number of UTF-8 bytes.
        resume: keep what is written when this fails or the process is killed, beside `path` with the suffix
            `.part`, and go on there when called again with the same arguments. The texts that are done are read
            again, but not encoded.

    Raises:
        TypeError: `texts` is one string.
        ValueError: no token came out, or one that is not below the tokenizer's `vocab_size`; the texts or the
            tokenizer are not those that an unfinished file was begun with.
    """
    if isinstance(texts, str):
        raise TypeError("write_tokens: texts must be an iterable of texts, got one str; put it into a list")
    vocab_size = int(tokenizer.vocab_size)
    name = "uint16" if vocab_size <= 1 << 16 else "uint32"
    fixed = {"version": VERSION, "dtype": name, "vocab_size": vocab_size, "fingerprint": tokenizer.fingerprint}
    end = tokenizer.special_tokens.get(END_OF_TEXT) if whole_documents else None
    longest = asdict(_Done(*[1 << 63] * 6))
    start = header_size({**fixed, "whole_documents": False, **longest, "crc32": "01234567"})
    begun = {**fixed, "whole_documents": whole_documents}
    pieces = _pieces(texts)
    with resumable_write(path) if resume else atomic_write(path) as file:
        done, held = _Done(), None
        if resume and file.seek(0, os.SEEK_END):
            done = _read_unfinished(file, begun)
            held = _skip(pieces, done, file, progress)
        file.truncate(start + done.count * DTYPES[name].itemsize)
        file.seek(0, os.SEEK_END)
        saved = done.bytes
        for ids, encoded, waiting in _encode(pieces, tokenizer, end, held):
            if ids.size and not 0 <= ids.min() <= ids.max() < vocab_size:
                raise ValueError(
                    f"the tokenizer gave ids from {ids.min()} to {ids.max()}, its vocab_size is "
                    f"{vocab_size}; mend the tokenizer"
                )
            data = ids.astype(DTYPES[name]).data
            file.write(data)
            done.crc = zlib.crc32(data, done.crc)
            done.count, done.waiting = done.count + ids.size, waiting
            for piece in encoded:
                size = done.add_text(piece)
                if progress is not None:
                    progress(size)
            if resume and done.bytes - saved >= _SAVE_EVERY:
                _save_unfinished(file, begun, done, start)
                saved = done.bytes
        if done.count == 0:
            raise ValueError(f"{path} would hold no tokens: the text is empty; give at least one character")
        file.seek(0)
        file.write(pack_header(MAGIC, {**fixed, "count": done.count, "bytes": done.bytes}, done.crc, start))


def _pieces(texts: Iterable[str | Iterable[str]]) -> Iterator[_Piece]:
    for text in texts:
        if isinstance(text, str):
            yield text, True
            continue
        piece = ""
        for following in text:
            if piece:
                yield piece, False
            piece = following
        yield piece, True


def _encode(
    pieces: Iterator[_Piece], tokenizer: Tokenizer, end: int | None, held: str | None
) -> Iterator[tuple[NDArray[Any], list[str], int]]:
    """Ids, the pieces that they are from, and how many characters wait (−1: none, and the document has ended)."""
    after = np.array([] if end is None else [end], np.uint32)
    encoder, batch, characters = tokenizer.encoder(), list[str](), 0

    def batched() -> tuple[NDArray[Any], list[str], int]:
        ids, offsets = tokenizer.encode_batch(batch)
        return (ids if end is None else np.insert(ids, offsets[1:], end)), batch, -1

    within = held is not None
    if held:
        yield encoder.push(held), [], encoder.held
    for piece, last in pieces:
        if last and not within:
            batch.append(piece)
            characters += len(piece)
        if batch and (not last or within or characters >= _BATCH):
            yield batched()
            batch, characters = [], 0
        if not last or within:
            within = not last
            ids = encoder.push(piece)
            if last:
                ids = np.concatenate([ids, encoder.finish(), after])
            yield ids, [piece], encoder.held if within else -1
    if batch:
        yield batched()


def _save_unfinished(file: BinaryIO, begun: dict[str, Any], done: _Done, start: int) -> None:
    """First the tokens reach the disk, then what says that they are there."""
    file.flush()
    os.fsync(file.fileno())
    file.seek(0)
    file.write(pack_header(_UNFINISHED, {**begun, **asdict(done)}, done.crc, start))
    file.flush()
    os.fsync(file.fileno())
    file.seek(0, os.SEEK_END)


def _read_unfinished(file: BinaryIO, begun: dict[str, Any]) -> _Done:
    """How far a killed process had come: nowhere if it had saved nothing yet, or what it saved is damaged."""
    file.seek(0)
    try:
        magic, size = PREFIX.unpack(file.read(PREFIX.size))
        if magic != _UNFINISHED:
            return _Done()
        fields = json.loads(file.read(size))
        done = _Done(**{name: fields[name] for name in asdict(_Done())})
        left, crc = done.count * DTYPES[fields["dtype"]].itemsize, 0
        while left and (data := file.read(min(left, _CHUNK))):
            left, crc = left - len(data), zlib.crc32(data, crc)
        whole = fields.pop("crc32") == checksum(fields, crc) and crc == done.crc
    except (KeyError, TypeError, ValueError, RecursionError, struct.error):
        return _Done()
    if not whole or left:
        return _Done()
    if {name: fields[name] for name in begun} != begun:
        raise ValueError(
            f"{file.name} was begun with another tokenizer, or with documents ended otherwise; remove it to begin anew"
        )
    return done


def _skip(
    pieces: Iterator[_Piece], done: _Done, file: BinaryIO, progress: Callable[[int], object] | None
) -> str | None:
    """Passes over the pieces that are done; the text that waits, or None between documents."""
    seen, waiting = _Done(), ""
    for piece, last in islice(pieces, done.pieces):
        size = seen.add_text(piece)
        if progress is not None:
            progress(size)
        waiting = "" if last or done.waiting < 1 else (waiting + piece)[-done.waiting :]
    if (seen.pieces, seen.bytes, seen.text_crc) != (done.pieces, done.bytes, done.text_crc):
        raise ValueError(f"the texts are not those that {file.name} was begun with; remove it to begin anew")
    return None if done.waiting < 0 else waiting
