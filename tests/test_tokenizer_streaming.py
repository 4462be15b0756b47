"""Text in chunks: wherever it is cut, the ids are those of the whole."""

import random
import sys
from itertools import pairwise
from time import perf_counter
from unicodedata import decomposition

import numpy as np
import pytest

from octavo.tokenizer import BPETokenizer, ByteTokenizer, CharTokenizer
from octavo.tokenizer.streaming import stands_apart

TEXT = (
    "We'll see  it'S 12345 low-er\r\n\r\n \t x</path>//\n '\n'll  日本語 e\u0301te\u0301 "
    "\u1100\u1161\u11a8 CamelCaseİS'd "
    "<|a|> <|a|>b<|a|<tool><tool>\u0338 \u212b \u09c7\u09be\u00a0\u3000 ſ's'ſ \n  \n  "
)
PATTERNS = ["gpt2", "cl100k", "o200k", "llama3", "qwen2", r"\p{L}+(?= )|\s+|."]


def tokenizer_of(pattern, **options):
    trained = BPETokenizer.train(TEXT, 300, pattern=pattern, special_tokens=["<|a|>", "<|a|>b"])
    added = {"<tool>": trained.vocab_size}
    return BPETokenizer(
        [*trained.token_bytes, b"<tool>"],
        trained.merges,
        trained.special_tokens,
        pattern=pattern,
        added_tokens=added,
        **options,
    )


def streamed(encoder, text, cuts):
    places = [0, *sorted(cuts), len(text)]
    ids = [encoder.push(text[start:end]) for start, end in pairwise(places)]
    return np.concatenate([*ids, encoder.finish()]).tolist()


@pytest.mark.parametrize("normalizer", [None, "NFC"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_any_cut_gives_the_ids_of_the_whole(pattern, normalizer):
    tok = tokenizer_of(pattern, normalizer=normalizer)
    draw = random.Random(pattern)
    for allowed in ((), ["<|a|>"], "all"):
        encoder = tok.encoder(allowed_special=allowed)
        for text in (TEXT, *("".join(draw.choices(TEXT, k=12)) for _ in range(60))):
            whole = tok.encode(text, allowed_special=allowed).tolist()
            assert streamed(encoder, text, range(len(text))) == whole
            for _ in range(4):
                assert streamed(encoder, text, draw.choices(range(len(text)), k=draw.randrange(4))) == whole
    assert streamed(tok.encoder(), "", []) == []


def test_little_is_held_back():
    encoder = tokenizer_of("cl100k", normalizer="NFC").encoder(allowed_special="all")
    for character in TEXT * 3:
        encoder.push(character)
        assert encoder.held <= 24
    assert encoder.finish().size and encoder.held == 0


def test_bytes_and_characters_are_held_back_never():
    for tok in (ByteTokenizer(), CharTokenizer.train(TEXT)):
        encoder = tok.encoder()
        assert encoder.push("日e").tolist() == tok.encode("日e").tolist() and encoder.finish().size == 0


def test_a_long_word_in_little_chunks_takes_linear_time():
    tok = tokenizer_of("gpt2")
    encoder = tok.encoder()
    start = perf_counter()
    ids = [encoder.push("aaaa") for _ in range(50_000)]
    assert perf_counter() - start < 5
    assert np.concatenate([*ids, encoder.finish()]).tolist() == tok.encode("a" * 200_000).tolist()


def test_a_refused_special_token_is_found_across_a_cut():
    encoder = tokenizer_of("gpt2").encoder(disallowed_special="all")
    assert encoder.push("x y <|a").size
    with pytest.raises(ValueError, match=r"holds the special token '<\|a\|>'"):
        encoder.push("|> z")


def test_what_cannot_be_pushed():
    encoder = tokenizer_of("gpt2").encoder()
    with pytest.raises(TypeError, match="a chunk of text must be str, got bytes"):
        encoder.push(b"a")
    with pytest.raises(ValueError, match=r"lone surrogate U\+DC00"):
        encoder.push("a b \udc00 c d")


def test_what_joins_what_stands_before_it_does_not_stand_apart():
    seconds = {
        chr(int(parts[1], 16))
        for code in range(sys.maxunicode + 1)
        if len(parts := decomposition(chr(code)).split()) == 2 and not parts[0].startswith("<")
    }
    hangul = {chr(code) for code in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))}
    assert len(seconds) > 60 and not any(map(stands_apart, seconds | hangul))
    assert all(map(stands_apart, "aé<\n 日한ひ\u1100"))
