"""The command with its subcommands: errors in one sentence, options in groups."""

import os
from typing import Any

import click

from .. import __version__
from .evaluate import evaluate
from .generate import generate
from .info import info
from .train import train

__all__ = ["main"]


class _App(click.Group):
    """Turns what the library raises for bad input into one sentence and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except (ValueError, RuntimeError, OSError, MemoryError) as error:
            if os.environ.get("OCTAVO_DEBUG", "") not in ("", "0"):
                raise
            raise click.ClickException(" ".join(str(error).split()) or type(error).__name__) from None
        except KeyboardInterrupt:
            ctx.exit(130)


@click.group(cls=_App, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="octavo")
def main() -> None:
    """Train and run small language models on this machine.

    octavo train learns from Python's own library in about two minutes; octavo COMMAND --help tells the rest.
    """


for _command in (train, generate, evaluate, info):
    main.add_command(_command)
