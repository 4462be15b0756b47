"""The patterns that cut text into words: five published ones by name, any other as a regular expression.

They are facts of the formats: those of tiktoken's encodings and of the models' tokenizer.json. Several texts say the
same, and each is known.
"""

import logging
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

import numpy as np
import regex
from numpy.typing import NDArray

from .categories import classes
from .split import CASED, CUSTOM, KEEP_TAIL, MODERN, PADDING, find_cut, find_ends

log = logging.getLogger("octavo.tokenizer")


@dataclass(frozen=True)
class Pattern:
    """How text is cut.

    Attributes:
        name: "" unless the pattern is a published one.
        text: the regular expression, as tiktoken reads it.
        oniguruma: the same as tokenizers reads it.
        code: what `split.word_end` asks for; CUSTOM unless the pattern is a published one.
    """

    name: str
    text: str
    oniguruma: str
    code: int

    def classes(self, data: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What `split.word_end` asks for to cut `data`, UTF-8: the classes of all code points.

        For a pattern that is not published, `regex` cuts here: one byte for each of `data`, 1 where a word ends.
        What the expression does not match is a word too, so that no text is lost.
        """
        if self.code != CUSTOM:
            return classes()
        matches = _compiled(self.text).finditer(data.tobytes().decode())
        ends = np.fromiter(chain.from_iterable(match.span() for match in matches), np.int64)
        begins = np.append(np.flatnonzero(data & 0xC0 != 0x80), data.size)  # of characters
        marks = np.zeros(data.size, np.uint8)
        marks[begins[ends[ends > 0]] - 1] = 1
        marks[-1:] = 1
        return marks

    def ends(self, text: bytes) -> NDArray[np.int64]:
        """Where the words of `text`, UTF-8, end, as byte offsets."""
        data = np.frombuffer(text + bytes(PADDING), np.uint8)
        ends, count = np.empty(len(text), np.int64), np.empty(1, np.int64)
        find_ends(ends, count, data, len(text), self.classes(data[: len(text)]), self.code)
        return ends[: count[0]]

    def cut(self, text: bytes, start: int = 0) -> int:
        """The last place after `start` at which `text`, UTF-8, may be cut whatever follows, or `start`.

        Both parts have then together the words of the whole, so that a stream needs to keep back only what lies
        behind. If it has looked up to some character before, that is the place to start from. A text that another
        than the published patterns cuts is kept back whole.
        """
        if self.code == CUSTOM:
            return start
        cut = np.empty(1, np.int64)
        find_cut(cut, np.frombuffer(text, np.uint8), start, len(text), classes(), self.code)
        return int(cut[0])


_AFTER = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_LETTERS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_SMALL, _CAPITAL = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]", r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"

# A pattern's code and its texts: first as tiktoken writes it, last as Oniguruma (in tokenizers) reads it, where a `+`
# after braces repeats and $ ends a line.
_PUBLISHED: dict[str, tuple[int, list[str]]] = {
    "gpt2": (
        0,
        [
            r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s",
            r"'s|'t|'re|'ve|'m|'ll|'d| ?[\p{L}]+| ?[\p{N}]+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
            r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
            r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        ],
    ),
    "cl100k": (
        MODERN + KEEP_TAIL + 3,
        [
            r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"
            r"|\s+(?!\S)|\s",
            r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+\z|\s*[\r\n]+"
            r"|\s+(?!\S)|\s+",
        ],
    ),
    "llama3": (
        MODERN + 3,
        [
            r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]"
            r"|\s+(?!\S)|\s+",
            _LETTERS + r"|\p{N}{1,3}" + _AFTER,
        ],
    ),
    "qwen2": (MODERN + 1, [_LETTERS + r"|\p{N}" + _AFTER]),
    "o200k": (
        MODERN + CASED + 3,
        [
            rf"[^\r\n\p{{L}}\p{{N}}]?{_CAPITAL}*{_SMALL}+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
            rf"|[^\r\n\p{{L}}\p{{N}}]?{_CAPITAL}+{_SMALL}*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
            r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ],
    ),
}
_KNOWN = {
    text: Pattern(name, texts[0], texts[-1], code)
    for name, (code, texts) in _PUBLISHED.items()
    for text in [name, *texts]
}


def find(pattern: str) -> Pattern:
    """The pattern of a name ("gpt2", "cl100k", "llama3", "qwen2", "o200k") or regular expression.

    An expression that is none of the published ones is run by the package `regex`, with its Unicode, and slower.

    Raises:
        TypeError: it is no str.
        ValueError: it is neither a name nor can it be compiled.
    """
    if not isinstance(pattern, str):
        raise TypeError(f"pattern must be a name or a regular expression, got {type(pattern).__name__}")
    known = _KNOWN.get(pattern)
    if known is None:
        _compiled(pattern)
    return known or Pattern("", pattern, pattern, CUSTOM)


@lru_cache
def _compiled(text: str) -> "regex.Pattern[str]":
    try:
        compiled = regex.compile(text, regex.V1)
    except regex.error as error:
        raise ValueError(
            f"pattern: {text!r:.200} is neither one of {', '.join(_PUBLISHED)} nor a regular expression ({error})"
        ) from None
    log.warning("%r is none of the published patterns: it runs in the package regex, slower", text)
    return compiled
