"""`octavo plot`: the loss curves of runs in one picture."""

from pathlib import Path

import click

from .options import GroupedCommand, option, require_picture

__all__ = ["plot"]


@click.command(cls=GroupedCommand, short_help="Draw the loss curves of runs in one picture.")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("losses.png"),
    show_default=True,
    group="Picture",
    help="Where to draw it; the ending (.png, .svg, .pdf) says how.",
)
@option(
    "--along",
    type=click.Choice(["step", "tokens", "seconds"]),
    default="step",
    show_default=True,
    group="Picture",
    help="What the losses are drawn over.",
)
def plot(runs: tuple[Path, ...], out: Path, along: str) -> None:
    """Draw training and validation losses of the folders RUNS, and show how each run ended."""
    from ..nn.metrics import draw_losses, read_metrics
    from ..nn.run import Run

    require_picture(out)
    if len(set(runs)) < len(runs):
        raise ValueError("a run was named twice; name each once")
    found = {}
    for folder in runs:
        Run(folder).read_config()
        found[str(folder)] = lines = read_metrics(Run(folder).metrics)
        if not any("loss" in line for line in lines):
            raise ValueError(f"{folder}: no step of training yet; go on with octavo train --resume {folder}")
    draw_losses(found, out, along)  # type: ignore[arg-type]
    width = max(map(len, found))
    for name, lines in found.items():
        steps = [line for line in lines if "loss" in line]
        tokens, seconds = (sum(line[what] for line in steps) for what in ("tokens", "seconds"))
        words = f"{name:<{width}}  {steps[-1]['step']:>7,} steps, {tokens:,} tokens, {seconds:,.0f} s"
        if losses := [line for line in lines if "val_loss" in line]:
            words += f": validation loss {losses[-1]['val_loss']:.4f}"
            if "val_bits_per_byte" in losses[-1]:
                words += f", {losses[-1]['val_bits_per_byte']:.3f} bits per byte"
        click.echo(words)
    click.echo(f"{'saved':<{width}}  {out}")
