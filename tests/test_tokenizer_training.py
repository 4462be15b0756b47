"""Training: words are counted wherever text is cut, merges follow the definition, memory is kept within its limit."""

import logging
import random
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

import octavo
from octavo import tokenizer
from octavo.tokenizer import BPETokenizer, count
from octavo.tokenizer.patterns import find
from octavo.tokenizer.words import BYTES, words

LETTERS = "aab éß日👩 '-\n"


def random_text(n, seed, letters=LETTERS):
    rng = random.Random(seed)
    names = ["".join(rng.choices(letters, k=rng.choice([1, 2, 5, 7, 8, 9, 14, 15, 16, 17, 40]))) for _ in range(n)]
    return " ".join(rng.choices(names, k=5 * n))


def counted(texts, pattern="gpt2", memory=1 << 30):
    """The words as a dict, longer than a byte, through what learning takes."""
    table = count.count_words(texts, find(pattern), memory)
    counts, word, ids = table.laid_out(np.arange(256, dtype=np.int32), -1)
    found = [bytearray() for _ in counts]
    for w, byte in zip(word, ids, strict=True):
        if byte >= 0:
            found[w].append(byte)
    assert len({bytes(w) for w in found}) == len(found)
    return {bytes(w): int(n) for w, n in zip(found, counts, strict=True)}


def expected(texts):
    return {w: n for w, n in Counter(word.encode() for text in texts for word in words(text)).items() if len(w) > 1}


@pytest.fixture
def small(monkeypatch):
    """Blocks and tables so small that each is filled many times."""
    monkeypatch.setattr(count, "_BLOCK", 256)
    monkeypatch.setattr(count, "_SLOTS", 64)


@pytest.mark.parametrize("threads", [1, 2])
def test_words_are_counted_however_text_is_cut(small, threads):
    before = octavo.threads()
    octavo.threads(min(threads, before))
    try:
        texts = [random_text(150, 1), "", "a" * 1000, "a", " " * 300, random_text(150, 2)]
        assert counted(texts) == expected(texts)
        assert counted(texts[0]) == expected(texts[:1])
    finally:
        octavo.threads(before)


def test_words_that_differ_in_one_byte_are_told_apart():
    distinct = ["a" * n + letter for n in range(1, 40) for letter in "abc"]
    distinct += ["x" * 20 + letter + "x" * 20 for letter in "abc"]
    assert counted(" ".join(distinct)) == expected([" ".join(distinct)])


def test_a_regular_expression_of_ones_own_cuts_each_text_alone(small):
    texts = ["ab" * 300, "abc", "b"]
    assert counted(texts, "[^b]+b?") == {b"ab": 301}


def test_files_folders_and_iterators_give_what_strings_give(tmp_path, small):
    texts = [random_text(80, seed) for seed in range(3)]
    for name, text in zip("cab", texts, strict=True):
        (tmp_path / "folder" / name).mkdir(parents=True)
        (tmp_path / "folder" / name / "text").write_bytes(text.encode())
    (tmp_path / "folder" / ".hidden").write_bytes(b"\xff")
    merges = BPETokenizer.train(texts, 400).merges.tolist()
    assert len(merges) == 143
    pieces = ((text[i : i + 7] for i in range(0, len(text), 7)) for text in texts)
    for given in (tmp_path / "folder", (tmp_path / "folder" / name / "text" for name in "abc"), iter(texts), pieces):
        assert BPETokenizer.train(given, 400).merges.tolist() == merges
    assert tokenizer.train("chars", tmp_path / "folder").characters == tokenizer.train("chars", texts).characters

    with pytest.raises(FileNotFoundError, match=r"no file or folder .*nothing"):
        BPETokenizer.train(tmp_path / "nothing", 400)
    (tmp_path / "folder" / "z").write_bytes(b"ab\xff")
    with pytest.raises(ValueError, match="z is not UTF-8"):
        BPETokenizer.train(tmp_path / "folder", 400)


def naive_training(words, n_merges, min_frequency, max_token_length):
    """The definition: all pairs are counted anew for each merge."""
    ids = [([BYTES.index(byte) for byte in word], n) for word, n in words.items()]
    lengths, merges = [1] * 256, []
    while len(merges) < n_merges:
        pairs = Counter()
        for word, n in ids:
            for pair in pairwise(word):
                pairs[pair] += n * (lengths[pair[0]] + lengths[pair[1]] <= max_token_length)
        best = min(pairs, key=lambda pair: (-pairs[pair], pair), default=None)
        if best is None or pairs[best] < max(min_frequency, 1):
            break
        for word, _ in ids:
            for at in range(len(word)):
                if tuple(word[at : at + 2]) == best:
                    word[at : at + 2] = [256 + len(merges)]
        lengths.append(lengths[best[0]] + lengths[best[1]])
        merges.append(best)
    return merges


@pytest.mark.parametrize("min_frequency, max_token_length", [(0, 99), (4, 99), (1, 2), (2, 3), (0, 7)])
def test_limits_follow_the_definition(min_frequency, max_token_length):
    for text in (random_text(60, 3), random_text(60, 4, "ab"), "aaaaaaa aaaa aaa" * 3, "abababab babab"):
        n = 300
        tok = BPETokenizer.train(
            text,
            256 + n,
            special_tokens=(),
            min_frequency=min_frequency,
            max_token_length=max_token_length,
        )
        merges = naive_training(expected([text]), n, min_frequency, max_token_length)
        assert list(map(tuple, tok.merges.tolist())) == merges


def test_rare_words_are_dropped_with_a_warning_and_the_same_for_any_number_of_threads(small, caplog):
    rare = (f"common words, {i * 7919} and again common words" for i in range(8000))
    text = " ".join(rare)
    found = []
    before = octavo.threads()
    for threads in {1, before}:
        octavo.threads(threads)
        with caplog.at_level(logging.WARNING):
            found.append(counted(text, memory=1 << 18))
    octavo.threads(before)
    assert "memory=262144" in caplog.text and "were dropped" in caplog.text
    assert all(words == found[0] for words in found)
    assert found[0][b" common"] == 15999 and len(found[0]) < 3000


def test_numbers_that_training_refuses():
    for name, value in {"min_frequency": -1, "max_token_length": 1, "memory": 5}.items():
        with pytest.raises(ValueError, match=f"{name} must be an integer of at least .*; got {value}"):
            BPETokenizer.train("abc", 300, **{name: value})
    with pytest.raises(ValueError, match='"chars" takes no min_frequency'):
        tokenizer.train("chars", "abc", min_frequency=2)
