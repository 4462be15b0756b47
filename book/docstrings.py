"""Docstrings of the kernels as pages show them: formulas with indices set lower, sections, links to other ops."""

import html
import inspect
import re
from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Docstring", "Words", "parse"]

_HEAD = re.compile(r"(Args|Returns|Raises|Numerics|Source):\s*(.*)")
_NAME = re.compile(r" {4}(\w[\w, *()]*): (.+)")
_LOWER = re.compile(r"(?<=[^\W_])_(?:\{([^{}]*)\}|(\w+(?:_\w+)*))")
_UPPER = re.compile("\\^(−?[\\w\ue000-\uf8ff]+)")
_PRIVATE = 0xE000  # the first of the code points that stand for names meanwhile


class Docstring(NamedTuple):
    """Its parts: a sentence, what follows it, lines of formulas, {section: [(name or "", words)]}, an example."""

    sentence: str
    formulas: list[str]
    sections: dict[str, list[tuple[str, str]]]
    example: str


def parse(text: str) -> Docstring:
    """The parts of an op's docstring."""
    text, mark, example = inspect.cleandoc(text).partition(">>> ")
    sentence, _, rest = text.partition("\n\n")
    formulas: list[str] = []
    sections: dict[str, list[tuple[str, str]]] = {}
    entries: list[tuple[str, str]] | None = None
    for line in rest.splitlines():
        if head := _HEAD.match(line):
            entries = sections[head[1]] = [("", head[2])] if head[2] else []
        elif not line.strip():
            continue
        elif entries is None:
            if formulas and not re.search("[=←]", line):
                formulas[-1] += f" {line.strip()}"
            else:
                formulas += [part.strip() for part in re.split(r";  +", line)]
        elif named := _NAME.match(line):
            entries.append((named[1], named[2]))
        elif entries:
            entries[-1] = (entries[-1][0], f"{entries[-1][1]} {line.strip()}")
        else:
            entries.append(("", line.strip()))
    return Docstring(" ".join(sentence.split()), formulas, sections, mark + example)


class Words:
    """Words of docstrings as HTML.

    Args:
        links: where names in backticks lead.
        names: what holds a _ that is no index.
    """

    def __init__(self, links: dict[str, str], names: Iterable[str]) -> None:
        self.links = links
        self.kept = sorted({name for name in names if "_" in name}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """A piece of text, with code, links, indices and powers."""
        parts = re.split(r"`([^`]+)`", text)
        return "".join(self._code(part) if i % 2 else self._prose(part) for i, part in enumerate(parts))

    def _code(self, name: str) -> str:
        shown = f"<code>{html.escape(name, quote=False)}</code>"
        return f'<a href="{self.links[name]}">{shown}</a>' if name in self.links else shown

    def _prose(self, text: str) -> str:
        marked = html.escape(text, quote=False)
        for i, name in enumerate(self.kept):
            marked = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", chr(_PRIVATE + i), marked)
        lowered = ""
        while lowered != marked:
            lowered, marked = marked, _LOWER.sub(lambda found: f"<sub>{found[1] or found[2]}</sub>", marked)
        marked = _UPPER.sub(r"<sup>\1</sup>", marked)
        return re.sub("[\ue000-\uf8ff]", lambda found: self.kept[ord(found[0]) - _PRIVATE], marked)
