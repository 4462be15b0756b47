"""The same merges as Hugging Face's trainer, and the same ids as its encoder and as tiktoken."""

import json
import random

import pytest

from octavo.tokenizer import BPETokenizer
from octavo.tokenizer.patterns import find
from octavo.tokenizer.words import words

pytestmark = pytest.mark.peers

GPT2_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
SPECIAL = "<|endoftext|>"


def source_code(n_lines, seed):
    """Lines that look like a program's, with long runs, all sorts of white space and several scripts."""
    rng = random.Random(seed)
    names = ["".join(rng.choices("etaoinshrdlu_", k=rng.randint(1, 9))) for _ in range(150)]
    names += [
        "été",
        "e\u0301te\u0301",
        "日本語",
        "данные",
        "👩‍👩‍👧",
        "don't",
        "we'll",
        "aaaaaaaa",
        "-" * 40,
        "\u00a0",
        "\x1c",
    ]
    ends = ["\n", "\r\n", "\n\n\n", "  \n", "\t\n", "\u2028"]
    lines = (" " * 4 * rng.randrange(4) + " ".join(rng.choices(names, k=rng.randint(1, 9))) for _ in range(n_lines))
    return "".join(line + f"({rng.randrange(10**6)}){rng.choice(ends)}" for line in lines)


@pytest.fixture(scope="module")
def text():
    return source_code(1500, seed=1)


@pytest.fixture(scope="module", params=[400, 1500])
def ours(request, text):
    return BPETokenizer.train(text, request.param)


@pytest.fixture(scope="module")
def theirs(ours, text):
    import tokenizers

    tok = tokenizers.Tokenizer(tokenizers.models.BPE())
    tok.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    # Special tokens come first there, and would shift the ids but not their order.
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=ours.vocab_size - 1, initial_alphabet=alphabet, show_progress=False
    )
    tok.train_from_iterator([text], trainer)
    return tok


def merges_of(theirs):
    model = json.loads(theirs.to_str())["model"]
    ids = model["vocab"]
    merges = [pair if isinstance(pair, list) else pair.split(" ") for pair in model["merges"]]
    return [[ids[left], ids[right]] for left, right in merges]


def test_merges_equal_those_of_hugging_face(ours, theirs):
    assert ours.merges.tolist() == merges_of(theirs)


@pytest.mark.parametrize("pattern, limits", [("o200k", {}), ("llama3", {"min_frequency": 5}), ("gpt2", {"longest": 6})])
def test_training_with_other_patterns_and_limits_equals_that_of_hugging_face(pattern, limits, text):
    import tokenizers

    longest, frequency = limits.get("longest", 99), limits.get("min_frequency", 0)
    tok = tokenizers.Tokenizer(tokenizers.models.BPE())
    split = tokenizers.pre_tokenizers.Split(tokenizers.Regex(find(pattern).text), "isolated")
    level = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tok.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([split, level])
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=1400,
        min_frequency=frequency,
        initial_alphabet=level.alphabet(),
        show_progress=False,
        max_token_length=longest + 1,
    )
    tok.train_from_iterator([text, text[:999]], trainer)
    ours = BPETokenizer.train(
        [text, text[:999]],
        1400,
        special_tokens=(),
        pattern=pattern,
        min_frequency=frequency,
        max_token_length=longest,
    )
    assert ours.merges.tolist() == merges_of(tok)


def test_ids_equal_those_of_hugging_face_and_tiktoken(ours, theirs, text):
    import tiktoken

    ranks = {token: i for i, token in enumerate(ours.token_bytes[:-1])}
    third = tiktoken.Encoding("octavo", pat_str=GPT2_PATTERN, mergeable_ranks=ranks, special_tokens=ours.special_tokens)
    for sample in (text, source_code(300, seed=2), "a" * 5000, " " * 301, "\n \n  x", f"it's{SPECIAL}"):
        ids = ours.encode(sample).tolist()
        assert ids == theirs.encode(sample).ids
        assert ids == third.encode_ordinary(sample)
    assert ours.encode(f"a{SPECIAL}b", allowed_special="all").tolist() == third.encode(
        f"a{SPECIAL}b", allowed_special="all"
    )


def test_words_are_cut_as_by_hugging_face():
    import tokenizers

    split = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str
    for code in (
        *range(0x250),
        0x301,
        0x660,
        0x1680,
        0x180E,
        *range(0x2000, 0x2070),
        0x3000,
        0xFEFF,
        0x1F469,
    ):
        sample = f"a{chr(code)}b {chr(code)}{chr(code)} 1{chr(code)}"
        assert list(words(sample)) == [sample[start:end] for _, (start, end) in split(sample)], hex(code)
