"""`python -m octavo.book`: all pages of the book, made in one go."""

import hashlib
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from . import CHAPTERS

ROOT = Path(__file__).parents[1]


@click.command()
@click.argument("names", nargs=-1)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("build/book"),
    show_default=True,
    help="What programs found goes to its folder `found`, the pages to `site`.",
)
@click.option("--fresh", is_flag=True, help="Run all programs again, not only those of changed sources.")
def main(names: tuple[str, ...], out: Path, fresh: bool) -> None:
    """Run the programs of the book and make its pages; open build/book/site/index.html in a browser.

    With NAMES, such as training.binary, only those sections run, and nothing else is made of them.
    """
    known = [f"{chapter}.{name}" for chapter in CHAPTERS for name in _sections(chapter)]
    if unknown := sorted(set(names) - set(known)):
        raise click.UsageError(f"no section called {', '.join(unknown)}; there are {', '.join(known)}")
    needed = ("mkdocs", "material", "mkdocstrings", "latex2mathml", "optuna", "sklearn")
    if missing := [p for p in needed if not find_spec(p)]:
        raise click.ClickException(f"the pages need {', '.join(missing)}: pip install '.[book]'")
    with tqdm(names or known, desc="sections", disable=None) as shown:
        for name in shown:
            shown.set_postfix_str(name)
            _run(name, out / "found", fresh)
    if not names:
        click.echo(f"made {_site(out)}")


def _sections(chapter: str) -> tuple[str, ...]:
    return import_module(f"{__package__}.{chapter}").SECTIONS


def _run(name: str, found: Path, fresh: bool) -> None:
    """Runs a section in a process of its own, unless what it found with the same sources is there."""
    chapter, _, section = name.partition(".")
    folder = found / chapter / section
    mark, fingerprint = folder / "sources.txt", _fingerprint(name)
    if not fresh and mark.is_file() and mark.read_text() == fingerprint:
        return
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", f"{__package__}.{name}", "--out", str(folder.parent)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise click.ClickException(f"{name} failed:\n{done.stdout[-3000:]}")
    mark.write_text(fingerprint)


def _fingerprint(name: str) -> str:
    """Of the library's sources, the book's own and this section's: what its findings come from."""
    own = ROOT / "book" / f"{name.replace('.', '/')}.py"
    sources = [p for room in ("kernels", "nn", "tokenizer", "cli") for p in sorted((ROOT / room).rglob("*.py"))]
    digest = hashlib.sha256()
    for path in [*sources, *sorted((ROOT / "book").glob("*.py")), own]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _site(out: Path) -> Path:
    """The pages, from what the programs found."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    from .pages import chapter_page, section_page

    docs, book = out / "docs", ROOT / "book"
    shutil.rmtree(docs, ignore_errors=True)
    docs.mkdir(parents=True)
    nav: list[Any] = [{"Octavo": "index.md"}]
    for chapter in CHAPTERS:
        (docs / chapter).mkdir()
        titles = {}
        for name in _sections(chapter):
            titles[name] = section_page(chapter, name, out / "found" / chapter / name, docs / chapter)
        title = chapter_page(chapter, titles, docs / chapter)
        nav.append({title: [f"{chapter}/index.md", *({words: f"{chapter}/{n}.md"} for n, words in titles.items())]})
    shutil.copy(book / "index.md", docs)
    shutil.copy(book / "style.css", docs)
    config = load_config(
        str(book / "mkdocs.yml"), docs_dir=str(docs.absolute()), site_dir=str((out / "site").absolute()), nav=nav
    )
    build(config)
    return out / "site" / "index.html"


if __name__ == "__main__":
    main()
