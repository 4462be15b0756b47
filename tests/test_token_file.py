"""Token files that are checked before they are trusted, and written in spite of kills."""

import json
import struct
import zlib

import numpy as np
import pytest

from octavo.nn.token_file import END_OF_TEXT, TokenFile
from octavo.nn.write_tokens import write_tokens


class Characters:
    """A stand-in tokenizer: one token a character."""

    def __init__(self, vocab_size=257, special_tokens=None, fingerprint="characters"):
        self.vocab_size = vocab_size
        self.special_tokens = {END_OF_TEXT: 256} if special_tokens is None else special_tokens
        self.fingerprint = fingerprint

    def encode_batch(self, texts):
        ids = np.array([ord(character) for character in "".join(texts)], np.uint32)
        return ids, np.cumsum([0, *map(len, texts)])

    def encoder(self):
        return Late()


class Late:
    """Holds the last character back."""

    def __init__(self):
        self._held = ""

    @property
    def held(self):
        return len(self._held)

    def push(self, chunk):
        text = self._held + chunk
        self._held = text[-1:]
        return np.array([ord(character) for character in text[:-1]], np.uint32)

    def finish(self):
        held, self._held = self._held, ""
        return np.array([ord(character) for character in held], np.uint32)


class Killed(Exception):
    pass


@pytest.fixture
def path(tmp_path):
    return tmp_path / "train.tokens"


@pytest.mark.parametrize("vocab_size, dtype", [(65536, np.uint16), (65537, np.uint32)])
def test_what_is_written_is_read(path, vocab_size, dtype):
    tokenizer = Characters(vocab_size)
    seen: list[int] = []
    write_tokens(path, iter(["aé", "", "b"]), tokenizer, seen.append)
    file = TokenFile(path, tokenizer)
    assert file.tokens.tolist() == [97, 233, 256, 256, 98, 256]
    assert file.tokens.dtype == dtype and not file.tokens.flags.writeable
    assert (file.bytes, file.vocab_size, file.fingerprint) == (4, vocab_size, "characters")
    assert file.bytes_per_token == 4 / 6
    assert seen == [3, 0, 1]


def test_the_format(path):
    write_tokens(path, ["ab"], Characters(vocab_size=65536))
    data = path.read_bytes()
    length = struct.unpack("<I", data[8:12])[0]
    assert data[:8] == b"OCTAVOTK" and (12 + length) % 64 == 0
    assert json.loads(data[12 : 12 + length].decode()) == {
        "version": 2,
        "dtype": "uint16",
        "count": 3,
        "bytes": 2,
        "vocab_size": 65536,
        "fingerprint": "characters",
        "crc32": "1527e125",
    }
    assert data[12 + length :] == b"a\0b\0\0\1"


def test_documents_end_only_where_they_are_whole_and_can(path):
    write_tokens(path, ["a", "b"], Characters(), whole_documents=False)
    assert TokenFile(path).tokens.tolist() == [97, 98]
    write_tokens(path, ["a", "b"], Characters(special_tokens={}))
    assert TokenFile(path).tokens.tolist() == [97, 98]


def test_a_failed_write_leaves_the_old_file(path):
    write_tokens(path, ["a"], Characters())
    before = path.read_bytes()
    with pytest.raises(ValueError, match="ids from 97 to 300, its vocab_size is 257"):
        write_tokens(path, ["a", "aĬ"], Characters())
    with pytest.raises(ValueError, match="would hold no tokens"):
        write_tokens(path, [""], Characters(special_tokens={}))
    with pytest.raises(TypeError, match="put it into a list"):
        write_tokens(path, "text", Characters())
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


def _with_header(data, **fields):
    start = 12 + struct.unpack("<I", data[8:12])[0]
    changed = json.loads(data[12:start]) | fields
    del changed["crc32"]
    crc = zlib.crc32(json.dumps(changed).encode(), zlib.crc32(data[start:]))
    header = json.dumps(changed | {"crc32": f"{crc:08x}"} | fields).encode()
    return data[:12] + header.ljust(start - 12) + data[start:]


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda data: b"", "is not a token file"),
        (lambda data: b"PK" + data[2:], "is not a token file"),
        (lambda data: data[:-1], r"promises \d+ bytes, it has \d+; write it again"),
        (lambda data: data + b"\0\0", r"promises \d+ bytes, it has \d+; write it again"),
        (lambda data: data[:40], "header has an impossible length"),
        (lambda data: data[:8] + b"\xff\xff\xff\xff" + data[12:], "header has an impossible length"),
        (lambda data: data[:8] + b"\5" + data[9:], "header has an impossible length"),
        (lambda data: data[:12] + b"[" * (len(data) - 12), "header is not JSON"),
        (lambda data: data[:8] + struct.pack("<I", 50036) + b"[" * 50036, "header is not JSON"),
        (lambda data: data[:12] + b"\xff" + data[13:], "header is not JSON"),
        (lambda data: _with_header(data, version=3), "is a token file of version 3, this Octavo reads 2"),
        (lambda data: _with_header(data, dtype="float16"), "dtype must be uint16 or uint32, got 'float16'"),
        (lambda data: _with_header(data, dtype=["uint16"]), "dtype must be"),
        (lambda data: _with_header(data, dtype="uint32"), "promises"),
        (lambda data: _with_header(data, count=-3), "count must be a whole number over 0, got -3"),
        (lambda data: _with_header(data, count=3.0), "count must be a whole number over 0, got 3.0"),
        (lambda data: _with_header(data, bytes=-1), "bytes must be a whole number of at least 0, got -1"),
        (lambda data: _with_header(data, vocab_size=True), "vocab_size must be a whole number over 0"),
        (lambda data: _with_header(data, vocab_size=98), "it has a token 256, its vocab_size is 98"),
        (lambda data: data[:-6] + b"b" + data[-5:], "its content does not match its checksum"),
        (lambda data: _with_header(data, crc32="0"), "its content does not match its checksum"),
        (lambda data: _with_header(data, crc32=0), "crc32 must be a string, got 0"),
        (lambda data: _with_header(data, fingerprint=None), "fingerprint must be a string, got None"),
    ],
)
def test_a_damaged_file_is_refused(path, damage, message):
    write_tokens(path, ["ab"], Characters())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=message) as caught:
        TokenFile(path)
    assert str(path) in str(caught.value)


def test_the_wrong_file_is_refused(path):
    write_tokens(path, ["ab"], Characters())
    with pytest.raises(ValueError, match="another tokenizer: fingerprint characters, given words"):
        TokenFile(path, Characters(fingerprint="words"))
    with pytest.raises(ValueError, match="another tokenizer: vocab_size 257, given 300"):
        TokenFile(path, Characters(300))
    with pytest.raises(FileNotFoundError, match="write it from text first"):
        TokenFile(path.with_name("none"))
    with pytest.raises(ValueError, match="is a folder"):
        TokenFile(path.parent)


DOCUMENTS = ["ab", ["cd", "", "ef", "g"], "", [], "h", ["ij"]]
WHOLE = [*b"ab", 256, *b"cdefg", 256, 256, 256, *b"h", 256, *b"ij", 256]


def pieces_of(documents, stop):
    """The documents, up to a kill after so many texts and pieces."""
    left = iter(range(stop))

    def cut(pieces):
        for piece in pieces:
            if next(left, None) is None:
                raise Killed
            yield piece

    for document in documents:
        if isinstance(document, str):
            yield from cut([document])
        else:
            yield cut(document)


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_documents_come_whole_or_in_pieces(path, monkeypatch, batch):
    monkeypatch.setattr("octavo.nn.write_tokens._BATCH", batch)
    write_tokens(path, DOCUMENTS, Characters())
    assert TokenFile(path).tokens.tolist() == WHOLE and TokenFile(path).bytes == 10


@pytest.mark.parametrize("stop", range(8))
def test_a_killed_write_goes_on_where_it_had_come_to(path, monkeypatch, stop):
    monkeypatch.setattr("octavo.nn.write_tokens._BATCH", 1)
    monkeypatch.setattr("octavo.nn.write_tokens._SAVE_EVERY", 0)
    part = path.with_name("train.tokens.part")
    with pytest.raises(Killed):
        write_tokens(path, pieces_of(DOCUMENTS, stop), Characters(), resume=True)
    assert part.exists() and not path.exists()
    seen = []
    write_tokens(path, DOCUMENTS, Characters(), seen.append, resume=True)
    assert TokenFile(path).tokens.tolist() == WHOLE and TokenFile(path).bytes == sum(seen) == 10
    assert list(path.parent.iterdir()) == [path]


def test_an_unfinished_file_is_of_the_same_texts_and_tokenizer(path, monkeypatch):
    monkeypatch.setattr("octavo.nn.write_tokens._BATCH", 1)
    monkeypatch.setattr("octavo.nn.write_tokens._SAVE_EVERY", 0)
    part = path.with_name("train.tokens.part")
    with pytest.raises(Killed):
        write_tokens(path, pieces_of(DOCUMENTS, 4), Characters(), resume=True)
    unfinished = part.read_bytes()
    with pytest.raises(ValueError, match=r"the texts are not those that .*\.part was begun with; remove it"):
        write_tokens(path, ["ab", "cx"], Characters(), resume=True)
    with pytest.raises(ValueError, match=r"train\.tokens\.part was begun with another tokenizer"):
        write_tokens(path, DOCUMENTS, Characters(fingerprint="words"), resume=True)
    with pytest.raises(ValueError, match="is not a token file"):
        TokenFile(part)
    assert part.read_bytes() == unfinished
    part.write_bytes(unfinished[:-1] + b"x")  # damaged: all is written anew
    write_tokens(path, DOCUMENTS, Characters(), resume=True)
    assert TokenFile(path).tokens.tolist() == WHOLE
