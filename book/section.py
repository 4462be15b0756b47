"""What a section's program finds: claims that hold, numbers, tables and figures; shown, and kept for its page."""

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from tqdm import tqdm

from ..cli.status import compilation_shown
from ..kernels.files import atomic_write
from ..nn.random import seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FINDINGS", "Page", "run_chapter", "section"]

FINDINGS = "findings.json"
T = TypeVar("T")
_log = logging.getLogger(__name__)


class Page:
    """Given to a section's program, which tells it what the text of the page shows.

    Attributes:
        folder: where figures go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._found: dict[str, Any] = {"claims": [], "facts": {}, "tables": {}, "figures": []}

    def claim(self, words: str, holds: Any) -> None:
        """Something that the section says, and whether it is so.

        Raises:
            ValueError: it is not.
        """
        if not holds:
            raise ValueError(f"this does not hold: {words}")
        self._found["claims"].append(words)
        tqdm.write(f"holds   {words}")

    def tell(self, **facts: Any) -> None:
        """Numbers and words that the text may use by these names: Python's or NumPy's, or lists of them."""
        for name, value in facts.items():
            self._found["facts"][name] = _plain(value)
            tqdm.write(f"found   {name} = {_short(self._found['facts'][name])}")

    def table(self, name: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A table of words, and of numbers as they shall be read."""
        lines = [list(map(str, head)), *(list(map(str, row)) for row in rows)]
        self._found["tables"][name] = lines
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            tqdm.write("        " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))

    @contextmanager
    def figure(self, name: str, width: float = 7, height: float = 3.8) -> "Iterator[Figure]":
        """A figure of Matplotlib to draw on, of so many inches, in the book's style."""
        import matplotlib
        from matplotlib.figure import Figure

        from .look import STYLE

        with matplotlib.rc_context(STYLE):
            figure = Figure(figsize=(width, height), layout="constrained")
            yield figure
            image = BytesIO()
            figure.savefig(image, format="svg", metadata={"Date": None})
        self.drawing(name, image.getvalue().decode())

    def drawing(self, name: str, svg: str) -> None:
        """A figure that is SVG already."""
        path = self.folder / f"{name}.svg"
        with atomic_write(path) as file:
            file.write(svg.encode())
        self._found["figures"].append(name)
        tqdm.write(f"drawn   {path}")

    def progress(self, steps: Iterable[T], what: str) -> Iterable[T]:
        """The same, with a progress bar where there is a terminal."""
        return tqdm(steps, desc=what, leave=False, disable=None)

    def save(self, seconds: float) -> None:
        """Writes what was found, and how long that took, beside the figures."""
        with atomic_write(self.folder / FINDINGS) as file:
            file.write(json.dumps(self._found | {"seconds": seconds}, indent=1).encode())


class Section:
    """A program of the book: `run` runs it and keeps what it finds."""

    def __init__(self, program: Callable[[Page], None]) -> None:
        self.program = program
        self.__doc__ = program.__doc__

    def run(self, folder: Path) -> None:
        """Runs it from seed 0, and writes its figures and findings into a folder, made if it is not there.

        Raises:
            ValueError: a claim does not hold.
        """
        folder.mkdir(parents=True, exist_ok=True)
        page, start = Page(folder), time.perf_counter()
        seed(0)
        self.program(page)
        page.save(time.perf_counter() - start)

    def main(self) -> None:
        """The command `python -m octavo.book.<chapter>.<section>`."""
        name = self.program.__module__ if self.program.__module__ != "__main__" else _main_name()
        _command(lambda out: self.run(out / name.rpartition(".")[2]), self.__doc__)


def section(program: Callable[[Page], None]) -> Section:
    """Makes a section of its program, which runs if its module is what Python was asked to run."""
    made = Section(program)
    if program.__module__ == "__main__":
        made.main()
    return made


def run_chapter(package: str) -> None:
    """The command `python -m octavo.book.<chapter>`: all its sections, in order."""
    chapter = import_module(package)

    def run(out: Path) -> None:
        for name in chapter.SECTIONS:
            click.echo(f"{package}.{name}")
            getattr(import_module(f"{package}.{name}"), name).run(out / name)

    _command(run, chapter.__doc__)


def _main_name() -> str:
    import __main__

    return __main__.__spec__.name  # type: ignore[union-attr]


def _command(run: Callable[[Path], None], words: str | None) -> None:
    @click.command(help=words)
    @click.option(
        "--out",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("book-figures"),
        show_default=True,
        help="Where figures and findings go.",
    )
    def command(out: Path) -> None:
        try:
            with compilation_shown():
                run(out)
        except (ValueError, OSError) as error:
            raise click.ClickException(str(error)) from None

    command()


def _plain(value: Any) -> Any:
    """What JSON holds."""
    if isinstance(value, (list, tuple)):
        return [_plain(x) for x in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
