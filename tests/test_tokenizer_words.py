"""Words end where the published regular expressions say, whatever the text; cuts change no word."""

import logging
import random
from itertools import chain, pairwise, product
from unicodedata import ucd_3_2_0

import numpy as np
import pytest
import regex

from octavo.tokenizer import patterns, split
from octavo.tokenizer.categories import LETTER, LOWER, NEWLINE, NUMBER, OTHER, UPPER, WHITE, classes
from octavo.tokenizer.patterns import find
from octavo.tokenizer.words import words

NAMES = ["gpt2", "cl100k", "llama3", "qwen2", "o200k"]
# Each class in one, two and three bytes or more, and all that a pattern names.
NASTY = [*"asZÉſж日ǅʰ1٣Ⅷ'slevR/._ \n\r\t", "\u0301", "\u0903", "\u00a0", "\u3000", "\u2028", "😀", "𝒳", "𝟙", "\x00"]


def expressions(name):
    """The published texts that the package regex reads: it has no \\z."""
    return [regex.compile(text) for text in patterns._PUBLISHED[name][1] if r"\z" not in text]


def random_texts(n, longest, seed=0):
    rng = random.Random(seed)
    return ("".join(rng.choices(NASTY, k=rng.randint(1, longest))) for _ in range(n))


@pytest.mark.parametrize("name", NAMES)
def test_words_are_those_of_the_published_expressions(name):
    short = map("".join, chain(product(NASTY, repeat=1), product(NASTY, repeat=2)))
    for text in chain(short, random_texts(3000, 5), random_texts(1000, 30)):
        ours = words(text, name)
        for expression in expressions(name):
            assert ours == expression.findall(text), repr(text)


@pytest.mark.parametrize("name", NAMES)
def test_words_of_ascii_letters_of_any_length_before_anything(name):
    expression = expressions(name)[0]
    for shape, after, n in product(["a", " a", "A", "'", " aB", "Aa", "\ta"], [*NASTY, ""], range(18)):
        text = f"{shape}{'x' * n}{after}lx"
        assert words(text, name) == expression.findall(text), repr(text)


@pytest.mark.parametrize("name", NAMES)
def test_every_character_of_unicode_3_alone_and_beside_others(name):
    """Later characters may be unknown to the package regex, or newer there than Unicode 16.0."""
    expression = expressions(name)[0]
    old = [c for c in map(chr, (*range(0x3400), *range(0x4DB0, 0x4E10), *range(0x9FA0, 0x110000, 7)))]
    text = "".join(f"{c}a{c}1{c} {c}\n{c}'s{c}{c}\r" for c in old if ucd_3_2_0.category(c)[0] != "C" or c < "\xa0")
    assert words(text, name) == expression.findall(text)


def test_classes_are_those_of_unicode_16():
    table = classes()
    count = {bit: int((table[:0x110000] & bit > 0).sum()) for bit in (LETTER, NUMBER, WHITE, NEWLINE, UPPER, LOWER)}
    # L 141028 (Lu 1858, Lt 31, Ll 2258, Lm 404, Lo 136477), M 2501, N 1911
    marks = 2501
    assert count == {
        LETTER: 141028,
        NUMBER: 1911,
        WHITE: 25,
        NEWLINE: 2,
        UPPER: 1858 + 31 + 404 + 136477 + marks,
        LOWER: 2258 + 404 + 136477 + marks,
    }
    assert (((table & OTHER) > 0) == (table & (LETTER | NUMBER | WHITE) == 0)).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_word_ends_at_the_end_whatever_lies_behind(name):
    pattern, expression = find(name), expressions(name)[0]
    for text in random_texts(50, 12, seed=1):
        data = np.frombuffer((text + "'lls aé").encode() + bytes(split.PADDING), np.uint8)
        ends, count = np.empty(data.size, np.int64), np.empty(1, np.int64)
        for n in range(len(text)):
            size = len(text[:n].encode())
            split.find_ends(ends, count, data, size, pattern.classes(data[:size]), pattern.code)
            found = [text.encode()[i:j].decode() for i, j in pairwise([0, *ends[: count[0]].tolist()])]
            assert found == expression.findall(text[:n])


@pytest.mark.parametrize("name", NAMES)
def test_a_cut_changes_no_word_whatever_comes_before_and_after(name):
    rng = random.Random(2)
    cuts = 0
    for text in random_texts(2000, 7, seed=3):
        at = find(name).cut(text.encode())
        before, after = ("".join(rng.choices(NASTY, k=k)) for k in (2, 4))
        head = before + text.encode()[:at].decode()
        tail = text.encode()[at:].decode() + after
        if at:
            cuts += 1
            assert words(head, name) + words(tail, name) == words(head + tail, name), (head, tail)
    assert cuts > 1000


@pytest.mark.parametrize("name", NAMES)
def test_there_is_a_cut_in_any_prose(name):
    for text, cut in {
        "of the press": 6,
        "x = f(3)\n    y": 7,
        "日本語。日本語": 9,
        "line\nline": 4,
        "a,\n": 1,
        "123 456": 3,
        "aaaa": 0,
        "    ": 0,
        "": 0,
        "it's": 0,
    }.items():
        assert find(name).cut(text.encode()) == cut, text
    assert find(name).cut(b"of the press", start=6) == 6


def test_another_expression_is_run_by_regex_and_loses_no_text(caplog):
    with caplog.at_level(logging.WARNING, "octavo.tokenizer"):
        assert words("héllo, wörld! x", r"\w+|\s+") == ["héllo", ",", " ", "wörld", "!", " ", "x"]
        assert words("日本!", r"\w(?=\w)") == ["日", "本!"]
        assert words("", r"\w(?=\w)") == [] and words("ab", "c") == ["ab"] and words("ab", "") == ["a", "b"]
    assert [r.message.count("none of the published") for r in caplog.records] == [1] * 4
    assert find(r"\w+|\s+").cut(b"of the press") == 0
    assert find(r"[\w&&[^a]]+").code == split.CUSTOM and words("bab", r"[\w&&[^a]]+") == ["b", "a", "b"]


def test_published_texts_are_recognised_and_others_checked():
    for name, (code, texts) in patterns._PUBLISHED.items():
        assert {find(text) for text in [name, *texts]} == {find(name)} and find(name).code == code
    with pytest.raises(ValueError, match=r"'\(' is neither one of gpt2, cl100k, .* nor a regular expression"):
        find("(")
    with pytest.raises(TypeError, match="name or a regular expression, got NoneType"):
        find(None)
