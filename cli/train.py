"""`octavo train`: a model from a text."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .models import model_name
from .options import GroupedCommand, option, thread_options, use_machine
from .presets import BUDGETS, STANDARD_LIBRARY, settings
from .settings import (
    budget_settings,
    learning_settings,
    model_settings,
    preset_settings,
    rate_settings,
    setting,
    text_settings,
)

if TYPE_CHECKING:
    from ..nn import LanguageModel
    from ..nn.callback import Estimate
    from ..nn.run import Run
    from ..nn.trainer import Trainer
    from ..tokenizer import Tokenizer

__all__ = ["train"]

_SAMPLE_TOKENS = 160
# What a resumed run may be told anew: the rest decides what its data and its model are.
_CHANGEABLE = {"steps", "minutes", "lr", "min_lr", "warmup", "schedule", "betas", "weight_decay", "clip"}
_CHANGEABLE |= {"eval_every", "eval_batches", "sample_every", "save_every", "graph"}


@click.command(cls=GroupedCommand)
@click.argument("source", required=False)
@option("--out", type=click.Path(path_type=Path), group="Run", help="The run's folder. [the next under runs/]")
@option("--resume", type=click.Path(path_type=Path), group="Run", help="Go on with the run in this folder.")
@preset_settings
@text_settings
@model_settings
@budget_settings
@rate_settings
@learning_settings
@setting("--eval-every", type=int, group="Reports", help="Steps between estimates of the losses; 0: none.")
@setting("--eval-batches", type=int, group="Reports", help="Batches of each split in an estimate.")
@setting("--sample-every", type=int, group="Reports", help="Steps between samples of text; 0: none.")
@setting("--save-every", type=int, group="Reports", help="Steps between checkpoints; 0: only at the end.")
@option("--profile", is_flag=True, group="Reports", help="End with a table of the time that each op takes.")
@thread_options
def train(
    source: str | None,
    preset: str,
    out: Path | None,
    resume: Path | None,
    profile: bool,
    device: str,
    threads: int | None,
    **options: Any,
) -> None:
    """Train a language model on text: a GPT, or another --model.

    SOURCE is a text file, a folder of them, or - for standard input; without it, the source of Python's own standard
    library. Ctrl-C saves, and --resume goes on.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if resume is not None:
        _check_resumption(given, source=source, out=out)
    from ..nn.run import Run
    from .status import compilation_shown

    place, words = use_machine(device, threads)
    click.echo(f"device     {words}")
    if resume is not None:
        run = Run(resume)
    else:
        from .prepare import prepare

        run = prepare(source, out, settings(preset, given))
        given = {}
    with compilation_shown():
        _train(run, given, profile, place)


def _check_resumption(given: dict[str, Any], **fixed: Any) -> None:
    refused = sorted({name for name, value in fixed.items() if value is not None} | (given.keys() - _CHANGEABLE))
    if refused:
        names = ", ".join("SOURCE" if name == "source" else f"--{name.replace('_', '-')}" for name in refused)
        raise click.UsageError(f"--resume goes on with the run's own text and model; leave out {names}.")


def _train(run: "Run", changes: dict[str, Any], profiled: bool, place: str) -> None:
    from .. import tokenizer as tokenizers
    from ..kernels.files import remove_unfinished
    from ..nn import models, random
    from ..nn.metrics import LossCurve, Metrics
    from ..nn.progress import Progress
    from ..nn.token_file import TokenFile
    from ..nn.trainer import Trainer
    from .load import require_memory, require_vocabulary

    shape, old, source = run.read_config()
    if not changes.keys().isdisjoint(BUDGETS):
        changes = dict.fromkeys(BUDGETS) | changes
    config = replace(old, **changes)
    tokenizer = tokenizers.load(run.tokenizer)
    require_vocabulary(tokenizer, shape, run.config)
    train, val = TokenFile(run.train, tokenizer), TokenFile(run.val, tokenizer)
    prompt = "def " if source == STANDARD_LIBRARY else ""
    random.seed(config.seed)
    require_memory(shape, config)
    model = models.build(shape)
    model.to(place)
    trainer = Trainer(
        model,
        config,
        train.tokens,
        val.tokens,
        bytes_per_token=val.bytes_per_token,
        checkpoint_path=run.checkpoint,
        callbacks=[Metrics(run.metrics), LossCurve(run.metrics, run.plot), Progress()],
        sample=lambda: _sample(model, tokenizer, prompt, config.seed),
    )
    if not run.checkpoint.exists():
        _require_fresh(run, old.save_every)
    trainer.resume()
    remove_unfinished(run.folder)
    if changes:
        run.write_config(shape, config, source)
    _introduce(trainer, tokenizer, len(train.tokens), len(val.tokens))
    try:
        with _profile_shown(trainer) if profiled else nullcontext():
            final = trainer.fit()
    except KeyboardInterrupt:
        click.echo(f"stopped after step {trainer.step:,}; go on with: octavo train --resume {run.folder}", err=True)
        raise
    _conclude(run, final, prompt, _sample(model, tokenizer, prompt, config.seed), place)


@contextmanager
def _profile_shown(trainer: "Trainer") -> Iterator[None]:
    """Shows where the time of the steps within went, also if they are stopped."""
    from ..nn import profile

    with profile() as table:
        trainer.callbacks += (table,)
        try:
            yield
        finally:
            click.echo(f"\n{table}\n")


def _require_fresh(run: "Run", save_every: int) -> None:
    """Raises where a checkpoint must have been there, since starting anew would lose the metrics as well."""
    from ..nn.metrics import read_metrics

    done = max((line["step"] for line in read_metrics(run.metrics)), default=0)
    if 0 < save_every < done:
        raise FileNotFoundError(
            f"{run.checkpoint} is missing, though the run had come to step {done:,}; put it back, or remove "
            f"{run.metrics.name} to begin at step 0"
        )


def _introduce(trainer: "Trainer", tokenizer: "Tokenizer", train: int, val: int) -> None:
    from ..kernels.device import usable_precision

    shape, config = trainer.model.config, trainer.config
    click.echo(f"tokens     {train:,} to train on, {val:,} held back; {tokenizer.kind}, {tokenizer.vocab_size:,} kinds")
    click.echo(f"model      {model_name(shape)}, {trainer.model.num_parameters():,} parameters: {shape.sizes()}")
    budget = [f"{config.steps:,} steps"] if config.steps else []
    budget += [f"{config.minutes:g} minutes"] if config.minutes else []
    start = f", from step {trainer.step:,}" if trainer.step else ""
    used = usable_precision(config.precision)
    stored = "" if config.dtype == "float32" else f"{config.dtype}; "
    instead = "" if used == config.precision else f", as this processor has no unit for {config.precision}"
    click.echo(
        f"training   {' or '.join(budget)}{start}; {config.batch_size * config.accumulate} windows of "
        f"{shape.context} tokens a step; {stored}precision {used}{instead}; seed {config.seed}"
    )


def _conclude(run: "Run", final: "Estimate | None", prompt: str, sample: str, place: str) -> None:
    from ..kernels.device import memory

    if final is not None and final.val is not None:
        bits = final.val.bits_per_byte
        click.echo(
            f"result     after step {final.step:,}, over the whole validation split: loss {final.val.loss:.4f}, "
            f"perplexity {final.val.perplexity:.2f}" + ("" if bits is None else f", {bits:.4f} bits per byte")
        )
    click.echo(f"memory     {memory(place).peak / 1e6:,.0f} MB of arrays at most")
    click.echo(f"saved      {run.folder} (loss curve: {run.plot})")
    click.echo(f"\nIt writes:\n\n{sample}\n")
    click.echo("Next:")
    click.echo(f"  octavo generate {run.folder}" + (f' --prompt "{prompt}"' if prompt else ""))
    click.echo(f"  octavo train --resume {run.folder} --minutes 10")


def _sample(model: "LanguageModel", tokenizer: "Tokenizer", prompt: str, seed: int) -> str:
    from .text import continuation

    return prompt + "".join(continuation(model, tokenizer, prompt, _SAMPLE_TOKENS, temperature=0.8, seed=seed))
