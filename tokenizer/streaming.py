"""Text in, in chunks cut anywhere; ids out, those of the whole text."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from unicodedata import category, normalize

import numpy as np
from numpy.typing import NDArray

from .patterns import Pattern

Ids = NDArray[np.uint32]

_SHORT = 1 << 12
_JOINS_ITS_LIKE = re.compile("[\u1160-\u11ff\U00016d63-\U00016d6a]")  # vowels of Hangul and Kirat Rai: letters


class StreamEncoder:
    """Encodes what no later text can change, and holds the rest back: as a rule the last word or two.

    >>> from octavo.tokenizer import BPETokenizer
    >>> encoder = BPETokenizer.train("low lower lowest", vocab_size=259).encoder()
    >>> [encoder.push(chunk).tolist() for chunk in ("low lo", "w", "er")], encoder.finish().tolist()
    ([[257], [], []], [220, 257, 68, 81])

    Args:
        encode: what is called with parts of the text.
        settled: how many characters at the beginning of a text can be encoded whatever follows.
    """

    def __init__(self, encode: Callable[[str], Ids], settled: Callable[[str], int]) -> None:
        self._encode_part = encode
        self._settled = settled
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._chunks: list[str] = []
        self._held = self._enough = 0

    @property
    def held(self) -> int:
        """The number of characters that are held back."""
        return self._held

    def push(self, chunk: str) -> Ids:
        """The ids that `chunk` makes sure of, often none; uint32, shape (T,).

        Raises:
            TypeError, ValueError: as `Tokenizer.encode`.
        """
        if not isinstance(chunk, str):
            raise TypeError(f"a chunk of text must be str, got {type(chunk).__name__}")
        self._chunks.append(chunk)
        self._held += len(chunk)
        if self._held < self._enough:
            return np.empty(0, np.uint32)
        text = "".join(self._chunks)
        sure = self._settled(text)
        self._chunks, self._held = [text[sure:]], len(text) - sure
        # A long word is not looked at again for each little chunk: that would take quadratic time.
        self._enough = 2 * self._held if self._held > _SHORT else 0
        return self._encode_part(text[:sure])

    def finish(self) -> Ids:
        """The ids of what is held back; the encoder then starts afresh."""
        text = "".join(self._chunks)
        self._start_afresh()
        return self._encode_part(text)

    def encode(self, chunks: Iterable[str]) -> Iterator[Ids]:
        """The ids of a whole text in chunks, part by part."""
        yield from map(self.push, chunks)
        yield self.finish()


class Settled:
    """How many characters of a text give the same ids, and those that follow too, wherever the text goes on.

    Args:
        pattern: how it is cut into words.
        normalizer: "NFC" or None.
        marked: special and added tokens that stand for themselves.
        refused: special tokens that must not appear.
    """

    def __init__(
        self, pattern: Pattern, normalizer: str | None, marked: Collection[str], refused: Collection[str]
    ) -> None:
        self._pattern = pattern
        self._normalizer = normalizer
        self._marked, self._refused = (any_of(texts) if texts else None for texts in (marked, refused))
        self._begun = {text[:end] for text in (*marked, *refused) for end in range(1, len(text))}
        self._longest = max(map(len, self._begun), default=0)

    def __call__(self, text: str) -> int:
        if self._refused and self._refused.search(text):
            return len(text)  # encoding it says what is wrong
        tail = range(max(len(text) - self._longest, 0), len(text))
        end = next((at for at in tail if text[at:] in self._begun), len(text))
        begin = 0
        for match in self._marked.finditer(text) if self._marked else ():
            if match.end() > end:
                end = min(match.start(), end)
                break
            begin = match.end()
        return begin + self._cut(text[begin:end])

    def _cut(self, text: str) -> int:
        """How much of a text without special tokens: to the last place where its words end whatever follows.

        If it is normalised, nothing may join across that place, and it must be a good one afterwards as well.
        """
        cut = self._last_cut(text)
        if self._normalizer:
            while cut and not (stands_apart(text[cut]) and self._good_when_normalised(text, cut)):
                cut = self._last_cut(text[:cut])
        return cut

    def _last_cut(self, text: str) -> int:
        data = text.encode("utf-8", "surrogatepass")
        return len(text) - len(data[self._pattern.cut(data) :].decode("utf-8", "surrogatepass"))

    def _good_when_normalised(self, text: str, cut: int) -> bool:
        before, after = (normalize("NFC", part) for part in (text[:cut], text[cut:]))
        return self._last_cut(before + after[:1]) == len(before)


def stands_apart(character: str) -> bool:
    """Whether NFC joins the character with nothing before it."""
    return character < "\u0300" or not (category(character).startswith("M") or _JOINS_ITS_LIKE.match(character))


def any_of(texts: Collection[str]) -> "re.Pattern[str]":
    """The longest of the texts that stands at a place, in a group."""
    return re.compile(f"({'|'.join(map(re.escape, sorted(texts, key=len, reverse=True)))})")
