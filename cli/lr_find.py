"""`octavo lr-find`: the learning rate to train a model with."""

from itertools import count
from pathlib import Path
from typing import Any

import click

from .options import GroupedCommand, option, require_picture, thread_options, use_machine
from .presets import settings
from .settings import learning_settings, model_settings, preset_settings, text_settings, typed

__all__ = ["lr_find"]

_RATE_DIGITS = 2


@click.command("lr-find", cls=GroupedCommand, short_help="Find a learning rate.")
@click.argument("source", required=False)
@option("--low", type=float, default=1e-7, show_default=True, group="Test", help="The first learning rate.")
@option("--high", type=float, default=10.0, show_default=True, group="Test", help="The last one.")
@option("--steps", type=int, default=100, show_default=True, group="Test", help="How many of them.")
@option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("lr-find.png"),
    show_default=True,
    group="Test",
    help="Where to draw losses over rates; the ending (.png, .svg, .pdf) says how.",
)
@preset_settings
@text_settings
@model_settings
@learning_settings
@thread_options
def lr_find(
    source: str | None,
    low: float,
    high: float,
    steps: int,
    out: Path,
    preset: str,
    device: str,
    threads: int | None,
    **options: Any,
) -> None:
    """Find a learning rate for a new model on the text SOURCE, with the options of octavo train.

    The rate grows from step to step until the loss diverges. What is suggested is the rate at which the loss fell most.
    """
    import tempfile

    from .prepare import prepare
    from .status import compilation_shown

    require_picture(out)
    place, words = use_machine(device, threads)
    click.echo(f"device     {words}")
    given = {name: value for name, value in options.items() if value is not None}
    with tempfile.TemporaryDirectory() as folder, compilation_shown():
        run = prepare(source, Path(folder, "run"), settings(preset, given))
        rate = _find(run, low, high, steps, out, place)
    click.echo(f"picture    {out}\n\nNext:\n  {typed('train', source, preset, given | {'lr': rate})}")


def _find(run: Any, low: float, high: float, steps: int, out: Path, place: str) -> float:
    from .. import nn
    from ..kernels.device import precision
    from ..nn import models, random
    from ..nn.data import Batches
    from ..nn.joint import optimizer_for
    from ..nn.lr_find import draw_rates
    from ..nn.token_file import TokenFile
    from .load import require_memory
    from .models import model_name
    from .status import bar

    shape, config, _ = run.read_config()
    require_memory(shape, config)
    random.seed(config.seed)
    model = models.build(shape)
    model.recompute = config.recompute
    model.to(place)
    if config.dtype == "bfloat16":
        model.to(config.dtype)
    click.echo(f"model      {model_name(shape)}, {model.num_parameters():,} parameters: {shape.sizes()}")
    batches = Batches(TokenFile(run.train).tokens, config.batch_size, shape.context, config.seed)
    step, before = count(), precision()
    precision(config.precision)
    try:
        with bar("trying rates", steps * config.accumulate, "batch") as shown:

            def loss() -> nn.Tensor:
                shown.update()
                return model.loss(*batches[next(step)])

            options = {"clip": config.clip, "accumulate": config.accumulate}
            found = nn.lr_find(model, loss, optimizer_for(model, config), low=low, high=high, steps=steps, **options)
    finally:
        precision(before)
    draw_rates(found, out)
    lowest = min(found.smoothed)
    click.echo(
        f"rates      {len(found.rates)}, from {found.rates[0]:.2g} to {found.rates[-1]:.2g}; loss "
        f"{found.smoothed[0]:.4f}, at the lowest {lowest:.4f}, with {found.rates[found.smoothed.index(lowest)]:.2g}"
    )
    rate = float(f"{found.suggestion:.{_RATE_DIGITS}g}")
    click.echo(f"suggested  {rate:g}, where the loss fell fastest")
    return rate
