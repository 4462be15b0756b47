"""tiktoken's rank files: a line for each token, its bytes in Base64, a space, its id.

Such a file knows neither the pattern nor special tokens. Any two neighbours that together are a token may merge, that
with the smallest id first, and a word that is a token is never taken apart.
"""

import os
import re
from base64 import b64encode
from binascii import a2b_base64
from collections.abc import Mapping
from itertools import pairwise
from math import inf

import numpy as np

from ..kernels.files import atomic_write
from .bpe import BPETokenizer
from .spelling import last_two, lay_out

__all__ = ["export", "parse", "resembles"]

_LINES = re.compile(rb"(?:[A-Za-z0-9+/]+={0,2} [0-9]{1,9}\r?\n)*")
_FIRST = re.compile(rb"[A-Za-z0-9+/]+={0,2} [0-9]+\s")


def resembles(data: bytes) -> bool:
    """Whether a file with this content begins as a rank file does."""
    return _FIRST.match(data) is not None


def parse(data: bytes, pattern: str, special_tokens: Mapping[str, int]) -> BPETokenizer:
    """The tokenizer of a rank file's content.

    Raises:
        ValueError: a line is not a token and its id, ids are missing or there twice, or some byte is no token.
    """
    data = data.rstrip() + b"\n"
    sound = _LINES.match(data).end()  # type: ignore[union-attr]
    if sound < len(data):
        number, line = data.count(b"\n", 0, sound) + 1, data[sound:].partition(b"\n")[0]
        raise ValueError(f"line {number} should be a token in Base64, a space and its id, not {line[:80]!r}")
    fields = data.split()
    try:
        tokens = list(map(a2b_base64, fields[::2]))
    except ValueError as error:
        raise ValueError(f"a token is not Base64 ({error})") from None
    ids = np.fromstring(b" ".join(fields[1::2]).decode(), np.int64, sep=" ")
    tokens = lay_out(tokens, ids, special_tokens)
    return BPETokenizer(tokens, None, special_tokens, pattern=pattern, whole_words=True)


def export(tokenizer: BPETokenizer, path: str | os.PathLike[str]) -> None:
    """Write a rank file, with which tiktoken gives the same ids once it is told pattern and special tokens.

    A list of merges does what tiktoken's rule does if later ones make larger ids and every token comes out of its own
    bytes. For suppose that the rule joined p and q to a token that the merges make of another pair, the shortest such
    token. What merges within a part of a word does not depend on what stands around it, so in the bytes of the token
    alone p and q would be left as well, after joins that the merges make too; but what the merges then join, since
    the token comes out, is p and q.

    Raises:
        ValueError: the merges give other ids than tiktoken's rule, or there is more in the tokenizer than such a file
            and tiktoken know.
    """
    if tokenizer.normalizer or tokenizer.added_tokens:
        raise ValueError("tiktoken neither normalises text nor has added tokens beside special ones")
    others = set(tokenizer.special_tokens.values())
    ordinary = [i for i, token in enumerate(tokenizer.token_bytes) if token and i not in others]
    _require_tiktokens_rule(tokenizer, ordinary)
    with atomic_write(path) as file:
        file.writelines(b64encode(tokenizer.token_bytes[i]) + b" %d\n" % i for i in ordinary)


def _require_tiktokens_rule(tokenizer: BPETokenizer, ordinary: list[int]) -> None:
    if tokenizer.merges is None:
        if tokenizer.whole_words:
            return
        raise ValueError("a word that is a token is always that token in tiktoken; whole_words is false here")
    tokens = tokenizer.token_bytes
    pairs = [(tokens[left], tokens[right]) for left, right in tokenizer.merges]
    rows = {pair: row for row, pair in enumerate(pairs)}
    made = {
        left + right
        for left, right in pairs
        if last_two(left + right, lambda *pair: rows.get(pair, inf)) == (left, right)
    }
    in_parts = [token for token in map(tokens.__getitem__, ordinary) if len(token) > 1 and token not in made]
    if in_parts:
        raise ValueError(f"these merges leave the token {in_parts[0]!r:.80} in parts, which is whole in tiktoken")
    ids = {tokens[i]: i for i in ordinary}
    if any(second <= first for first, second in pairwise(ids[left + right] for left, right in pairs)):
        raise ValueError("tiktoken merges what has the smallest id first; these merges make their ids in another order")
