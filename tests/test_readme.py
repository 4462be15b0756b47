"""The README's file tree names every file of the package, and no other."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def named_files():
    tree = re.search(r"<!-- tree -->\n```\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)[1]
    folders = [[""]]
    for line in tree.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name, _, phrase = line.strip().partition("  ")
        del folders[depth + 1 :]
        if name.endswith("/"):
            folders.append([above + part for above in folders[depth] for part in name.split()])
        else:
            assert phrase.strip(), f"{name} has no phrase"
            yield from (folder + name for folder in folders[depth])


def test_the_tree_is_the_package():
    named = list(named_files())
    found = {"__init__.py"}
    for room in ("kernels", "nn", "tokenizer", "cli", "book"):
        found |= {path.relative_to(ROOT).as_posix() for path in (ROOT / room).rglob("*.py")}
    assert sorted(named) == sorted(found)
