"""One live line about work that would else look like standing still."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from tqdm import tqdm

__all__ = ["bar", "compilation_shown", "following"]


class _CompilationLine(logging.Handler):
    """Shows what `octavo.kernels` logs: kernels on one line that goes when they are ready, warnings to stay."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._count = 0
        self._line: tqdm | None = None

    def emit(self, record: logging.LogRecord) -> None:
        self.clear()
        message = record.getMessage()
        if record.levelno >= logging.WARNING:
            tqdm.write(message, file=sys.stderr)
        elif message.startswith("compiling"):
            self._count += 1
            text = f"compiling kernels, once on this machine: {self._count} ({message.split()[1]})"
            self._line = tqdm(bar_format="{desc}", desc=text, leave=False, disable=None)
            if self._count == 1 and self._line.disable:
                click.echo("compiling kernels, once on this machine: this can take a minute", err=True)

    def clear(self) -> None:
        """Takes the line away."""
        if self._line is not None:
            self._line.close()
            self._line = None


@contextmanager
def compilation_shown() -> Iterator[None]:
    """Shows within the block which kernels are being compiled."""
    log, handler = logging.getLogger("octavo.kernels"), _CompilationLine()
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        handler.clear()
        log.removeHandler(handler)
        log.setLevel(level)


def bar(what: str, total: int | None, unit: str = "B") -> tqdm:
    """A progress bar on standard error that goes when it is done; nothing where that is no terminal."""
    return tqdm(total=total, desc=what, unit=unit, unit_scale=True, leave=False, disable=None)


def following(shown: tqdm) -> Callable[[int, int], None]:
    """What moves a bar on when it is called with the numbers of things done and asked for."""

    def progress(done: int, asked: int) -> None:
        shown.total = asked
        shown.update(done - shown.n)

    return progress
