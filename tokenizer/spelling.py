"""Tokens as files spell them: laid out by id, and as printable text in which each byte is one character.

GPT-2's spelling takes the characters of Latin-1 that print for the bytes of the same number, and those from U+0100 on
for the other bytes in their order: a space is "Ġ", a newline "Ċ".
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .words import BYTES

_MAX_ID = 1 << 24  # ids that a forged file names must not ask for more memory than a vocabulary can need

_SPELLINGS = np.empty(256, "<u4")
_SPELLINGS[np.frombuffer(BYTES, np.uint8)] = [*BYTES[:188], *range(256, 256 + 68)]
_SPELLED = np.full(int(_SPELLINGS.max()) + 2, -1, np.int16)  # the last stands for all characters beyond
_SPELLED[_SPELLINGS] = range(256)


def spell(tokens: Sequence[bytes]) -> list[str]:
    """The tokens as text, a character for each byte."""
    text = _SPELLINGS[np.frombuffer(b"".join(tokens), np.uint8)].tobytes().decode("utf-32-le")
    return [text[start:end] for start, end in pairwise(accumulate(map(len, tokens), initial=0))]


def unspell(spelled: Sequence[str]) -> list[bytes]:
    """The tokens that `spell` made text of; ValueError for what it cannot have made."""
    if not set(map(type, spelled)) <= {str}:
        raise ValueError("every token should be a string")
    codes = np.frombuffer("".join(spelled).encode("utf-32-le", "surrogatepass"), "<u4")
    values = _SPELLED[np.minimum(codes, len(_SPELLED) - 1)]
    ends = list(accumulate(map(len, spelled), initial=0))
    if (values < 0).any():
        place = int(np.argmax(values < 0))
        token = spelled[int(np.searchsorted(ends, place, "right")) - 1]
        raise ValueError(
            f"the token {token!a:.80} holds U+{codes[place]:04X}, "
            "which stands for no byte; only byte-level vocabularies are read"
        )
    data = values.astype(np.uint8).tobytes()
    return [data[start:end] for start, end in pairwise(ends)]


def lay_out(tokens: Sequence[bytes], ids: NDArray[Any], others: Mapping[str, int]) -> list[bytes]:
    """All tokens by id: `tokens` at `ids`, and `others` (special and added tokens); b"" where an id is not in use.

    Raises:
        ValueError: an id stands there twice, or one below the largest of `ids` is nobody's.
    """
    highest = max([int(ids.max(initial=-1)), *others.values()], default=-1)
    if ids.min(initial=0) < 0 or min(others.values(), default=0) < 0 or highest >= _MAX_ID:
        raise ValueError(f"ids must be 0 to {_MAX_ID - 1}")
    laid_out = [b""] * (highest + 1)
    for i, token in zip(ids.tolist(), tokens, strict=True):
        if laid_out[i]:
            raise ValueError(f"the id {i} is that of {laid_out[i]!r:.80} and of {token!r:.80}")
        laid_out[i] = token
    for text, i in others.items():
        if laid_out[i] not in (b"", text.encode()):
            raise ValueError(f"the id {i} is that of {laid_out[i]!r:.80} and of {text!r:.80}")
        laid_out[i] = text.encode()
    if b"" in laid_out[: int(ids.max(initial=-1))]:
        raise ValueError(f"no token has the id {laid_out.index(b'')}, though there are higher ones")
    return laid_out


def pairs_by_tiktokens_rule(tokens: Sequence[bytes], ids: Sequence[int]) -> list[tuple[int, int]]:
    """The merges that do what tiktoken's rule does, of which words that are a token are left alone.

    What merges within a part of a word does not depend on what stands around it. So whatever word a token appears in,
    it is made there as it is made of its own bytes: always of the same two tokens, or never.
    """
    ranks = {tokens[i]: i for i in ids}
    pairs = []
    for token in sorted(ranks, key=ranks.__getitem__):
        if halves := last_two(token, lambda left, right: ranks.get(left + right, inf)):
            pairs.append((ranks[halves[0]], ranks[halves[1]]))
    return pairs


def last_two(token: bytes, rank: Callable[[bytes, bytes], float]) -> tuple[bytes, bytes] | None:
    """The two parts left before the last merge of a token's bytes, or None where more are left when none can merge.

    Args:
        rank: of the merge of two parts; `math.inf` where they do not.
    """
    parts = [token[i : i + 1] for i in range(len(token))]
    ranks = [rank(left, right) for left, right in pairwise(parts)]
    while len(parts) > 2:
        lowest = min(ranks)
        if lowest == inf:
            return None
        at = ranks.index(lowest)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
        del ranks[at]
        for i in range(max(at - 1, 0), min(at + 1, len(ranks))):
            ranks[i] = rank(parts[i], parts[i + 1])
    return (parts[0], parts[1]) if len(parts) == 2 else None
