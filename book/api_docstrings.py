"""Docstrings as Markdown, for the reference: a hook of Griffe."""

import re
from typing import Any

from griffe import Extension, Object

_LABEL = re.compile(r"^(Numerics|Source|Returns|Raises|Yields):? (?=\S)", re.M)
_SEVERAL = re.compile(r"^( {4})(\w+(?:, \w+)+): (.*(?:\n {8}.*)*)", re.M)
_EXAMPLE = re.compile(r"^>>> .*(?:\n.+)*", re.M)


class Docstrings(Extension):
    """Labels that stand within a line begin a paragraph; each argument has a line of its own; examples are listings."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring:
            text = _LABEL.sub(lambda found: f"\n**{found[1]}** ", obj.docstring.value)
            text = _SEVERAL.sub(_apart, text)
            obj.docstring.value = _EXAMPLE.sub(lambda found: f"```pycon\n{found[0]}\n```", text)


def _apart(found: re.Match[str]) -> str:
    indent, names, words = found.groups()
    return "\n".join(f"{indent}{name}: {words}" for name in names.split(", "))
