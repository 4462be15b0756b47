"""The package as a whole: its doors, its list of packages, its docstrings' examples."""

import doctest
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import octavo

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(octavo.__file__).parent
ROOMS = ("kernels", "nn", "tokenizer", "cli")


def _modules():
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if parts[-1] != "__main__" and not {"formulas", "cuda"} & {*parts}:  # loaded by a backend; needs an extra
                yield ".".join(("octavo", *parts)).removesuffix(".__init__")


@pytest.mark.parametrize("name", list(_modules()))
def test_doctests(name):
    module = import_module(name)
    results = doctest.testmod(module, extraglobs={"np": np}, optionflags=doctest.ELLIPSIS)
    ops = [v for v in vars(module).values() if isinstance(v, octavo.kernels.Op) and v.__module__ == name]
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for op in ops:
        for test in finder.find(op.reference, op.name, globs={"np": np, op.name: op}):
            runner.run(test)
    assert results.failed + runner.failures == 0


def test_import_is_quick_and_opens_no_room():
    code = "import sys, octavo; print(*(m for m in sys.modules if m.split('.')[0] in ('numba', 'numpy')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("room", ["kernels", "nn", "tokenizer"])
def test_rooms_are_no_packages_of_their_own(room):
    done = subprocess.run([sys.executable, "-c", f"import {room}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode and "ImportError" in done.stderr


def test_listed_packages_are_the_folders():
    source = ROOT / "pyproject.toml"
    if not source.exists():  # an installed copy has no sources beside it
        source = Path(__file__).parents[1] / "pyproject.toml"
    listed = tomllib.loads(source.read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    root = source.parent
    found = {"octavo"} | {
        ".".join(("octavo", *path.parent.relative_to(root).parts))
        for room in (*ROOMS, "book")
        for path in (root / room).rglob("__init__.py")
    }
    assert set(listed) == found
