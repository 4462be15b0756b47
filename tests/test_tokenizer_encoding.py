"""Encoding follows the definition for any vocabulary, on all threads, and special tokens are what is asked for."""

import random
from itertools import pairwise

import numpy as np
import pytest

from octavo.kernels import device
from octavo.tokenizer import BPETokenizer, encode
from octavo.tokenizer.merge import SHORT
from octavo.tokenizer.words import words

BYTES = [bytes([i]) for i in range(256)]
SCRIPTS = "abc_ab日本語の日本éя😀\u0301 1"


def by_definition(text, tok):
    """The ids, each word merged one pair at a time: that with the smallest rank, of equal ones the leftmost."""
    ids = {token: i for i, token in enumerate(tok.token_bytes)}
    ranks = None if tok.merges is None else {tuple(pair): m for m, pair in enumerate(tok.merges.tolist())}

    def rank(pair):
        made = ids.get(tok.token_bytes[pair[0]] + tok.token_bytes[pair[1]])
        return made if ranks is None else ranks.get(pair)

    for word in words(text, tok.pattern):
        if tok.whole_words and word.encode() in ids:
            yield ids[word.encode()]
            continue
        parts = [ids[bytes([b])] for b in word.encode()]
        while found := [(r, at) for at, pair in enumerate(pairwise(parts)) if (r := rank(pair)) is not None]:
            at = min(found)[1]
            parts[at : at + 2] = [ids[tok.token_bytes[parts[at]] + tok.token_bytes[parts[at + 1]]]]
        yield from parts


def vocabulary(rng, alphabet, size, by_merges, longest):
    """Tokens in any order, which no training would make."""
    tokens, merges, pairs = list(BYTES), [], set()
    starts = sorted(set("".join(alphabet).encode()))
    while len(tokens) < 256 + size:
        left, right = (rng.choice([*starts, *range(256, len(tokens))]) for _ in range(2))
        token = tokens[left] + tokens[right]
        if (left, right) in pairs or len(token) > longest or (token in tokens and not by_merges):
            continue
        pairs.add((left, right))
        merges.append((left, right))
        if token not in tokens:
            tokens.append(token)
        elif rng.random() < 0.5:
            break
    rng.shuffle(merges)
    if by_merges:
        return tokens, merges
    return [*BYTES, *rng.sample(tokens[256:], len(tokens) - 256)], None


@pytest.mark.parametrize("seed", range(24))
def test_any_vocabulary_is_followed_to_the_letter(seed):
    rng = random.Random(seed)
    alphabet = ["a", "ab", "abc", SCRIPTS][seed % 4]
    tokens, merges = vocabulary(rng, alphabet, rng.choice([3, 12, 60]), seed % 3 > 0, 30 if seed < 12 else 300)
    tok = BPETokenizer(tokens, merges, pattern=["gpt2", "cl100k"][seed % 2], whole_words=seed % 5 == 0)
    for size in (1, 2, 3, 15, 16, 17, SHORT - 1, SHORT, SHORT + 1, 150, 1000):
        text = "".join(rng.choices(alphabet, k=size))
        expected = list(by_definition(text, tok))
        assert tok.encode(text).tolist() == expected
        assert tok.encode(text).tolist() == expected  # what is short, from the word table


@pytest.mark.parametrize("text", ["a", "ab", "aab", "abcab" * 9])
def test_runs_with_tokens_longer_than_a_window(text):
    tokens = [*BYTES, *(b"a" * 2**k for k in range(1, 9)), b"ab", b"abab", b"bab", b"cabab" * 30]
    tok = BPETokenizer(tokens, None)
    for size in (SHORT - 1, SHORT, SHORT + 1, 2 * SHORT, 777):
        for tail in ("", "b", "aabab"):
            run = (text * size)[:size] + tail
            assert tok.encode(run).tolist() == list(by_definition(run, tok))


def test_a_token_that_only_a_larger_window_shows():
    """What follows the first token of a word merges, late, into one that then merges with the first one."""
    run = "-" * 27 + "+" + "-" * 35 + "+" + "-" * 9 + "+"
    for word in (run, "x" + run, "xyz" * 40 + run, run * 70):
        text = f"+{word}"
        tok = BPETokenizer.train([text] * 3 + ["-" * 27, run], 600)
        assert tok.encode(text).tolist() == list(by_definition(text, tok))


def test_a_fragment_is_no_word():
    # 本語 is a token that merging does not make: it stands where it is the whole word, not inside a longer one.
    tokens = [*BYTES, "本語".encode(), b"ab"]
    tok = BPETokenizer(tokens, [(ord("a"), ord("b"))], whole_words=True)
    text = "ab本語" * 5
    for _ in range(2):
        assert tok.encode("本語").tolist() == [256]
        assert tok.encode(text).tolist() == list(by_definition(text, tok))


def test_more_words_than_the_word_table_holds():
    tok = BPETokenizer.train("12 13 14 100 101 102", 262)
    numbers = [f" {i}" for i in range(encode._SLOTS)]
    whole = tok.encode("".join(numbers))
    ids, offsets = tok.encode_batch(numbers[-1000:])
    assert whole[-ids.size :].tolist() == ids.tolist() and offsets[-1] == ids.size
    assert tok.decode(whole) == "".join(numbers)


@pytest.mark.parametrize("pattern", ["gpt2", "llama3", r"\w+|\W"])
def test_a_batch_is_its_texts_one_by_one_on_any_number_of_threads(pattern, monkeypatch):
    rng = random.Random(3)
    trained = BPETokenizer.train("the rain in Spain stays mainly in the plain " * 3, 300)
    tok = BPETokenizer.from_merges(trained.merges.tolist(), ["<a>", "<b>"], pattern=pattern)
    texts = ["".join(rng.choices("the rain\n's<a><b>é日 ", k=n)) for n in (0, 1, 900, 0, 3, 5000, 1, 40)]
    monkeypatch.setattr(encode, "_PART", 64)
    before = device.threads()
    try:
        for threads in {1, before}:
            device.threads(threads)
            for options in ({}, {"allowed_special": "all"}, {"allowed_special": ["<b>"]}):
                ids, offsets = tok.encode_batch(texts, **options)
                assert (ids.dtype, offsets.dtype, offsets.size) == (np.uint32, np.int64, len(texts) + 1)
                assert tok.encode_lists(texts, **options) == [tok.encode(text, **options).tolist() for text in texts]
                for text, (start, end) in zip(texts, pairwise(offsets.tolist()), strict=True):
                    assert ids[start:end].tolist() == tok.encode(text, **options).tolist()
                    assert tok.decode(ids[start:end]) == text
    finally:
        device.threads(before)
    assert tok.encode_batch([])[0].size == 0


def test_special_tokens_are_allowed_or_refused_by_name():
    tok = BPETokenizer.from_merges([], ["<a>", "<b>"])
    text = "x<b>y<a>"
    assert tok.encode(text, allowed_special=["<b>"]).tolist()[1] == 257
    assert tok.encode(text, allowed_special={"<b>"}).size == 6
    with pytest.raises(ValueError, match="special token '<a>' at position 5"):
        tok.encode(text, allowed_special={"<b>"}, disallowed_special="all")
    with pytest.raises(ValueError, match="special token '<b>' at position 1"):
        tok.encode_batch(["", text], disallowed_special=["<b>"])
    assert tok.encode("x", disallowed_special="all").size == 1
    with pytest.raises(ValueError, match="'<c>' is none of the special tokens '<a>', '<b>'"):
        tok.encode(text, allowed_special=["<c>"])


def test_added_tokens_a_normalizer_and_what_begins_a_text():
    tokens = [*BYTES, b"<tool>", b"<s>"]
    tok = BPETokenizer(tokens, [], {"<s>": 257}, added_tokens={"<tool>": 256}, normalizer="NFC", begin=[257])
    assert tok.encode("e\u0301<tool><s>", begin=True).tolist() == [257, 0xC3, 0xA9, 256, *b"<s>"]
    assert tok.encode("<s>", allowed_special="all").tolist() == [257]
    with pytest.raises(ValueError, match="normalizer changes this text"):
        tok.encode_with_offsets("e\u0301")
    with pytest.raises(ValueError, match="normalizer must be"):
        BPETokenizer(BYTES, [], normalizer="NFD")


def test_offsets_tell_where_ids_stand():
    tok = BPETokenizer([*BYTES, b"ab", "é".encode(), b"<s>"], None, {"<s>": 258})
    text = "aba é日<s>"
    ids, spans = tok.encode_with_offsets(text, "bytes", allowed_special="all")
    data = text.encode()
    assert [data[start:end] for start, end in spans] == [tok.decode_bytes([i]) for i in ids]
    ids, spans = tok.encode_with_offsets(text, allowed_special="all")
    assert spans.tolist() == [[0, 2], [2, 3], [3, 4], [4, 5], [5, 6], [5, 6], [5, 6], [6, 9]]
    assert tok.count(text) == ids.size + 2
    assert tok.encode_with_offsets("")[1].shape == (0, 2)
    with pytest.raises(ValueError, match='unit must be "bytes" or "characters"'):
        tok.encode_with_offsets(text, "words")


WRONG = {
    "2 of the 256 bytes are no tokens, the first is b'\\x00'": ([b"", b"", *BYTES[2:]], None),
    "tokens 97 and 256 are both b'a'": ([*BYTES, b"a"], None),
    "merge 1 joins ids 98 and 300, not both of which are tokens": ([*BYTES, b"ab"], [(97, 98), (98, 300)]),
    "merge 0 joins ids 97 and 256, not both": ([*BYTES, b"", b"ab"], [(97, 256)]),
    "merge 0 makes b'ba', which is no token": ([*BYTES, b"ab"], [(98, 97)]),
    "merge 1 joins the same ids as merge 0": ([*BYTES, b"ab"], [(97, 98), (97, 98)]),
    "merges must be integers of shape (M, 2), got int64 of shape (1, 3)": (BYTES, [(1, 2, 3)]),
}


@pytest.mark.parametrize("cause", WRONG)
def test_a_vocabulary_that_contradicts_itself_is_refused(cause):
    with pytest.raises(ValueError) as error:
        BPETokenizer(*WRONG[cause])
    assert cause in str(error.value)


def test_ids_that_are_not_in_use_are_refused():
    tok = BPETokenizer([*BYTES, b"", b"ab"], None)
    assert tok.decode([257, 97]) == "aba"
    for ids in ([97, 256], np.array([97, 256], np.uint16)):
        with pytest.raises(ValueError, match="id 256 is not in use"):
            tok.decode(ids)
    for dtype in (np.int8, np.uint8, np.int16, np.int32, np.uint64, ">i4"):
        assert tok.decode(np.arange(97, 103, dtype=dtype)[::2]) == "ace"
