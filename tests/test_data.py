"""Token files that are checked before they are trusted, and batches that miss and repeat nothing."""

import json
import struct
import zlib

import numpy as np
import pytest

from octavo.nn.data import END_OF_TEXT, IGNORE_INDEX, Batches, EvalBatches, TokenFile, write_tokens


class Characters:
    """A stand-in tokenizer: one token a character."""

    def __init__(self, vocab_size=257, special_tokens=None, fingerprint="characters"):
        self.vocab_size = vocab_size
        self.special_tokens = {END_OF_TEXT: 256} if special_tokens is None else special_tokens
        self.fingerprint = fingerprint

    def encode(self, text):
        return np.array([ord(character) for character in text], np.uint32)


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


@pytest.mark.parametrize("count, batch_size, context", [(101, 3, 8), (9, 4, 8), (15, 2, 8), (16, 5, 8), (64, 7, 1)])
def test_every_window_once_an_epoch_whatever_the_order_of_steps(count, batch_size, context):
    tokens = np.arange(count, dtype=np.uint16)
    batches = Batches(tokens, batch_size, context, seed=5)
    windows, epochs = batches.windows_per_epoch, 6
    steps = range(-(-epochs * windows // batch_size))
    in_order = [batches[step] for step in steps]
    starts = []
    for inputs, targets in in_order:
        assert inputs.shape == targets.shape == (batch_size, context)
        assert inputs.dtype == targets.dtype == np.int64
        assert inputs.flags.c_contiguous and targets.flags.c_contiguous
        np.testing.assert_array_equal(inputs, inputs[:, :1] + np.arange(context))
        np.testing.assert_array_equal(targets, inputs + 1)
        starts += inputs[:, 0].tolist()
    for epoch in np.reshape(starts[: epochs * windows], (epochs, windows)):
        phase = epoch.min()
        assert phase < context
        assert sorted(epoch) == [phase + context * i for i in range(windows)]
    for step in [*steps][::-1]:
        resumed = Batches(tokens, batch_size, context, seed=5)[step]
        for again in (batches[step], resumed):
            np.testing.assert_array_equal(again, in_order[step])


def test_epochs_and_seeds_differ():
    def starts(seed):
        batches = Batches(np.arange(10_000), 99, 100, seed)
        assert batches.windows_per_epoch == 99
        return [batches[epoch][0][:, 0].tolist() for epoch in range(20)]

    ours = starts(1)
    assert ours == starts(1)
    assert len({tuple(epoch) for epoch in ours + starts(2)}) == 40
    assert len({min(epoch) for epoch in ours}) > 10


def test_batches_refuse_what_cannot_be():
    tokens = np.arange(8)
    with pytest.raises(ValueError, match="context of 8 tokens needs data of at least 9, got 8 tokens"):
        Batches(tokens, 1, 8)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        Batches(tokens, 0, 4)
    with pytest.raises(TypeError, match=r"context must be a whole number, got 4\.0"):
        Batches(tokens, 1, 4.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
        Batches(tokens, 1, 4, seed=-1)
    with pytest.raises(ValueError, match="step must be at least 0, got -1"):
        Batches(tokens, 1, 4)[-1]
    with pytest.raises(ValueError, match=r"one-dimensional integers, got shape \(8,\) of float64"):
        Batches(tokens / 2, 1, 4)
    with pytest.raises(ValueError, match="at least 2 tokens, got 1"):
        EvalBatches(tokens[:1], 1, 4)


@pytest.mark.parametrize("count", [2, 5, 8, 9, 10, 33, 40])
def test_validation_covers_every_target_once_in_order(count):
    tokens = np.arange(100, 100 + count, dtype=np.uint16)
    batches = EvalBatches(tokens, batch_size=2, context=4)
    all_batches = list(batches)
    assert len(all_batches) == len(batches)
    inputs, targets = (np.concatenate(part).ravel() for part in zip(*all_batches, strict=True))
    counted = targets != IGNORE_INDEX
    assert inputs[counted].tolist() == tokens[:-1].tolist()
    assert targets[counted].tolist() == tokens[1:].tolist()
    assert not inputs[~counted].any() and (~counted).sum() < 4


def test_a_sample_is_drawn_from_the_whole_without_repetition():
    batches = EvalBatches(np.arange(1, 102), batch_size=3, context=4)

    def firsts(k, seed):
        return [inputs[:, 0].tolist() for inputs, _ in batches.sample(k, seed)]

    assert firsts(4, seed=1) == firsts(4, seed=1) != firsts(4, seed=2)
    assert [len(batch) for batch in firsts(4, seed=1)] == [3] * 4
    assert sorted(start for batch in firsts(100, seed=1) for start in batch) == list(range(1, 101, 4))
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        batches.sample(0)
