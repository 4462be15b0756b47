"""Words and ids of any Unicode text are those of tokenizers and tiktoken, which both know Unicode 16.0."""

from itertools import pairwise

import numpy as np
import pytest

from octavo.tokenizer import BPETokenizer
from octavo.tokenizer.categories import LETTER, LOWER, NEWLINE, NUMBER, OTHER, UPPER, WHITE, classes
from octavo.tokenizer.patterns import find
from octavo.tokenizer.words import words

pytestmark = pytest.mark.peers

NAMES = ["gpt2", "cl100k", "llama3", "qwen2", "o200k"]
CODES = [*range(0xD800), *range(0xE000, 0x110000)]
ALL = "".join(map(chr, CODES))
PROPERTIES = {
    r"\p{L}": LETTER,
    r"\p{N}": NUMBER,
    r"[^\s\p{L}\p{N}]": OTHER,
    r"\s": WHITE,
    r"[\r\n]": NEWLINE,
    r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]": UPPER,
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]": LOWER,
}


def beside_others(character):
    return f"{character}a{character}1{character} {character}\n{character}'s {character}{character}A{character}\r\n"


def encoding(name):
    """tiktoken's encoding, and ours, whose tokens are all pairs of bytes: other words have nearly always other ids."""
    import tiktoken

    tokens = [bytes([i]) for i in range(256)] + [bytes([i, j]) for i in range(256) for j in range(256)]
    ranks = {token: i for i, token in enumerate(tokens)}
    theirs = tiktoken.Encoding(name, pat_str=find(name).text, mergeable_ranks=ranks, special_tokens={})
    return theirs, BPETokenizer(tokens, None, pattern=name, whole_words=True)


def splitter(name):
    import tokenizers

    split = tokenizers.pre_tokenizers.Split(tokenizers.Regex(find(name).oniguruma), "isolated")
    return lambda text: [word for word, _ in split.pre_tokenize_str(text)]


@pytest.mark.parametrize("expression", PROPERTIES)
def test_every_code_point_has_the_class_that_the_peers_give_it(expression):
    import tiktoken
    import tokenizers

    ours = {code for code in CODES if classes()[code] & PROPERTIES[expression]}
    alone = tiktoken.Encoding(
        "", pat_str=expression, mergeable_ranks={bytes([i]): i for i in range(256)}, special_tokens={}
    )
    assert set(map(ord, alone.decode(alone.encode_ordinary(ALL)))) == ours
    split = tokenizers.pre_tokenizers.Split(tokenizers.Regex(f"{expression}+"), "removed", invert=True)
    assert {ord(c) for word, _ in split.pre_tokenize_str(ALL) for c in word} == ours


@pytest.mark.parametrize("name", NAMES)
def test_words_around_every_change_of_class_are_those_of_tokenizers(name):
    table, theirs = classes(), splitter(name)
    changes = [code for a, b in pairwise(CODES) if table[a] != table[b] for code in (a, b)]
    text = "".join(map(beside_others, map(chr, changes)))
    assert words(text, name) == theirs(text)
    for code in changes:
        assert words(chr(code), name) == [chr(code)]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_ids_of_every_code_point_beside_others_are_those_of_tiktoken(name):
    theirs, ours = encoding(name)
    for start in range(0, len(ALL), 1 << 16):
        text = "".join(map(beside_others, ALL[start : start + (1 << 16)]))
        assert np.array_equal(ours.encode(text), theirs.encode_ordinary(text))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_generated_strings_have_the_words_of_tokenizers_and_the_ids_of_tiktoken(name):
    from hypothesis import given, settings
    from hypothesis import strategies as st

    theirs, ours = encoding(name)
    split = splitter(name)
    frequent = st.sampled_from("aASſé日ǅ\u03011٣'slvedmrt/._ \n\r\t\u3000😀")

    @settings(max_examples=20_000, deadline=None, database=None, derandomize=True)
    @given(st.text(frequent | st.characters(exclude_categories=["Cs"]), max_size=40))
    def same(text):
        assert words(text, name) == split(text)
        ids = ours.encode(text)
        assert ids.tolist() == theirs.encode_ordinary(text) and ours.decode(ids) == text

    same()
