"""Tokenizers of three formats: what was loaded, saved and loaded again encodes the same; what is wrong is named."""

import json
import re
from base64 import b64encode

import numpy as np
import pytest

from octavo import tokenizer
from octavo.tokenizer import BPETokenizer, huggingface, tiktoken
from octavo.tokenizer.spelling import spell, unspell
from octavo.tokenizer.words import BYTES

TEXT = "def low(lower):\n    return 'lower'  # it's 1001 naïve lowest 日本語, 日本\n\n\tx = 1000 + 1001\n"
SPECIAL = "<|endoftext|>"
SAMPLES = [
    TEXT,
    "",
    f"low{SPECIAL}er <tool> we'LL 12345\r\n\r\n ",
    "e\u0301te\u0301 \u212b <|begin|>",
    " " * 9 + "x" * 40,
]


@pytest.fixture(scope="module")
def trained():
    return BPETokenizer.train(TEXT * 3, 320)


@pytest.fixture(scope="module")
def llama(trained):
    """As Llama 3: tiktoken's rule, a gap among special tokens, an id that begins a text; and Qwen's normalizer."""
    tokens = [*trained.token_bytes[:-1], SPECIAL.encode(), b"", b"<|begin|>", b"<tool>"]
    n = len(trained.token_bytes) - 1
    return BPETokenizer(
        tokens,
        None,
        {SPECIAL: n, "<|begin|>": n + 2},
        pattern="llama3",
        whole_words=True,
        added_tokens={"<tool>": n + 3},
        normalizer="NFC",
        begin=[n + 2],
    )


def same(first, second):
    for name in ("token_bytes", "special_tokens", "added_tokens", "whole_words", "normalizer", "begin"):
        assert getattr(first, name) == getattr(second, name), name
    same_ids(first, second)


def same_ids(first, second):
    for text in SAMPLES:
        for options in ({}, {"allowed_special": "all"}, {"begin": True}):
            assert first.encode(text, **options).tolist() == second.encode(text, **options).tolist()


def test_bytes_are_spelled_as_gpt2_does():
    assert spell([b" low", b"\n\t", b"", "é".encode()]) == ["Ġlow", "ĊĉG"[:2], "", "Ã©"]
    everything = [BYTES[i : i + 1] for i in range(256)] + [BYTES]
    assert unspell(spell(everything)) == everything
    with pytest.raises(ValueError, match=r"'a\\u2581b' holds U\+2581"):
        unspell(["a", "a▁b"])


def test_our_own_form_keeps_everything(trained, llama, tmp_path):
    path = tmp_path / "tokenizer.json"
    for tok in (trained, llama, BPETokenizer.train(TEXT, 300, pattern=r"\w+|\W", special_tokens=[])):
        tok.save(path)
        again = tokenizer.load(path)
        same(tok, again)
        assert again.fingerprint == tok.fingerprint and again.pattern == tok.pattern
        assert again.merges is None if tok.merges is None else np.array_equal(again.merges, tok.merges)


@pytest.mark.parametrize(
    "change, cause",
    [
        ({"tokens": ["a"], "special_tokens": {}}, "255 of the 256 bytes are no tokens"),
        ({"tokens": ["a", 7]}, "every token should be a string"),
        ({"tokens": ["▁"]}, "which stands for no byte"),
        ({"merges": [1, 2, 3]}, '"merges" should be a list of ids, two for each merge'),
        ({"merges": [[1, 2]]}, '"merges" should be a list of ids, two for each merge'),
        ({"merges": [1 << 70, 2]}, "merges must be integers"),
        ({"merges": [1, 5000]}, "merge 0 joins ids 1 and 5000, not both of which are tokens"),
        ({"merges": [1, 2]}, "which is no token"),
        ({"merges": None}, "does not match its checksum"),
        ({"special_tokens": {"<|x|>": 3}}, "has id 3, where tokens does not hold its bytes"),
        ({"pattern": "("}, "nor a regular expression"),
        ({"normalizer": "NFKC"}, "'NFKC'"),
        ({"whole_words": 1}, 'the field "whole_words" should be bool, not int'),
        ({"begin": [5000]}, "id 5000 is outside the vocabulary"),
    ],
)
def test_our_own_form_is_checked(change, cause, trained, tmp_path):
    path = tmp_path / "tokenizer.json"
    trained.save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))}.*{re.escape(cause)}"):
        tokenizer.load(path)


def test_tiktokens_files(trained, llama, tmp_path):
    path = tmp_path / "ranks.tiktoken"
    plain = BPETokenizer(trained.token_bytes, None, trained.special_tokens, pattern="cl100k", whole_words=True)
    for tok in (plain, BPETokenizer(trained.token_bytes, trained.merges, trained.special_tokens, pattern="cl100k")):
        tiktoken.export(tok, path)
        assert path.read_bytes().splitlines()[:2] == [b"IQ== 0", b"Ig== 1"]
        same_ids(tok, tokenizer.load(path, pattern="cl100k", special_tokens=tok.special_tokens))
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    same_ids(plain, tokenizer.load(path, pattern="cl100k", special_tokens=plain.special_tokens))
    with pytest.raises(ValueError, match="neither normalises text nor has added tokens"):
        tiktoken.export(llama, path)


def test_merges_that_tiktoken_would_not_do(tmp_path):
    a, b, c = BYTES.index(b"a"), BYTES.index(b"b"), BYTES.index(b"c")
    singles = [BYTES[i : i + 1] for i in range(256)]
    path = tmp_path / "ranks"
    for tokens, merges, cause in (
        ([b"ab", b"bc", b"abc"], [(b, c), (a, b), (256, c)], r"leave the token b'abc' in parts"),
        ([b"ab", b"cc"], [(c, c), (a, b)], "make their ids in another order"),
    ):
        with pytest.raises(ValueError, match=cause):
            tiktoken.export(BPETokenizer([*singles, *tokens], merges), path)
    with pytest.raises(ValueError, match="whole_words is false here"):
        tiktoken.export(BPETokenizer([*singles, b"ab"], None), path)
    assert not path.exists()


RANKS = [b64encode(bytes([i])) + b" %d\n" % i for i in range(256)]
DAMAGED_RANKS = {
    "line 3 should be a token in Base64, a space and its id, not b'Ag==2'": [*RANKS[:2], b"Ag==2\n", *RANKS[3:]],
    "line 257 should be": [*RANKS, b"YWI= -1\n"],
    "a token is not Base64": [*RANKS, b"YWI 256\n"],
    "the id 0 is that of b'\\x00' and of b'ab'": [*RANKS, b"YWI= 0\n"],
    "no token has the id 256": [*RANKS, b"YWI= 257\n"],
    "both b'\\x00'": [*RANKS, b"AA== 256\n"],
    "1 of the 256 bytes are no tokens, the first is b'\\xff'": RANKS[:255],
    "ids must be 0 to": [*RANKS, b"YWI= 999999999\n"],
    "the id 7 is that of b'\\x07' and of '<|7|>'": RANKS,
}


@pytest.mark.parametrize("cause", DAMAGED_RANKS)
def test_damaged_ranks(cause, tmp_path):
    path = tmp_path / "ranks.tiktoken"
    path.write_bytes(b"".join(DAMAGED_RANKS[cause]))
    special = {"<|7|>": 7} if "<|7|>" in cause else {}
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))}.*{re.escape(cause)}"):
        tokenizer.load(path, pattern="gpt2", special_tokens=special)


def test_a_rank_file_needs_a_pattern_and_others_take_none(trained, tmp_path):
    path = tmp_path / "ranks.tiktoken"
    path.write_bytes(b"".join(RANKS))
    with pytest.raises(ValueError, match="files lack the pattern; give it"):
        tokenizer.load(path)
    with pytest.raises(ValueError, match=r"'\(' is neither one of .* nor a regular expression"):
        tokenizer.load(path, pattern="(")
    assert tokenizer.load(path, pattern="qwen2").vocab_size == 256
    trained.save(path)
    with pytest.raises(ValueError, match="it has its own pattern"):
        tokenizer.load(path, pattern="gpt2")


def test_hugging_faces_files(trained, llama, tmp_path):
    path = tmp_path / "tokenizer.json"
    for tok in (trained, llama):
        for _ in range(2):
            huggingface.export(tok, path)
            again = tokenizer.load(path)
            same(tok, again)
            tok = again
    one_by_one = json.loads(path.read_text())
    one_by_one["model"]["merges"] = [merge.split(" ") for merge in one_by_one["model"]["merges"]]
    path.write_text(json.dumps(one_by_one))
    same(tok, tokenizer.load(path))


def test_tiktokens_rule_as_merges():
    """Also where a token comes of a later one, by more than one way, or never out of a merge."""
    singles = [BYTES[i : i + 1] for i in range(256)]
    tokens = [*singles, b"abc", b"bc", b"ab", b"xyz", b"aa", b"aaa", b"abab", b"aaaa", b"ca"]
    tok = BPETokenizer(tokens, None, whole_words=True)
    from octavo.tokenizer.spelling import pairs_by_tiktokens_rule

    pairs = pairs_by_tiktokens_rule(tokens, range(len(tokens)))
    assert b"xyz" not in [tokens[left] + tokens[right] for left, right in pairs]
    merged = BPETokenizer(tokens, pairs, whole_words=True)
    draw = np.random.default_rng(1)
    for _ in range(300):
        text = "".join(draw.choice(list("aabcxyz"), draw.integers(1, 12)))
        assert tok.encode(text).tolist() == merged.encode(text).tolist(), text


def edited(document, keys, value):
    if not keys:
        return value
    changed = document.copy()
    changed[keys[0]] = edited(document[keys[0]] if len(keys) > 1 else None, keys[1:], value)
    return changed


ADDED = {"id": 999, "content": "<x>", "special": True}
REFUSED = [
    ("truncation", {"max_length": 5}, '"truncation" should be null'),
    ("decoder", None, '"decoder" should be ByteLevel, not null'),
    ("normalizer", {"type": "NFKC"}, '"normalizer" should be null or NFC, not {"type": "NFKC"}'),
    ("added_tokens", [ADDED | {"lstrip": True}], "\"lstrip\" should be false for '<x>', not true"),
    ("added_tokens", [ADDED | {"single_word": True}], "\"single_word\" should be false for '<x>'"),
    ("added_tokens", [ADDED, ADDED | {"id": 998}], '"added_tokens" should be different texts, not "<x>"'),
    ("added_tokens", [ADDED | {"id": "7"}], 'the field "id" should be int, not str'),
    ("added_tokens", [ADDED | {"id": 7}], "the id 7 is that of b'"),
    ("added_tokens", 5, '"added_tokens" should be a list of objects'),
    ("pre_tokenizer", None, '"pre_tokenizer" should be ByteLevel, or Split'),
    ("pre_tokenizer", {"type": "ByteLevel", "add_prefix_space": True}, "with no space put before the text"),
    ("pre_tokenizer", {"type": "Sequence", "pretokenizers": 5}, 'the field "pretokenizers" should be list'),
    ("post_processor", {"type": "BertProcessing"}, '"post_processor" should be ByteLevel, or a template'),
    ("post_processor", {"type": "TemplateProcessing", "single": [{"SpecialToken": {}}, {"Sequence": {"id": "A"}}]},
     "a template of special tokens that it gives ids to"),
    ("model", 7, 'the field "model" should be dict'),
    ("model.type", "WordPiece", '"type" should be BPE, not "WordPiece"'),
    ("model.dropout", 0.1, '"dropout" should be null, not 0.1'),
    ("model.end_of_word_suffix", "</w>", '"end_of_word_suffix" should be null, not "</w>"'),
    ("model.vocab.!", 300, "the id 300 is that of"),
    ("model.vocab.!", -1, "ids must be 0 to"),
    ("model.vocab.!", True, 'the values of "vocab" should be integer ids'),
    ("model.vocab.▁x", 1000, "which stands for no byte"),
    ("model.vocab.xyz", 1000, "no token has the id 305"),
    ("model.merges", ["Ġ"], "merge 0, '\\u0120', should name two tokens"),
    ("model.merges", ["a !", "a qq"], "merge 1, 'a qq', should name two tokens of the vocabulary"),
    ("model.merges", [["a", "!"], 7], "merge 1, 7, should name"),
    ("model.merges", ["a !"], "merge 0 makes b'a!', which is no token"),
    ("model.merges", None, 'the field "merges" should be list, not NoneType'),
]  # fmt: skip


@pytest.mark.parametrize("keys, value, cause", REFUSED)
def test_what_is_not_honoured_is_refused(trained, tmp_path, keys, value, cause):
    path = tmp_path / "tokenizer.json"
    huggingface.export(trained, path)
    path.write_text(json.dumps(edited(json.loads(path.read_text()), keys.split("."), value)))
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))}.*{re.escape(cause)}"):
        tokenizer.load(path)


def test_what_tokenizer_json_cannot_say(tmp_path):
    path = tmp_path / "tokenizer.json"
    with pytest.raises(
        ValueError, match=r"the pattern has a possessive count, as \{1,3\}\+, which means something else there"
    ):
        huggingface.export(BPETokenizer.train(TEXT, 300, pattern=r"\p{N}{1,2}+|\P{N}"), path)
    singles = [BYTES[i : i + 1] for i in range(256)]
    with pytest.raises(ValueError, match="'Ġ' is spelled there like another one"):
        huggingface.export(BPETokenizer([*singles, b"", "Ġ".encode()], [], {"Ġ": 257}), path)
    assert not path.exists()
