"""Hugging Face's tokenizer.json, of byte-level BPE: GPT-2, Llama 3, Qwen and their like.

What a file asks for beyond that is refused, not left out in silence: other ids would come out.
"""

import json
import os
import re
from typing import Any, cast

import numpy as np

from ..kernels.files import atomic_write
from .bpe import BPETokenizer
from .files import field
from .patterns import find
from .spelling import lay_out, pairs_by_tiktokens_rule, spell, unspell

__all__ = ["export", "parse"]

_POSSESSIVE_COUNT = re.compile(r"\{\d*,?\d*\}\+")
_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def parse(document: dict[str, Any]) -> BPETokenizer:
    """The tokenizer of a tokenizer.json.

    Raises:
        ValueError: a part is missing, contradicts another, or is one that Octavo does not honour.
    """
    for name in ("truncation", "padding"):
        _require(document.get(name) is None, name, document.get(name), "null: the caller cuts and fills up")
    _require(_kind(document.get("decoder")) == "ByteLevel", "decoder", document.get("decoder"), "ByteLevel")
    normalizer = document.get("normalizer")
    _require(normalizer is None or normalizer == {"type": "NFC"}, "normalizer", normalizer, "null or NFC")
    special, added = _added_tokens(document.get("added_tokens") or [], normalizer is not None)
    model = field(document, "model", dict)
    ids = _vocabulary(model)
    unspelled = [token for token in ids if token not in special and token not in added]
    tokens = unspell(unspelled)
    return BPETokenizer(
        lay_out(tokens, np.array([ids[token] for token in unspelled], np.int64), special | added),
        _merges(model, ids),
        special,
        pattern=_pattern(document.get("pre_tokenizer")),
        whole_words=model.get("ignore_merges") is True,
        added_tokens=added,
        normalizer=None if normalizer is None else "NFC",
        begin=_begin(document.get("post_processor")),
    )


def export(tokenizer: BPETokenizer, path: str | os.PathLike[str]) -> None:
    """Write a tokenizer.json with which tokenizers and transformers give the same ids.

    Raises:
        ValueError: two tokens have the same spelling there, or the pattern means something else there.
    """
    others = {**tokenizer.special_tokens, **tokenizer.added_tokens}
    ordinary = [i for i, token in enumerate(tokenizer.token_bytes) if token and i not in others.values()]
    spelled = spell(tokenizer.token_bytes)
    vocabulary = {spelled[i]: i for i in ordinary}
    # Without a place in the vocabulary, added tokens get the ids after it, in order, whatever the file says.
    if sorted(others.values()) != list(range(len(ordinary), len(ordinary) + len(others))):
        for text, i in others.items():
            if vocabulary.setdefault(text, i) != i:
                raise ValueError(f"the token {text!r} is spelled there like another one; it cannot be written")
    pairs = pairs_by_tiktokens_rule(tokenizer.token_bytes, ordinary) if tokenizer.merges is None else tokenizer.merges
    document = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": i,
                "content": text,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": text in tokenizer.special_tokens,
            }
            for text, i in sorted(others.items(), key=lambda item: item[1])
        ],
        "normalizer": tokenizer.normalizer and {"type": tokenizer.normalizer},
        "pre_tokenizer": _pre_tokenizer(tokenizer.pattern),
        "post_processor": _post_processor(tokenizer),
        "decoder": _BYTE_LEVEL,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": tokenizer.whole_words,
            "vocab": vocabulary,
            "merges": [f"{spelled[left]} {spelled[right]}" for left, right in pairs],
        },
    }
    with atomic_write(path) as file:
        file.write(json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n")


def _refusal(name: str, found: object, wanted: str) -> ValueError:
    return ValueError(f'"{name}" should be {wanted}, not {json.dumps(found):.200}')


def _require(honoured: bool, name: str, found: object, wanted: str) -> None:
    if not honoured:
        raise _refusal(name, found, wanted)


def _kind(part: Any) -> Any:
    return part.get("type") if isinstance(part, dict) else part


def _steps(part: Any, name: str) -> list[Any]:
    """The parts of a sequence, or the only one."""
    if part is None:
        return []
    return field(part, name, list) if _kind(part) == "Sequence" else [part]


def _added_tokens(entries: Any, normalized: bool) -> tuple[dict[str, int], dict[str, int]]:
    """Special tokens and others, by their text."""
    found: tuple[dict[str, int], dict[str, int]] = {}, {}
    for entry in entries if isinstance(entries, list) else [entries]:
        _require(isinstance(entry, dict), "added_tokens", entries, "a list of objects")
        text, i = field(entry, "content", str), field(entry, "id", int)
        for option in ("lstrip", "rstrip", "single_word", *["normalized"] * normalized):
            _require(not entry.get(option), option, entry.get(option), f"false for {text!r}")
        _require(text not in found[0] and text not in found[1], "added_tokens", text, "different texts")
        found[entry.get("special") is not True][text] = i
    return found


def _vocabulary(model: dict[str, Any]) -> dict[str, int]:
    _require(model.get("type", "BPE") == "BPE", "type", model.get("type"), "BPE")
    for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        _require(not model.get(name), name, model.get(name), "null")
    ids = field(model, "vocab", dict)
    if not set(map(type, ids.values())) <= {int}:
        raise ValueError('the values of "vocab" should be integer ids')
    return cast("dict[str, int]", ids)


def _merges(model: dict[str, Any], ids: dict[str, int]) -> "np.ndarray[Any, Any]":
    """Pairs of ids; the file has "left right", since 2024 also ["left", "right"]."""
    merges = field(model, "merges", list)
    found: list[int] = []
    try:
        for merge in merges:
            left, right = merge.split(" ") if isinstance(merge, str) else merge
            found.append(ids[left])
            found.append(ids[right])
    except (KeyError, TypeError, ValueError):
        number = len(found) // 2
        raise ValueError(f"merge {number}, {merges[number]!a:.80}, should name two tokens of the vocabulary") from None
    return np.array(found, np.int64).reshape(-1, 2)


def _pattern(part: Any) -> str:
    match _steps(part, "pretokenizers"):
        case [{"type": "ByteLevel", "add_prefix_space": False, **rest}] if rest.get("use_regex", True):
            return "gpt2"
        case [
            {"type": "Split", "pattern": {"Regex": str(pattern)}, "behavior": "Isolated", "invert": False},
            {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
        ]:
            return pattern
    wanted = "ByteLevel, or Split by a regular expression (Isolated) and ByteLevel, with no space put before the text"
    raise _refusal("pre_tokenizer", part, wanted)


def _begin(part: Any) -> list[int]:
    """The ids that a template puts before a text."""
    begin: list[int] = []
    for step in _steps(part, "processors"):
        match step:
            case {"type": "ByteLevel"}:
                pass
            case {"type": "TemplateProcessing", "single": [*tokens, {"Sequence": {"id": "A"}}]}:
                for token in tokens:
                    try:
                        begin += map(int, step["special_tokens"][token["SpecialToken"]["id"]]["ids"])
                    except (KeyError, TypeError, ValueError):
                        raise _refusal(
                            "post_processor", step, "a template of special tokens that it gives ids to"
                        ) from None
            case _:
                raise _refusal("post_processor", step, "ByteLevel, or a template with tokens before the text only")
    return begin


def _pre_tokenizer(pattern: str) -> dict[str, Any]:
    known = find(pattern)
    if known.name == "gpt2":
        return _BYTE_LEVEL | {"use_regex": True}
    if _POSSESSIVE_COUNT.search(known.oniguruma):
        raise ValueError(
            "the pattern has a possessive count, as {1,3}+, which means something else there; write it without"
        )
    split = {"type": "Split", "pattern": {"Regex": known.oniguruma}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [split, _BYTE_LEVEL]}


def _post_processor(tokenizer: BPETokenizer) -> dict[str, Any]:
    byte_level = _BYTE_LEVEL | {"trim_offsets": False}
    if not tokenizer.begin:
        return byte_level
    texts = {i: text for text, i in {**tokenizer.special_tokens, **tokenizer.added_tokens}.items()}
    begin = [texts[i] for i in tokenizer.begin]

    def sequence(name: str, kind: int) -> list[dict[str, Any]]:
        before = [{"SpecialToken": {"id": text, "type_id": kind}} for text in begin]
        return [*before, {"Sequence": {"id": name, "type_id": kind}}]

    template = {
        "type": "TemplateProcessing",
        "single": sequence("A", 0),
        "pair": sequence("A", 0) + sequence("B", 1),
        "special_tokens": {
            text: {"id": text, "ids": [i], "tokens": [text]} for text, i in zip(begin, tokenizer.begin, strict=True)
        },
    }
    return {"type": "Sequence", "processors": [byte_level, template]}
