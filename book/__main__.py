"""`python -m octavo.book`: all pages of the book, made in one go."""

import hashlib
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import click
from tqdm import tqdm

from . import CHAPTERS
from .speeds import last_line, measure

ROOT = Path(__file__).parents[1]
_PAGES = "__main__|api_docstrings|api_pages|docstrings|formulas|op_pages|pages|site|sources|speeds"  # not of programs


@click.command()
@click.argument("names", nargs=-1)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("build/book"),
    show_default=True,
    help="What programs found goes to its folder `found`, the pages to `site`.",
)
@click.option("--fresh", is_flag=True, help="Run all programs and measure all ops again, not only what has changed.")
def main(names: tuple[str, ...], out: Path, fresh: bool) -> None:
    """Run the programs of the book, time the ops and make its pages; open build/book/site/index.html in a browser.

    With NAMES, such as training.binary, only those sections run, and nothing else is made of them.
    """
    known = [f"{chapter}.{name}" for chapter in CHAPTERS for name in _sections(chapter)]
    if unknown := sorted(set(names) - set(known)):
        raise click.UsageError(f"no section called {', '.join(unknown)}; there are {', '.join(known)}")
    if missing := [p for p in ("mkdocs", "material", "mkdocstrings", "latex2mathml", "sklearn") if not find_spec(p)]:
        raise click.ClickException(f"the pages need {', '.join(missing)}: pip install '.[book]'")
    clone = next((folder for folder in (Path.cwd(), ROOT) if (folder / "bench" / "side.py").is_file()), None)
    if clone is None and not names:
        raise click.ClickException("the ops are timed by bench/, which only a clone of Octavo has: run this in one")
    try:
        with tqdm(names or known, desc="sections", disable=None) as shown:
            for name in shown:
                shown.set_postfix_str(name)
                _run(name, out / "found", fresh)
        if clone and not names:
            _make(clone, out, fresh)
    except KeyboardInterrupt:
        raise click.ClickException("stopped; the same command goes on from here") from None
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None


def _make(clone: Path, out: Path, fresh: bool) -> None:
    """Times the ops and makes the pages."""
    from .site import make_site

    measure(clone, out / "found" / "speeds", _fingerprint(_sources("kernels")), fresh)
    click.echo(f"made {make_site(out)}")


def _sections(chapter: str) -> tuple[str, ...]:
    return import_module(f"{__package__}.{chapter}").SECTIONS


def _run(name: str, found: Path, fresh: bool) -> None:
    """Runs a section in a process of its own, unless what it found with the same sources is there."""
    chapter, _, section = name.partition(".")
    folder = found / chapter / section
    shared = [path for path in sorted((ROOT / "book").glob("*.py")) if path.stem not in _PAGES.split("|")]
    library = [path for room in ("kernels", "nn", "tokenizer", "cli") for path in _sources(room)]
    fingerprint = _fingerprint([*library, *shared, ROOT / "book" / chapter / f"{section}.py"])
    mark = folder / "sources.txt"
    if not fresh and mark.is_file() and mark.read_text() == fingerprint:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    log = folder / "log.txt"
    with open(log, "w", encoding="utf-8") as said:
        command = [sys.executable, "-m", f"{__package__}.{name}", "--out", str(folder.parent)]
        code = subprocess.run(command, stdout=said, stderr=subprocess.STDOUT).returncode
    if code:
        raise click.ClickException(f"{name}: {last_line(log.read_text(encoding='utf-8'))}; see {log}")
    mark.write_text(fingerprint)


def _sources(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def _fingerprint(sources: list[Path]) -> str:
    """Of what results come from."""
    digest = hashlib.sha256()
    for path in sources:
        digest.update(path.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    main()
