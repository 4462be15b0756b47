"""Formulas as MathML, which browsers draw themselves: a hook of MkDocs, for what arithmatex has marked."""

import html
import re
from typing import Any

from latex2mathml.converter import convert

_MARKED = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.S)


def on_page_content(content: str, **_: Any) -> str:
    """The page with its formulas drawn."""
    return _MARKED.sub(_drawn, content)


def _drawn(found: re.Match[str]) -> str:
    tag, bracket, tex = found.groups()
    display = "inline" if bracket == "(" else "block"
    return f'<{tag} class="formula">{convert(html.unescape(tex), display=display)}</{tag}>'
