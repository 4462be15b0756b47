"""Tokenizers: text comes back whole, merges follow the definition, files are read with suspicion."""

import json
import pickle
import random
import re
from importlib.util import module_from_spec, spec_from_file_location
from itertools import pairwise

import numpy as np
import pytest

from octavo import tokenizer
from octavo.tokenizer import BPETokenizer, ByteTokenizer, CharTokenizer
from octavo.tokenizer.words import BYTES, byte_ids, words

FAMILY = "👩\u200d👩\u200d👧"
TEXT = (
    "def low(lower):\r\n    return lower  # it's the lowest, we'll say 'll\n\n\n\tx = 1000 + 1001\n"
    f"ça e\u0301te\u0301 {FAMILY} 🇪🇺 日本語の日本 \u00a0\u3000\u2028 \x00\x1c\x85 "
    "aaaaaaaaaaaaa ---------- lower lowest\n   "
)
ALPHABETS = ["ab", "a b", " \n\r\t", "lowersti ", "e\u0301\u0300ñ", FAMILY, "日本語ab ", "'sdm tll", TEXT]


@pytest.fixture(scope="module")
def bpe():
    return BPETokenizer.train(TEXT, 340)


@pytest.fixture(scope="module")
def all_kinds(bpe):
    return [ByteTokenizer(), CharTokenizer.train([TEXT, *ALPHABETS]), bpe]


def random_texts(n):
    rng = random.Random(7)
    for i in range(n):
        yield "".join(rng.choices(ALPHABETS[i % len(ALPHABETS)], k=rng.choice([0, 1, 2, 7, 63, 300])))


def merges_of(tok):
    return [tuple(pair) for pair in tok.merges.tolist()]


def naive_merge(ids, merges):
    """The definition: apply the earliest merge that can be, at its leftmost place, until there is none."""
    ids = list(ids)
    while present := [pair for pair in pairwise(ids) if pair in merges]:
        pair = min(present, key=merges.index)
        place = list(pairwise(ids)).index(pair)
        ids[place : place + 2] = [256 + merges.index(pair)]
    return ids


def test_text_comes_back_from_every_tokenizer(all_kinds):
    for tok in all_kinds:
        for text in (TEXT, "", *random_texts(27)):
            ids = tok.encode(text)
            assert ids.dtype == np.uint32 and ids.ndim == 1
            assert tok.decode(ids, errors="strict") == text
            assert tok.decode_bytes(ids.tolist()) == text.encode()
            assert ids.size == 0 or ids.max() < tok.vocab_size == len(tok.token_bytes)


def test_ids_of_bytes_and_characters():
    assert ByteTokenizer().encode("né").tolist() == [0x6E, 0xC3, 0xA9]
    chars = CharTokenizer.train(["ba", "😀a"])
    assert (chars.characters, chars.vocab_size) == ("ab😀", 3)
    assert chars.encode("😀ba").tolist() == [2, 1, 0]


def test_a_trained_vocabulary_is_bytes_then_merges_then_special_tokens(bpe):
    assert bpe.vocab_size == 340
    assert b"".join(bpe.token_bytes[:256]) == BYTES and sorted(BYTES) == list(range(256))
    assert bpe.token_bytes[0] == b"!" and bpe.token_bytes[220] == b" "  # as in GPT-2
    for (left, right), token in zip(bpe.merges, bpe.token_bytes[256:-1], strict=True):
        assert token == bpe.token_bytes[left] + bpe.token_bytes[right]
    assert bpe.special_tokens == {"<|endoftext|>": 339}


def test_words_are_cut_as_gpt2_does():
    assert "|".join(words("We'll see  it's 42° o'clock\n\n  x\r\n ")) == (
        "We|'ll| see| | it|'s| 42|°| o|'|clock|\n\n | x|\r\n "
    )
    endings = ["'s", "'d", "'m", "'t", "'ll", "'re", "'ve"]
    assert list(words("".join(endings))) == endings


def test_equally_frequent_pairs_are_merged_in_the_order_of_ids():
    merged = BPETokenizer.train("zq é ab ba", 400, special_tokens=()).token_bytes[256:]
    assert merged[:2] == [b"ab", b"ba"] and merged[2] == b"zq" and merged[3] == "é".encode()


def test_training_stops_when_nothing_is_left_to_merge():
    done = []
    tok = BPETokenizer.train(["ab", "abc "], 1000, progress=lambda n, total: done.append((n, total)))
    assert tok.token_bytes[256:] == [b"ab", b"abc", b"<|endoftext|>"]
    assert done[-1] == (2, 743)


def test_encoding_follows_the_definition(bpe):
    # Trained merges leave little to the order of merging; arbitrary ones depend on it.
    a, b = byte_ids("ab")
    arbitrary = BPETokenizer.from_merges([(a, a), (b, a), (a, b), (256, 256), (a, 257), (256, b), (259, 257), (b, b)])
    for tok in (bpe, arbitrary):
        for text in random_texts(45):
            expected = [i for word in words(text) for i in naive_merge(byte_ids(word), merges_of(tok))]
            assert tok.encode(text).tolist() == expected
            assert tok.encode(text).tolist() == expected  # from the cache


def test_a_long_run_of_one_character_is_encoded_in_good_time(bpe):
    assert bpe.decode(bpe.encode("a" * 100_000)) == "a" * 100_000


def test_special_tokens_are_text_unless_allowed():
    tok = BPETokenizer.from_merges([], ["<|a|>", "<|a|>b"])
    text = "x<|a|>b<|a|><|a|>é"
    assert tok.encode(text).max() < 256
    x, e = tok.encode("x").tolist(), tok.encode("é").tolist()
    assert tok.encode(text, allowed_special="all").tolist() == [*x, 257, 256, 256, *e]
    assert tok.decode(tok.encode(text, allowed_special="all")) == text
    assert tok.encode("", allowed_special="all").dtype == np.uint32


def test_a_stream_gives_what_decode_gives_and_no_half_character(all_kinds):
    rng = random.Random(3)
    for tok in all_kinds:
        for ids in (tok.encode(TEXT).tolist(), [rng.randrange(tok.vocab_size) for _ in range(500)]):
            stream = tok.stream()
            for _ in range(2):  # a finished stream starts afresh
                assert "".join(map(stream.push, ids)) + stream.finish() == tok.decode(ids)
    stream = ByteTokenizer().stream()
    assert [stream.push(i) for i in "é".encode() + b"\xf0\x9f"] == ["", "é", "", ""]
    assert stream.finish() == "\ufffd"


def test_ids_that_cannot_be_decoded(bpe):
    for bad in ([5, 340], [-1], np.array([2**40])):
        with pytest.raises(ValueError, match=rf"id {max(bad, key=abs)} .* 340 tokens"):
            bpe.decode(bad)
    with pytest.raises(TypeError, match="integers, got float64"):
        bpe.decode([1.0])
    with pytest.raises(ValueError, match=r"one dimension, got shape \(1, 1\)"):
        bpe.decode([[1]])
    half = ByteTokenizer().encode("né")[:2]
    assert ByteTokenizer().decode(half) == "n\ufffd"
    with pytest.raises(ValueError, match="not UTF-8 at byte 1"):
        ByteTokenizer().decode(half, errors="strict")
    with pytest.raises(ValueError, match="errors must be"):
        ByteTokenizer().decode(half, errors="ignore")


def test_text_that_cannot_be_encoded(all_kinds):
    for tok in all_kinds:
        with pytest.raises(ValueError, match=r"lone surrogate U\+D83D at position 17"):
            tok.encode("<|endoftext|> abc\ud83d", allowed_special="all")
        with pytest.raises(TypeError, match="must be str, got bytes"):
            tok.encode(b"abc")
    with pytest.raises(ValueError, match=r"character 'c' \(U\+0063\) at position 2 is not among the 2"):
        CharTokenizer.train("ab").encode("abc")


def test_arguments_that_training_refuses():
    for kind in ("chars", "bpe"):
        size = 300 if kind == "bpe" else None
        for text in ("x\udc00", ["yy", "x\udc00"]):
            with pytest.raises(ValueError, match=r"U\+DC00 at position 1"):
                tokenizer.train(kind, text, size)
        for texts in (b"abc", 7, ["a", None]):
            with pytest.raises(TypeError, match="text"):
                tokenizer.train(kind, texts, size)
    with pytest.raises(ValueError, match="at least one character"):
        tokenizer.train("chars", "")
    with pytest.raises(ValueError, match="at least 257"):
        tokenizer.train("bpe", "abc", 256)
    with pytest.raises(ValueError, match="needs vocab_size"):
        tokenizer.train("bpe", "abc")
    with pytest.raises(ValueError, match='"chars" takes no vocab_size'):
        tokenizer.train("chars", "abc", 300)
    with pytest.raises(ValueError, match="one of bytes, chars, bpe"):
        tokenizer.train("words", "abc")
    with pytest.raises(TypeError, match="special_tokens"):
        BPETokenizer.train("abc", 300, special_tokens="<|a|>")
    with pytest.raises(ValueError, match="duplicates"):
        BPETokenizer.train("abc", 300, special_tokens=["<|a|>", "<|a|>"])


def test_files_and_pickles_give_the_same_tokenizer(all_kinds, tmp_path):
    path = tmp_path / "tokenizer.json"
    for tok in [*all_kinds, CharTokenizer("\x00\n \u2028\ud7ff\ue000😀")]:
        tok.save(path)
        for again in (tokenizer.load(str(path)), pickle.loads(pickle.dumps(tok))):
            assert type(again) is type(tok)
            assert again.fingerprint == tok.fingerprint
            assert again.token_bytes == tok.token_bytes and again.special_tokens == tok.special_tokens
        assert list(tmp_path.iterdir()) == [path]
    without = BPETokenizer.from_merges(merges_of(all_kinds[-1]), ())
    assert len({tok.fingerprint for tok in all_kinds} | {without.fingerprint}) == 4
    assert tokenizer.train("bpe", TEXT, 340).fingerprint == all_kinds[-1].fingerprint


def test_a_save_that_fails_leaves_the_old_file(all_kinds, tmp_path, monkeypatch):
    path = tmp_path / "tokenizer.json"
    all_kinds[0].save(path)
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        all_kinds[-1].save(path)
    assert tokenizer.load(path).kind == "bytes" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        all_kinds[0].save(tmp_path / "nowhere" / "tokenizer.json")


MANGLED = {
    "merge 0 joins ids 3 and 256, but only 0 to 255": {"merges": [[3, 256]]},
    "merge 1 joins ids -1 and 3": {"merges": [[3, 4], [-1, 3]]},
    "makes b'$%' a second time": {"merges": [[3, 4], [3, 4]]},
    r"makes b'!!!' a second time": {"merges": [[0, 0], [256, 0], [0, 256]]},
    "merge 0 should be two integer ids": {"merges": [[3, 4, 5]]},
    "merge 0 should be two integer ids, not 7": {"merges": [7]},
    "merge 1 should be two integer ids": {"merges": [[3, 4], [True, 4]]},
    "over 67108864 bytes": {"merges": [[0, 0], *([i, i] for i in range(256, 300))]},
    '"merges" should be list, not NoneType': {"merges": None},
    "special_tokens holds duplicates": {"special_tokens": ["<|a|>", "<|a|>"]},
    "special_tokens must be": {"special_tokens": [7]},
    "lone surrogate": {"special_tokens": ["\ud800"]},
    "does not match its fingerprint": {"special_tokens": ["<|other|>"]},
    '"fingerprint" should be str': {"fingerprint": 1},
    "version 3; this Octavo reads 1 to 2": {"version": 3},
    "unknown kind 'words'": {"kind": "words"},
    '"kind" should be str': {"kind": ["bpe"]},
    "not a tokenizer": {"format": "safetensors"},
    'field "characters" is missing': {"kind": "chars"},
    "at least one character": {"kind": "chars", "characters": ""},
    "ascending order, without duplicates": {"kind": "chars", "characters": "aa"},
    "U+DC00 at": {"kind": "chars", "characters": "a\udc00"},
}


def version_1(tok):
    document = {"format": "octavo-tokenizer", "version": 1, "kind": "bpe", "merges": tok.merges.tolist()}
    return document | {"special_tokens": list(tok.special_tokens), "fingerprint": tok.fingerprint}


def test_files_of_version_1_are_read(bpe, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(version_1(bpe)))
    assert tokenizer.load(path).token_bytes == bpe.token_bytes
    assert BPETokenizer.from_merges([(64, 65)]).fingerprint == "c3f072a56e3f0add"  # token files hold it


@pytest.mark.parametrize("cause", MANGLED)
def test_a_mangled_file_is_refused_with_its_name_and_the_cause(cause, bpe, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({**version_1(bpe), **MANGLED[cause]}))
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))}.*{re.escape(cause)}"):
        tokenizer.load(path)


def test_a_file_that_is_no_document_is_refused(bpe, tmp_path):
    path = tmp_path / "tokenizer.json"
    bpe.save(path)
    whole = path.read_bytes()
    for content in (b"", whole[:-2], whole[: len(whole) // 2], b"\x80\x81", b"[" * 100_000, b"9" * 5000):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"{re.escape(str(path))}.*not JSON, or cut short"):
            tokenizer.load(path)
    for content in (b"[]", b"null", b"{}"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="not a tokenizer"):
            tokenizer.load(path)
    with pytest.raises(ValueError, match="not a file"):
        tokenizer.load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"nothing\.json: no such tokenizer file"):
        tokenizer.load(tmp_path / "nothing.json")


def test_the_room_cannot_be_imported_bare():
    spec = spec_from_file_location("tokenizer", tokenizer.__file__)
    with pytest.raises(ImportError, match=r"import octavo\.tokenizer"):
        spec.loader.exec_module(module_from_spec(spec))
