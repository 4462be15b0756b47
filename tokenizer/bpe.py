"""Byte-pair encoding: text as bytes, and frequent pairs of tokens as tokens of their own.

The text is cut into words, and merges never cross from one word to the next. A word is encoded by starting
from its bytes and applying the merges that training learned, the earliest first. Since most words of a text
were seen before, each is merged once and then looked up.

Source: Sennrich et al. 2016, https://arxiv.org/abs/1508.07909; on bytes, Radford et al. 2019, section 2.2.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, Literal
from unicodedata import normalize

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import files
from .base import Ids, Specials, Tokenizer, texts_of, utf8
from .count import count_words
from .encode import Encoder
from .learn import Pair, Progress, learn_merges
from .patterns import find
from .spelling import spell, unspell
from .streaming import Settled, StreamEncoder, any_of
from .tables import vocabulary
from .texts import Texts
from .words import BYTES

END_OF_TEXT = "<|endoftext|>"

# What else makes a tokenizer, and the values that files leave out.
_OPTIONS: dict[str, Any] = {
    "pattern": "gpt2",
    "whole_words": False,
    "added_tokens": {},
    "normalizer": None,
    "begin": [],
}
_MAX_TOKEN_BYTES = 1 << 26  # of all tokens together: forty merges in a forged file could ask for a terabyte


class BPETokenizer(Tokenizer):
    """Words, and in each the pair of neighbours with the smallest rank made one, the leftmost of equal ones first.

    Args:
        tokens: the bytes of every token, by id; b"" where an id is not in use. All 256 bytes are among them.
        merges: integers of shape (M, 2), the ids of the two tokens that merge, smallest rank first; what they make
            is the token that has their bytes. None: any two tokens merge whose bytes together are a token, and that
            with the smallest id first, as tiktoken does.
        special_tokens: the ids of those that stand for themselves and never come out of a merge, by their text.
        pattern: how text is cut into words: the name of a pattern or a regular expression, see patterns.py.
        whole_words: a word that is a token is that token, whatever the merges say.
        added_tokens: the ids of those that always stand for themselves, by their text.
        normalizer: "NFC": text between special and added tokens is brought into this form first.
        begin: the ids that stand before a text which is encoded with `begin=True`.

    Raises:
        ValueError: a byte is no token, two tokens are the same, a merge names or makes none, or comes twice.

    >>> tokenizer = BPETokenizer.train("low lower lowest", vocab_size=259)
    >>> tokenizer.encode(" low").tolist()
    [220, 257]
    """

    kind = "bpe"

    def __init__(
        self,
        tokens: Sequence[bytes],
        merges: ArrayLike | None,
        special_tokens: Mapping[str, int] | None = None,
        *,
        pattern: str = "gpt2",
        whole_words: bool = False,
        added_tokens: Mapping[str, int] | None = None,
        normalizer: Literal["NFC"] | None = None,
        begin: Sequence[int] = (),
    ) -> None:
        super().__init__(tokens, {**(special_tokens or {}), **(added_tokens or {})})
        self.added_tokens = dict(added_tokens or {})
        self.special_tokens = dict(special_tokens or {})
        if normalizer not in ("NFC", None):
            raise ValueError(f'normalizer must be "NFC" or None, got {normalizer!r}')
        self.normalizer = normalizer
        self.begin = tuple(begin)
        if self.begin:
            self.decode_bytes(self.begin)  # refuses what is no id
        self.merges = None if merges is None else _pairs(merges)
        self.pattern = find(pattern).name or pattern
        self.whole_words = whole_words
        in_use = np.diff(self._offsets) > 0
        in_use[[*self.special_tokens.values(), *self.added_tokens.values()]] = False
        ordinary = vocabulary(self._data, self._offsets, np.flatnonzero(in_use))
        self._encoder = Encoder(ordinary, self.merges, find(self.pattern), whole_words)

    @classmethod
    def from_merges(
        cls, merges: Sequence[Pair], special_tokens: Sequence[str] = (END_OF_TEXT,), **options: Any
    ) -> "BPETokenizer":
        """As training numbers tokens: the bytes in GPT-2's order, what each merge makes, the special tokens.

        Args:
            merges: pairs of ids in the order of merging; each names ids that exist by then and makes new bytes.
            options: those of the class.
        """
        if isinstance(special_tokens, str) or not all(isinstance(s, str) for s in special_tokens):
            raise TypeError(f"special_tokens must be a sequence of non-empty strings, got {special_tokens!r}")
        if len(set(special_tokens)) < len(special_tokens):
            raise ValueError(f"special_tokens holds duplicates: {list(special_tokens)}")
        tokens = _tokens(merges)
        specials = {special: len(tokens) + i for i, special in enumerate(special_tokens)}
        return cls([*tokens, *map(utf8, special_tokens)], merges, specials, **options)

    def __reduce__(self) -> tuple[Any, ...]:
        options = {name: getattr(self, name) for name in _OPTIONS}
        return partial(type(self), **options), (self.token_bytes, self.merges, self.special_tokens)

    @classmethod
    def train(
        cls,
        texts: Texts,
        vocab_size: int,
        *,
        special_tokens: Sequence[str] = (END_OF_TEXT,),
        pattern: str = "gpt2",
        min_frequency: int = 1,
        max_token_length: int = 1 << 16,
        memory: int = 1 << 28,
        progress: Progress | None = None,
    ) -> "BPETokenizer":
        """Learn the merges from `texts`; words never span two texts.

        The most frequent pair is merged first, and of equally frequent ones the smallest pair of ids, as Hugging
        Face's trainer does with the 256 bytes as its alphabet. When every word has become one token there is nothing
        left to merge, and the vocabulary is smaller than asked for.

        Args:
            texts: a str, the path (pathlib) of a file or of a folder, all files of which are read, or any number of
                these, one by one, and iterators of the pieces of a text, cut anywhere, among them: what was counted is
                not kept. Files are UTF-8; line ends stay as they are.
            vocab_size: the number of tokens: 256 bytes, the merges, the special tokens.
            min_frequency: a pair that occurs less often is not merged.
            max_token_length: bytes that a merge may make at most, 2 or more; Hugging Face's trainer, given this number
                plus one, does the same.
            memory: bytes, about: if distinct words would take more, the rarest are dropped, with a warning.
            progress: called now and then, and at the end, with the numbers of merges done and asked for.

        Raises:
            FileNotFoundError: there is no such file or folder.
            ValueError: vocab_size has no room for the bytes and the special tokens, another number is too small, or a
                text is not Unicode.
        """
        smallest = cls.from_merges((), special_tokens).vocab_size
        _at_least(smallest, vocab_size, "vocab_size", f", for 256 bytes and {smallest - 256} special tokens")
        _at_least(0, min_frequency, "min_frequency")
        _at_least(2, max_token_length, "max_token_length")
        _at_least(1 << 20, memory, "memory")
        merges = learn_merges(
            count_words(texts, find(pattern), memory),
            vocab_size - smallest,
            min_frequency=min_frequency,
            max_token_length=max_token_length,
            progress=progress,
        )
        return cls.from_merges(merges.tolist(), special_tokens, pattern=pattern)

    def encode(
        self, text: str, *, allowed_special: Specials = (), disallowed_special: Specials = (), begin: bool = False
    ) -> Ids:
        """As `Tokenizer.encode`; with `begin` after the ids that begin a text."""
        if allowed_special or disallowed_special or begin or self.added_tokens or self.normalizer:
            special = {"allowed_special": allowed_special, "disallowed_special": disallowed_special}
            return self.encode_batch([text], begin=begin, **special)[0]
        return super().encode(text)

    def encode_batch(
        self,
        texts: Iterable[str],
        *,
        allowed_special: Specials = (),
        disallowed_special: Specials = (),
        begin: bool = False,
    ) -> tuple[Ids, NDArray[np.int64]]:
        """As `Tokenizer.encode_batch`; with `begin` each text after the ids that begin one."""
        marked = {**self.added_tokens, **self._chosen(allowed_special)}
        refused = self._chosen(disallowed_special).keys() - (marked if disallowed_special == "all" else ())
        segments: list[bytes] = []
        fixed: list[int] = []
        ends = [0]
        for text in texts_of(texts):
            if refused and (found := any_of(refused).search(text)):
                raise ValueError(
                    f"the text holds the special token {found[0]!r} at position {found.start()}; name it in "
                    "allowed_special to get its id, or leave it out of disallowed_special to encode it as text"
                )
            if begin:
                segments += [b"\0"] * len(self.begin)
                fixed += self.begin
            for i, piece in enumerate(any_of(marked).split(text) if marked else [text]):
                if self.normalizer and i % 2 == 0:
                    piece = normalize(self.normalizer, piece)
                segments.append(piece.encode())
                fixed.append(marked[piece] if i % 2 else -1)
            ends.append(len(segments))
        ids, counts = self._encode_segments(segments, fixed)
        return ids, np.append(0, counts.cumsum())[ends]

    def _encode(self, text: str) -> Ids:
        return self._encoder.one(text.encode() + bytes(16))

    def _encode_segments(self, segments: list[bytes], fixed: list[int]) -> tuple[Ids, NDArray[np.int64]]:
        cuts = np.cumsum([0, *map(len, segments)])
        return self._encoder(b"".join([*segments, bytes(16)]), cuts, np.array(fixed, np.int64))

    def _chosen(self, specials: Specials) -> dict[str, int]:
        if specials == "all":
            return self.special_tokens
        if unknown := set(specials) - self.special_tokens.keys():
            raise ValueError(
                f"{min(unknown)!r} is none of the special tokens {', '.join(map(repr, self.special_tokens))}"
            )
        return {special: self.special_tokens[special] for special in specials}

    def encoder(self, *, allowed_special: Specials = (), disallowed_special: Specials = ()) -> StreamEncoder:
        """As `Tokenizer.encoder`; a special token may be cut as well."""
        marked = {**self.added_tokens, **self._chosen(allowed_special)}
        refused = self._chosen(disallowed_special).keys() - (marked if disallowed_special == "all" else ())
        encode = partial(self.encode, allowed_special=allowed_special, disallowed_special=disallowed_special)
        return StreamEncoder(encode, Settled(find(self.pattern), self.normalizer, marked, refused))

    def _fields(self) -> dict[str, Any]:
        merges = None if self.merges is None else self.merges.ravel().tolist()
        fields = {"tokens": spell(self.token_bytes), "merges": merges, "special_tokens": self.special_tokens}
        return fields | self._options()

    def _options(self) -> dict[str, Any]:
        """What is not as in version 1 of the files."""
        options = {name: getattr(self, name) for name in _OPTIONS} | {"begin": list(self.begin)}
        return {name: value for name, value in options.items() if value != _OPTIONS[name]}

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits, the same for equal tokenizers only; those that version 1 had as well keep theirs."""
        if self.merges is None or not self._numbered_as_by_training(self.merges):
            return super().fingerprint
        pairs = [*zip(*self.merges.T.tolist(), strict=True)]
        fields = {"kind": self.kind, "merges": pairs, "special_tokens": list(self.special_tokens)}
        return files.fingerprint(fields | self._options())

    def _numbered_as_by_training(self, merges: NDArray[np.int64]) -> bool:
        tokens, count = self.token_bytes, 256 + len(merges)
        return (
            b"".join(tokens[:256]) == BYTES
            and tokens[count:] == [*map(utf8, self.special_tokens)]
            and [*self.special_tokens.values()] == list(range(count, len(tokens)))
            and tokens[256:count]
            == [tokens[left] + tokens[right] for left, right in zip(*merges.T.tolist(), strict=True)]
        )

    @classmethod
    def from_fields(cls, document: dict[str, Any]) -> "BPETokenizer":
        options = {}
        for name, default in _OPTIONS.items():
            if name in document:
                options[name] = files.field(document, name, str if default is None else type(default))
        if document.get("version") == 1:
            merges, specials = (files.field(document, name, list) for name in ("merges", "special_tokens"))
            return cls.from_merges(merges, specials, **options)
        tokens = unspell(files.field(document, "tokens", list))
        pairs = None
        if document.get("merges", ()) is not None:
            ids = files.field(document, "merges", list)
            if not set(map(type, ids)) <= {int} or len(ids) % 2:
                raise ValueError('"merges" should be a list of ids, two for each merge')
            pairs = np.array(ids).reshape(-1, 2)
        return cls(tokens, pairs, files.field(document, "special_tokens", dict), **options)


def _at_least(smallest: int, given: Any, name: str, why: str = "") -> None:
    if not isinstance(given, int) or given < smallest:
        raise ValueError(f"{name} must be an integer of at least {smallest}{why}; got {given!r}")


def _pairs(merges: ArrayLike) -> NDArray[np.int64]:
    pairs = np.asarray(merges)
    if pairs.size == 0:
        return np.empty((0, 2), np.int64)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
        raise ValueError(f"merges must be integers of shape (M, 2), got {pairs.dtype} of shape {pairs.shape}")
    return pairs.astype(np.int64)


def _tokens(merges: Sequence[Pair]) -> list[bytes]:
    """The bytes of all ids, checked: ids exist before they are used, and no two are the same."""
    tokens = [BYTES[i : i + 1] for i in range(256)]
    made: dict[bytes, int] = {}
    total = 0
    for m, pair in enumerate(merges):
        try:
            left, right = pair
            if not (type(left) is type(right) is int):
                raise TypeError
        except (TypeError, ValueError):
            raise ValueError(f"merge {m} should be two integer ids, not {pair!r:.80}") from None
        if not (0 <= left < 256 + m and 0 <= right < 256 + m):
            raise ValueError(f"merge {m} joins ids {left} and {right}, but only 0 to {255 + m} exist by then")
        token = tokens[left] + tokens[right]
        total += len(token)
        if total > _MAX_TOKEN_BYTES:
            raise ValueError(f"the tokens up to merge {m} take over {_MAX_TOKEN_BYTES} bytes")
        if made.setdefault(token, m) != m:
            raise ValueError(f"merge {m} makes {token!r} a second time")
        tokens.append(token)
    return tokens
