"""Byte-pair encoding: text as bytes, and frequent pairs of tokens as tokens of their own.

The text is cut into words, and merges never cross from one word to the next. A word is encoded by starting
from its bytes and applying the merges that training learned, the earliest first. Since most words of a text
were seen before, each is merged once and then looked up.

Source: Sennrich et al. 2016, https://arxiv.org/abs/1508.07909; on bytes, Radford et al. 2019, section 2.2.
"""

from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base import Tokenizer
from .files import field
from .pairs import Pair, Progress, count_words, learn_merges
from .words import BYTES, byte_ids, words

END_OF_TEXT = "<|endoftext|>"

_MAX_TOKEN_BYTES = 1 << 26  # of all tokens together: forty merges in a forged file could ask for a terabyte
_MAX_CACHED_WORDS = 1 << 18
_MAX_CACHED_LENGTH = 64


class BPETokenizer(Tokenizer):
    """Ids 0 to 255 are the bytes in GPT-2's order, 256 + m is what merge m makes; special tokens come last.

    Args:
        merges: pairs of ids in the order of merging; each names ids that exist by then and makes new bytes.
        special_tokens: texts that stand for themselves and never come out of a merge.

    >>> tokenizer = BPETokenizer.train("low lower lowest", vocab_size=259)
    >>> tokenizer.encode(" low").tolist()
    [220, 257]
    """

    kind = "bpe"

    def __init__(self, merges: Sequence[Pair], special_tokens: Sequence[str] = (END_OF_TEXT,)) -> None:
        super().__init__(_tokens(merges), special_tokens)
        self.merges = [(left, right) for left, right in merges]
        self._cache = _WordCache({pair: 256 + m for m, pair in enumerate(self.merges)})

    @classmethod
    def train(
        cls,
        texts: str | Iterable[str],
        vocab_size: int,
        *,
        special_tokens: Sequence[str] = (END_OF_TEXT,),
        progress: Progress | None = None,
    ) -> "BPETokenizer":
        """Learn the merges from `texts`; words never span two texts.

        The most frequent pair is merged first, and of equally frequent ones the smallest pair of ids. When
        every word has become one token there is nothing left to merge, and the vocabulary is smaller than
        asked for.

        Args:
            vocab_size: the number of tokens: 256 bytes, the merges, the special tokens.
            progress: called after every merge with the numbers of merges done and asked for.

        Raises:
            ValueError: vocab_size has no room for the bytes and the special tokens.
        """
        smallest = cls((), special_tokens).vocab_size
        if not isinstance(vocab_size, int) or vocab_size < smallest:
            raise ValueError(
                f"vocab_size must be an integer of at least {smallest}, for 256 bytes and {smallest - 256} "
                f"special tokens; got {vocab_size!r}"
            )
        return cls(learn_merges(count_words(texts), vocab_size - smallest, progress), special_tokens)

    def _encode(self, text: str) -> NDArray[np.uint32]:
        return np.frombuffer(bytearray().join(map(self._cache.__getitem__, words(text))), np.uint32)

    def _fields(self) -> dict[str, Any]:
        return {"merges": self.merges, "special_tokens": list(self.special_tokens)}

    @classmethod
    def from_fields(cls, document: dict[str, Any]) -> "BPETokenizer":
        return cls(field(document, "merges", list), field(document, "special_tokens", list))


class _WordCache(dict[str, bytes]):
    """From a word to its ids, as the bytes of uint32; what is missing is merged, and kept within limits."""

    def __init__(self, merged: dict[Pair, int]) -> None:
        self.merged = merged

    def __missing__(self, word: str) -> bytes:
        ids = np.array(merge(byte_ids(word), self.merged), np.uint32).tobytes()
        if len(word) <= _MAX_CACHED_LENGTH:
            if len(self) >= _MAX_CACHED_WORDS:
                self.clear()
            self[word] = ids
        return ids


def merge(first_ids: Iterable[int], merged: dict[Pair, int]) -> list[int]:
    """Merge the pair with the smallest new id, of equal ones the leftmost, until none is left; O(n log n).

    A token stays where its first byte was, `after` and `before` link those that are left, and a heap holds
    the candidates, some of which are gone when their turn comes.
    """
    # −1 ends the word, begins it too (as index −1), and marks what was merged away.
    ids = [*first_ids, -1]
    after = list(range(1, len(ids) + 1))
    before = list(range(-1, len(ids) - 1))
    heap = [(merged[pair], place) for place, pair in enumerate(pairwise(ids)) if pair in merged]
    heapify(heap)
    while heap:
        new, place = heappop(heap)
        second = after[place]
        if merged.get((ids[place], ids[second])) != new:
            continue
        last = after[second]
        ids[place], ids[second] = new, -1
        after[place], before[last] = last, place
        for at, pair in ((before[place], (ids[before[place]], new)), (place, (new, ids[last]))):
            if pair in merged:
                heappush(heap, (merged[pair], at))
    return [i for i in ids if i >= 0]


def _tokens(merges: Sequence[Pair]) -> list[bytes]:
    """The bytes of all ids, checked: ids exist before they are used, and no two are the same."""
    tokens = [BYTES[i : i + 1] for i in range(256)]
    known, total = set(tokens), 0
    for m, pair in enumerate(merges):
        if not isinstance(pair, (list, tuple)) or [type(i) for i in pair] != [int, int]:
            raise ValueError(f"merge {m} should be two integer ids, not {pair!r:.80}")
        left, right = pair
        if not (0 <= left < len(tokens) and 0 <= right < len(tokens)):
            raise ValueError(f"merge {m} joins ids {left} and {right}, but only 0 to {len(tokens) - 1} exist by then")
        total += len(tokens[left]) + len(tokens[right])
        if total > _MAX_TOKEN_BYTES:
            raise ValueError(f"the tokens up to merge {m} take over {_MAX_TOKEN_BYTES} bytes")
        token = tokens[left] + tokens[right]
        if token in known:
            raise ValueError(f"merge {m} makes {token!r} a second time")
        tokens.append(token)
        known.add(token)
    return tokens
