"""A section's page: its text, filled with what its program found."""

import inspect
import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, TemplateError

from .look import on_page
from .section import FINDINGS

__all__ = ["SCHEMES", "TEMPLATES", "chapter_page", "markdown", "python", "section_page"]

SCHEMES = ("light", "dark")
TEMPLATES = Environment(undefined=StrictUndefined, comment_start_string="<#", comment_end_string="#>")
_END = """

---

As this page was built, its program checked that

<div class="held" markdown>

{claims}

</div>

It took {seconds:.0f} s. Run it yourself: `python -m {module}`

??? note "The whole program"

{program}
"""


def section_page(chapter: str, name: str, findings: Path, folder: Path) -> str:
    """Writes a section's page and its figures.

    Args:
        findings: the folder that its program wrote.
        folder: where the chapter's pages go.

    Returns:
        The page's title.

    Raises:
        ValueError: the text asks for what the program has not found, or leaves a figure or a table out.
    """
    module = import_module(f"{__package__}.{chapter}.{name}")
    found = json.loads((findings / FINDINGS).read_text(encoding="utf-8"))
    source = Path(module.__file__ or "")
    left = {*found["figures"], *found["tables"]}

    def figure(drawing: str, caption: str) -> str:
        _take(left, drawing, found["figures"])
        svg = (findings / f"{drawing}.svg").read_text(encoding="utf-8")
        lines = []
        for scheme in SCHEMES:
            picture = f"{name}-{drawing}-{scheme}.svg"
            (folder / picture).write_text(on_page(svg, scheme), encoding="utf-8")
            lines.append(f"![{caption}]({picture}#only-{scheme})")
        return "\n".join(["<figure markdown>", *lines, f"<figcaption markdown>{caption}</figcaption>", "</figure>"])

    def table(rows: str) -> str:
        _take(left, rows, found["tables"])
        return markdown(found["tables"][rows])

    def code(function: str) -> str:
        return python(inspect.getsource(getattr(module, function)))

    helpers: dict[str, Callable[..., str]] = {"figure": figure, "table": table, "code": code}
    text = source.with_suffix(".md").read_text(encoding="utf-8")
    try:
        page = TEMPLATES.from_string(text).render(**found["facts"], **helpers)
    except (TemplateError, AttributeError, TypeError) as error:
        raise ValueError(f"{source.with_suffix('.md').name}: {error}") from None
    if left:
        raise ValueError(f"{source.with_suffix('.md').name} does not show {', '.join(sorted(left))}")
    program = "\n".join(f"    {line}".rstrip() for line in python(source.read_text(encoding="utf-8")).splitlines())
    claims = "\n".join(f"- {words}" for words in found["claims"])
    page += _END.format(claims=claims, seconds=found["seconds"], module=module.__name__, program=program)
    (folder / f"{name}.md").write_text(page, encoding="utf-8")
    return text.splitlines()[0].removeprefix("# ")


def chapter_page(chapter: str, titles: dict[str, str], folder: Path) -> str:
    """Writes a chapter's first page, which lists its sections by {name: title}; returns the chapter's title."""
    title = (import_module(f"{__package__}.{chapter}").__doc__ or "").strip()
    lines = [f"# {title}", "", *(f"1. [{words}]({name}.md)" for name, words in titles.items()), ""]
    (folder / "index.md").write_text("\n".join(lines), encoding="utf-8")
    return title


def _take(left: set[str], name: str, known: Any) -> None:
    if name not in known:
        raise TypeError(f"the program has no {name!r}; it has {', '.join(known) or 'none'}")
    left.discard(name)


def markdown(rows: list[list[str]]) -> str:
    """A table; its first row titles the columns."""
    head, *lines = rows
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *lines])


def python(source: str, title: str = "") -> str:
    """A listing."""
    return f"```python{title}\n{source.strip()}\n```"
