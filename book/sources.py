"""The text of functions and of what they use in their file: read, not imported, as kernels for a GPU may not be."""

import ast
import textwrap
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

__all__ = ["Code", "Source", "kernels", "source"]

_WIDTH = 100  # of imports that are longer


class Code(NamedTuple):
    """Part of a file: what the file says of itself, and the text."""

    file: str
    words: str
    text: str


class Source:
    """A file of Python, by what it defines at its top."""

    def __init__(self, path: Path) -> None:
        self.path = path
        text = path.read_text(encoding="utf-8")
        self.lines = text.splitlines()
        self.tree = ast.parse(text)

    @cached_property
    def defined(self) -> dict[str, ast.stmt]:
        """Functions, classes and other names, and the statements that make them."""
        return {name: node for node in self.tree.body if not _is_import(node) for name in _made(node)}

    @cached_property
    def imported(self) -> dict[str, ast.ImportFrom]:
        """Names that come from other files, and the statements that import them."""
        froms = [node for node in self.tree.body if isinstance(node, ast.ImportFrom)]
        return {alias.asname or alias.name: node for node in froms for alias in node.names}

    @cached_property
    def words(self) -> str:
        """What the file says of itself."""
        return ast.get_docstring(self.tree) or ""

    def told(self, name: str) -> dict[str, str]:
        """A dictionary of words that the file defines; empty if it does not."""
        node = self.defined.get(name)
        return ast.literal_eval(node.value) if isinstance(node, ast.Assign) else {}

    def function(self, name: str) -> ast.FunctionDef:
        """The function of that name."""
        found = self.defined[name]
        if not isinstance(found, ast.FunctionDef):
            raise TypeError(f"{self.path.name}: {name} is no function")
        return found

    def text(self, names: Iterable[str], bare: bool = False) -> str:
        """What makes these names and all that they use in this file, in its order, under the imports needed.

        Args:
            bare: public functions without decorators and docstrings.
        """
        needed = self._needed(names, bare)
        statements = {id(self.defined[name]): self.defined[name] for name in needed if name in self.defined}
        ordered = sorted(statements.values(), key=lambda node: node.lineno)
        imports = "\n".join(self._imports(needed))
        return "\n\n".join([*filter(None, [imports]), *(self._statement(node, bare) for node in ordered)])

    def _needed(self, names: Iterable[str], bare: bool) -> set[str]:
        found, left = set(), [*names]
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                left += _used(self.defined[name], bare) if name in self.defined else ()
        return found

    def _imports(self, names: set[str]) -> Iterator[str]:
        for node in filter(_is_import, self.tree.body):
            head, _, listed = ast.unparse(node).rpartition("import ")
            taken = [alias for alias in listed.split(", ") if alias.rpartition(" ")[2] in names]
            line = f"{head}import {', '.join(taken)}"
            if len(line) > _WIDTH:
                names_below = textwrap.fill(", ".join(taken), _WIDTH, initial_indent="    ", subsequent_indent="    ")
                line = f"{head}import (\n{names_below}\n)"
            if taken:
                yield line

    def _statement(self, node: ast.stmt, bare: bool) -> str:
        bare = bare and isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
        start = node.lineno if bare else min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        while not bare and start > 1 and self.lines[start - 2].startswith("#"):
            start -= 1
        lines = dict(enumerate(self.lines[start - 1 : node.end_lineno], start))
        if bare and ast.get_docstring(node):  # type: ignore[arg-type]
            words = node.body[0]  # type: ignore[attr-defined]
            lines = {n: line for n, line in lines.items() if not words.lineno <= n <= words.end_lineno}
        return "\n".join(lines.values())


@cache
def source(path: Path) -> Source:
    """The file, read once."""
    return Source(path)


def kernels(folder: Path, backend: str, family: str, names: Iterable[str]) -> list[Code]:
    """The code of a backend's functions of these names in the folder `kernels`, or why it has none."""
    wanted: dict[Path, list[str]] = {}
    lacking = []
    for name in names:
        path, found = _place(folder, backend, family, name)
        if reason := source(path).told("LACKS").get(found):
            lacking.append(Code(path.relative_to(folder).as_posix(), f"There is no `{found}` here: {reason}.", ""))
        else:
            wanted.setdefault(path, []).append(found)
    files = [(path, source(path)) for path in wanted]
    return [Code(p.relative_to(folder).as_posix(), s.words, s.text(wanted[p])) for p, s in files] + lacking


def _place(folder: Path, backend: str, family: str, name: str) -> tuple[Path, str]:
    """Where a backend's function is written: what its file imports from another is looked for there."""
    here = folder / backend / f"{family}.py"
    path = here if here.exists() else folder / "formulas" / f"{family}.py"
    node = source(path).imported.get(name)
    if node is None or not node.module:
        return path, name
    original = next(alias.name for alias in node.names if (alias.asname or alias.name) == name)
    return _place(folder, backend, node.module, original)


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, (ast.Import, ast.ImportFrom))


def _made(node: ast.stmt) -> set[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _used(node: ast.stmt, bare: bool) -> set[str]:
    """Names that a statement takes from around it."""
    within = [node]
    if isinstance(node, ast.FunctionDef) and bare:
        within = [node.args, *node.body, *filter(None, [node.returns])]  # type: ignore[list-item]
    names = [n for part in within for n in ast.walk(part) if isinstance(n, ast.Name)]
    own = {n.id for n in names if isinstance(n.ctx, ast.Store)}
    own |= {n.arg for part in within for n in ast.walk(part) if isinstance(n, ast.arg)}
    return {n.id for n in names} - (own if isinstance(node, ast.FunctionDef) else set())
