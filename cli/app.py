"""The command with its subcommands: errors in one sentence, options in groups."""

import errno
import os
import sys
from typing import Any

import click

from .. import __version__
from .evaluate import evaluate
from .generate import generate
from .info import info
from .lr_find import lr_find
from .plot import plot
from .tokenize import tokenize
from .train import train
from .tune import tune
from .warmup import warmup

__all__ = ["main"]


_CURES = {
    errno.ENOENT: "it may have been moved or removed: name what is there",
    errno.EACCES: "change its permissions, or name another",
    errno.EPERM: "change its permissions, or name another",
    errno.EROFS: "name another place, which can be written",
    errno.ENOSPC: "free space on that disk, or name another place",
}


class _App(click.Group):
    """Turns what the library raises for bad input into one sentence and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        for stream in (sys.stdout, sys.stderr):
            # A terminal that lacks a character shows a question mark.
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.ClickException, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if os.environ.get("OCTAVO_DEBUG", "") not in ("", "0"):
                raise
            raise click.ClickException(_sentence(error)) from None
        except KeyboardInterrupt:
            ctx.exit(130)


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.filename is not None:
        cure = _CURES.get(error.errno or 0, "name another, or mend it")
        return f"{os.fsdecode(error.filename)}: {error.strerror}; {cure}"
    if isinstance(error, MemoryError):
        return f"{text or 'there is too little memory'}; take a smaller batch, context or model"
    if isinstance(error, (ValueError, RuntimeError, OSError)) and text:
        return text
    return f"a fault of Octavo's own: {type(error).__name__}: {text}; please report what OCTAVO_DEBUG=1 shows of it"


@click.group(cls=_App, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="octavo")
def main() -> None:
    """Train and run small language models on this machine.

    octavo train learns from Python's own library in about two minutes; octavo COMMAND --help tells the rest.
    """


for _command in (train, lr_find, tune, generate, evaluate, plot, tokenize, warmup, info):
    main.add_command(_command)
