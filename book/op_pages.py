"""A page for each op: what it computes, how fast, in NumPy, and its kernels for CPU and CUDA beside one another."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..kernels import Op, registry
from .docstrings import Words, parse
from .pages import TEMPLATES, markdown, python
from .sources import Code, kernels, source
from .speeds import Speeds

__all__ = ["op_pages"]

ROOT = Path(__file__).parents[1]
_BACKENDS = {"CPU": "cpu", "CUDA": "cuda"}
_WIDTH = 88  # of signatures on one line


def op_pages(folder: Path, speeds: Speeds) -> list[Any]:
    """Writes the pages of all ops, and one that lists them; returns them for the navigation, by family."""
    folder.mkdir()
    families: dict[str, list[Op]] = {}
    for op in registry.values():
        if op.backward_of is None:
            families.setdefault(op.family, []).append(op)
    names = {name for op in registry.values() for name in (op.name, *op.names)}
    words = Words({op.name: f"{_file(op)}.html" for ops in families.values() for op in ops}, names)
    template = TEMPLATES.from_string((ROOT / "book" / "op.md").read_text(encoding="utf-8"))
    for op in (op for ops in families.values() for op in ops):
        page = template.render(_told(op, speeds), op=op, words=words, python=python, machine=speeds.told())
        (folder / f"{_file(op)}.md").write_text(page, encoding="utf-8")
    (folder / "index.md").write_text("\n".join(_index(families, words)), encoding="utf-8")
    nav = {_title(f): [{op.name: f"ops/{_file(op)}.md"} for op in ops] for f, ops in sorted(families.items())}
    return ["ops/index.md", *({family: pages} for family, pages in nav.items())]


def _told(op: Op, speeds: Speeds) -> dict[str, Any]:
    """What the page of an op is filled with."""
    both = [op, *([op.backward] if op.backward_name else [])]
    file = source(ROOT / "kernels" / "ops" / f"{op.family}.py")
    computed = [one.name for one in both if not one.view]
    codes = {title: kernels(ROOT / "kernels", backend, op.family, computed) for title, backend in _BACKENDS.items()}
    shared = [code for code in codes["CPU"] if code in codes["CUDA"]]
    own = {title: [code for code in found if code not in shared] for title, found in codes.items()}
    return {
        "doc": parse(op.__doc__ or ""),
        "listing": _listing,
        "own": own if any(own.values()) else {},
        "reference": file.text([one.name for one in both], bare=True),
        "shared": shared,
        "signature": _signature(file.function(op.name)),
        "speed": "" if op.view else markdown(speeds.table(op.name)),
    }


def _listing(code: Code) -> str:
    """The text of kernels under what their file says of itself."""
    words = Words({}, ())(code.words).split("\n\n")
    paragraphs = "\n".join(f"<p>{text}</p>" for text in words)
    title = f' title="kernels/{code.file}"'
    return f'<div class="small">\n{paragraphs}\n</div>\n\n' + (python(code.text, title) if code.text else "")


def _signature(node: ast.FunctionDef) -> str:
    """How an op is called, and what it returns."""
    given = node.args.args
    defaults = [None] * (len(given) - len(node.args.defaults)) + node.args.defaults
    shown = [
        ast.unparse(arg) + (f" = {ast.unparse(default)}" if default else "")
        for arg, default in zip(given, defaults, strict=True)
        if arg.arg != "save"
    ]
    end = f") -> {ast.unparse(node.returns)}" if node.returns else ")"
    line = f"{node.name}({', '.join(shown)}{end}"
    return line if len(line) <= _WIDTH else "\n".join([f"{node.name}(", *(f"    {arg}," for arg in shown), end])


def _index(families: dict[str, list[Op]], words: Words) -> Iterator[str]:
    yield from ("# Ops", "", "Functions on arrays, as `octavo.kernels` offers them.", "")
    for family, ops in sorted(families.items()):
        yield from (f"## {_title(family)}", "", '<dl class="parts">')
        for op in ops:
            sentence = words(parse(op.__doc__ or "").sentence)
            yield f'<dt><a href="{_file(op)}.html"><code>{op.name}</code></a></dt><dd>{sentence}</dd>'
        yield from ("</dl>", "")


def _file(op: Op) -> str:
    return f"{op.family}.{op.name}"


def _title(family: str) -> str:
    return family.replace("_", " ").capitalize()
