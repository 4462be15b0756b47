"""Options that are listed in groups, and parts that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

__all__ = ["GroupedCommand", "option", "require_picture", "thread_options", "use_machine"]


class _Option(click.Option):
    def __init__(self, *args: Any, group: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group


class GroupedCommand(click.Command):
    """Lists options under the group that each was given."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if isinstance(parameter, _Option) and record is not None:
                groups.setdefault(parameter.group, []).append(record)
        for group, records in groups.items():
            with formatter.section(group):
                formatter.write_dl(records)


def option(*names: str, group: str, **kwargs: Any) -> Callable[[Any], Any]:
    """`click.option` in a group."""
    return click.option(*names, cls=_Option, group=group, **kwargs)


def thread_options(command: Any) -> Any:
    """Adds --threads and --device, for `use_machine`."""
    threads = option("--threads", type=click.IntRange(1), group="Machine", help="Processor threads. [all]")
    device = option(
        "--device", default="auto", show_default=True, group="Machine", help="auto, cpu, cuda or cuda:NUMBER."
    )
    return threads(device(command))


def use_machine(device: str, threads: int | None) -> tuple[str, str]:
    """Sets the number of threads; the device chosen, and why, in words."""
    from ..kernels import device as machine

    chosen = machine.choose(device)
    count = machine.threads(threads)
    if chosen != "cpu":
        return chosen, f"{chosen}: {machine.name()}"
    why = f"; no GPU: {machine.why_no_gpu() or 'CUDA is emulated'}" if device == "auto" else ""
    return chosen, f"cpu with {count} thread{'s' * (count != 1)}{why}"


def require_picture(path: Path) -> None:
    """ValueError for a file that ends in no kind of picture that can be drawn."""
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise ValueError(f"--out: expected a file that ends in .png, .svg or .pdf, got {path}")
