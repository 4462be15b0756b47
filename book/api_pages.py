"""The reference of what is public: pages of modules, which mkdocstrings fills from their docstrings."""

import inspect
import json
import shutil
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from ..kernels import registry

__all__ = ["api_pages", "copy_package"]

ROOT = Path(__file__).parents[1]
_PACKAGE = __name__.partition(".")[0]
_ROOMS = ("nn", "tokenizer")
_DEVICE = f"{_PACKAGE}.kernels.device"


def copy_package(folder: Path) -> None:
    """Copies the package under its own name, for Griffe: a clone may be called anything."""
    for path in [ROOT / "__init__.py", *(p for room in ("kernels", *_ROOMS) for p in (ROOT / room).rglob("*.py"))]:
        target = folder / _PACKAGE / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    (folder / _PACKAGE / "kernels" / "__init__.py").write_text("")  # a list of names that only Python can read


def api_pages(folder: Path) -> list[Any]:
    """Writes a page for each module that offers something, and one that lists them; returns them for the navigation."""
    folder.mkdir()
    package = import_module(_PACKAGE)
    functions = [thing for name in package.__all__ if inspect.isfunction(thing := getattr(package, name))]
    asked = [_asked(f"{function.__module__}.{function.__name__}", show_root_heading=True) for function in functions]
    pages = {_PACKAGE: "\n".join([_words(_PACKAGE), "", *asked])}
    nav: list[Any] = ["api/index.md", f"api/{_PACKAGE}.md"]
    for room in (f"{_PACKAGE}.{name}" for name in _ROOMS):
        modules = _offered(import_module(room))
        own = [_asked(room, members=modules.pop(room))] if room in modules else [_words(room)]
        pages[room] = "\n\n".join([*own, "## Modules", _listed(modules)])
        pages |= {name: _asked(name, members=names) for name, names in modules.items()}
        nav.append({room: [f"api/{room}.md", *({name.removeprefix(f"{room}."): f"api/{name}.md"} for name in modules)]})
    pages[f"{_PACKAGE}.nn.functional"] += _ops()
    pages[_DEVICE] = _asked(_DEVICE)
    for name, text in pages.items():
        (folder / f"{name}.md").write_text(f"# {name}\n\n{text}\n", encoding="utf-8")
    doors = [name for name in pages if name.count(".") < 2 or name == _DEVICE]
    (folder / "index.md").write_text(f"# API\n\n{_listed(doors)}\n", encoding="utf-8")
    return [*nav, {_DEVICE: f"api/{_DEVICE}.md"}]


def _offered(room: ModuleType) -> dict[str, list[str]]:
    """By module, the names written there of what a room offers, and of the bases of its classes."""
    found: dict[str, dict[str, int]] = {}
    for name in room.__all__:
        thing = getattr(room, name)
        if inspect.ismodule(thing):
            public = getattr(thing, "__all__", None) or [n for n in vars(thing) if not n.startswith("_")]
            things = [vars(thing)[n] for n in public if getattr(vars(thing)[n], "__module__", "") == thing.__name__]
        else:
            things = list(getattr(thing, "__mro__", [thing]))
        for thing in things:
            module = getattr(thing, "__module__", "")
            if f"{module}.".startswith(f"{room.__name__}."):
                found.setdefault(module, {})[thing.__name__] = inspect.getsourcelines(thing)[1]
    return {module: sorted(lines, key=lines.__getitem__) for module, lines in sorted(found.items())}


def _asked(name: str, **options: Any) -> str:
    """What mkdocstrings fills."""
    lines = [f"      {option}: {json.dumps(value)}" for option, value in options.items()]
    return "\n".join([f"::: {name}", *(["    options:"] if lines else []), *lines, ""])


def _listed(modules: Any) -> str:
    rows = [f'<dt><a href="{name}.html"><code>{name}</code></a></dt><dd>{_words(name)}</dd>' for name in modules]
    return "\n".join(['<dl class="parts">', *rows, "</dl>"])


def _words(module: str) -> str:
    """The first sentence of a module's docstring."""
    return (inspect.getdoc(import_module(module)) or "").split("\n\n")[0].replace("\n", " ")


def _ops() -> str:
    names = dir(import_module(f"{_PACKAGE}.nn.functional"))
    links = [f"[`{name}`](../ops/{registry[name].family}.{name}.md)" for name in names]
    return f"\n## Ops\n\nThese take tensors: {', '.join(links)}.\n"
