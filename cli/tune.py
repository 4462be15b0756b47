"""`octavo tune`: settings to train a model with, found by trying."""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import GroupedCommand, option, thread_options, use_machine
from .presets import BUDGETS, settings
from .search import check_space, default_space, parse, rounded
from .settings import learning_settings, model_settings, preset_settings, rate_settings, text_settings, typed

if TYPE_CHECKING:
    import optuna

    from ..nn.callback import Step
    from ..nn.run import Run
    from ..nn.trainer import Trainer

__all__ = ["tune"]

_BUDGET = {"minutes": 0.5}
_ESTIMATES = 10  # in a trial
_UNJUDGED = 3  # of them, the first ones
_TRIED_FIRST = 5  # trials at random, of which none is pruned
_SHOWN = 10  # trials in the table
_NOT_SEARCHED = {"betas", "clip", "dtype", "precision", "recompute", "graph", "bias"}
_NAME = "tune"  # of the study in its file


@click.command(cls=GroupedCommand, short_help="Search for good settings, by short trainings.")
@click.argument("source", required=False)
@option("--trials", type=click.IntRange(1), default=20, show_default=True, group="Search", help="How many in all.")
@option("--steps", type=int, group="Search", help="Updates of the weights in a trial.")
@option("--minutes", type=float, group="Search", help="Minutes of training in a trial. [0.5]")
@option(
    "--search",
    "searched",
    multiple=True,
    group="Search",
    help=(
        "What to search instead, such as lr=1e-4:1e-2:log, width=64:256:64 or optimizer=adamw,lion; may be repeated. "
        "[learning rate, weight decay, batch size, and what the model has of layers, width, hidden, taps, dropout]"
    ),
)
@option("--out", type=click.Path(path_type=Path), group="Run", help="The search's folder. [the next under runs/]")
@option("--resume", type=click.Path(path_type=Path), group="Run", help="Go on with the search in this folder.")
@preset_settings
@text_settings
@model_settings
@rate_settings
@learning_settings
@thread_options
def tune(
    source: str | None,
    trials: int,
    searched: tuple[str, ...],
    out: Path | None,
    resume: Path | None,
    preset: str,
    device: str,
    threads: int | None,
    **options: Any,
) -> None:
    """Search for settings with which octavo train does well on the text SOURCE.

    Every trial is a short training with the options that are given, and with values of the others that Optuna chooses
    by what earlier trials came to; hopeless ones end early. Ctrl-C keeps the trials, and --resume goes on.
    """
    _require_optuna()
    from ..nn.run import Run
    from .status import compilation_shown

    given = {name: value for name, value in options.items() if value is not None}
    if resume is not None and (given or source is not None or out is not None or searched):
        raise click.UsageError("--resume goes on as the search began; give it nothing but --trials and the machine")
    place, words = use_machine(device, threads)
    click.echo(f"device     {words}")
    run = _begin(source, out, preset, given, searched) if resume is None else Run(resume)
    study = _study(run)
    with compilation_shown():
        _search(study, run, trials, place)


def _require_optuna() -> None:
    try:
        import optuna
    except ImportError:
        raise RuntimeError("octavo tune needs Optuna: pip install 'octavo[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def _begin(
    source: str | None, out: Path | None, preset: str, given: dict[str, Any], searched: tuple[str, ...]
) -> "Run":
    """A folder with the text's tokens and a study without trials, which knows what it searches."""
    import optuna

    from .models import configure
    from .prepare import prepare

    budget = {name: given.pop(name) for name in BUDGETS if name in given} or _BUDGET
    base = settings(preset, given | budget)
    shape, training = configure(base)
    if searched:
        groups = {"Model", "Learning"}
        found = {each.name: each for each in click.get_current_context().command.params if each.name is not None}
        known = {n: o for n, o in found.items() if getattr(o, "group", "") in groups and n not in _NOT_SEARCHED}
        space = dict(parse(text, known) for text in searched)
        check_space(space, lambda change: configure(settings(preset, given | budget | change)))
    else:
        space = default_space(shape, training, given)
    if both := sorted(space.keys() & given.keys()):
        raise click.UsageError(f"--search {both[0]} and --{both[0].replace('_', '-')} contradict; leave one out")
    run = prepare(source, out, base)
    study = optuna.create_study(storage=_storage(run), study_name=_NAME)
    for name, value in (("source", source), ("preset", preset), ("given", given), ("budget", budget)):
        study.set_user_attr(name, value)
    study.set_user_attr("space", {n: optuna.distributions.distribution_to_json(d) for n, d in space.items()})
    if not searched:  # what there is to improve
        study.enqueue_trial({name: base.get(name, getattr(shape, name, None)) for name in space})
    return run


def _storage(run: "Run") -> str:
    return f"sqlite:///{(run.folder / 'tune.sqlite').resolve()}"


def _study(run: "Run") -> "optuna.Study":
    """The study in a folder, with a sampler that goes on and does not repeat its first trials."""
    import optuna

    seed = run.read_config()[1].seed
    if not (path := run.folder / "tune.sqlite").is_file():
        raise FileNotFoundError(f"{path} is not there: {run.folder} is no search; name a folder that octavo tune made")
    try:
        study = optuna.load_study(study_name=_NAME, storage=_storage(run))
        study.sampler = optuna.samplers.TPESampler(n_startup_trials=_TRIED_FIRST, seed=seed + len(study.trials))
        study.pruner = optuna.pruners.MedianPruner(_TRIED_FIRST, n_warmup_steps=_UNJUDGED)
        study.user_attrs["space"]
    except Exception as error:
        raise ValueError(f"{path} is damaged ({type(error).__name__}); search anew") from None
    return study


def _search(study: "optuna.Study", run: "Run", trials: int, place: str) -> None:
    """Tries until so many trials came to something; those that Ctrl-C or a power cut ended do not count."""
    import optuna
    from optuna.trial import TrialState

    from ..nn.trials import draw_trials, loss_of

    space = {n: optuna.distributions.json_to_distribution(text) for n, text in study.user_attrs["space"].items()}
    counted = (TrialState.COMPLETE, TrialState.PRUNED)
    budget = " or ".join(f"{value:g} {name}" for name, value in study.user_attrs["budget"].items())
    done = len(study.get_trials(states=counted))
    click.echo(f"search     {', '.join(space)}; {trials} trials of {budget}" + (f", {done} are done" if done else ""))
    try:
        while len(study.get_trials(deepcopy=False, states=counted)) < trials:
            trial = study.ask(space)
            try:
                loss, end = _train(trial, study.user_attrs, run, place)
            except BaseException:
                study.tell(trial, state=TrialState.FAIL)
                raise
            study.tell(trial, loss, TrialState.COMPLETE if loss is not None else TrialState.PRUNED)
            click.echo(f"trial {trial.number + 1}: {end}; {_words(trial.params)}")
    except KeyboardInterrupt:
        click.echo(f"stopped; go on with: octavo tune --resume {run.folder} --trials {trials}", err=True)
        raise
    finally:
        picture = run.folder / "tune.png"
        if any(loss_of(trial) is not None for trial in study.trials):
            draw_trials(study.trials, picture)
    _conclude(study, picture)


def _train(trial: "optuna.Trial", told: dict[str, Any], run: "Run", place: str) -> tuple[float | None, str]:
    """The validation loss that a trial came to, None if it was given up, and its end in words."""
    from .. import tokenizer as tokenizers
    from ..nn import models, random
    from ..nn.data import EvalBatches
    from ..nn.progress import Progress
    from ..nn.token_file import TokenFile
    from ..nn.trainer import NonFiniteLoss, Trainer
    from .load import require_memory
    from .models import configure

    changes = {name: rounded(value) for name, value in trial.params.items()}
    try:
        shape, config = configure(settings(told["preset"], _given(told) | told["budget"] | changes))
        shape = replace(shape, vocab_size=tokenizers.load(run.tokenizer).vocab_size)
        require_memory(shape, config)
    except ValueError as error:  # settings that do not go together
        return None, f"cannot be: {error}"
    random.seed(config.seed)
    model = models.build(shape)
    model.to(place)
    config = replace(config, eval_every=0, sample_every=0, save_every=0)
    base = run.read_config()[1]
    val = EvalBatches(TokenFile(run.val).tokens, base.batch_size, shape.context)
    judge = _judge(trial, lambda: val.sample(base.eval_batches, base.seed))
    try:
        Trainer(model, config, TokenFile(run.train).tokens, callbacks=[Progress(), judge]).fit()
    except NonFiniteLoss:
        return None, "diverged"
    except _Pruned:
        return None, f"given up after {judge.done / _ESTIMATES:.0%}, validation loss {judge.loss:.4f}"
    if not math.isfinite(judge.loss):
        return None, "diverged"
    return judge.loss, f"validation loss {judge.loss:.4f}"


class _Pruned(Exception):
    """A trial is worse than others were."""


def _given(told: dict[str, Any]) -> dict[str, Any]:
    """The settings that all trials share; JSON makes lists of tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in told["given"].items()}


def _judge(trial: "optuna.Trial", batches: Callable[[], Iterable[Any]]) -> Any:
    """A callback that estimates the validation loss ten times in a trial, and ends one that is hopeless.

    Args:
        batches: the same ones in all trials.
    """
    from ..nn import Callback, evaluate

    class Judge(Callback):
        done, loss = 0, float("nan")

        def on_step(self, trainer: "Trainer", step: "Step") -> None:
            part = int(trainer.progress * _ESTIMATES)
            if part == self.done:
                return
            self.done, self.loss = part, evaluate(trainer.model, batches()).loss
            trial.report(self.loss, part)
            if part < _ESTIMATES and trial.should_prune():
                raise _Pruned

    return Judge()


def _words(params: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {rounded(value)}" for name, value in params.items())


def _conclude(study: "optuna.Study", picture: Path) -> None:
    from ..nn.trials import loss_of

    ended = sorted((t for t in study.trials if t.state.name == "COMPLETE"), key=lambda t: t.values[0])
    if not ended:
        raise ValueError("no trial came to its end; search other settings, or give trials more steps")
    names = list(ended[0].params)
    rows = [["trial", "loss", *(name.replace("_", " ") for name in names)]]
    rows += [[str(t.number + 1), f"{loss_of(t):.4f}", *(str(rounded(t.params.get(n))) for n in names)] for t in ended]
    widths = [max(map(len, column)) for column in zip(*rows[: _SHOWN + 1], strict=True)]
    click.echo()
    for row in rows[: _SHOWN + 1]:
        click.echo("  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)))
    told = study.user_attrs
    best = _given(told) | {name: rounded(value) for name, value in ended[0].params.items()}
    click.echo(f"\npicture    {picture}\n\nNext:\n  {typed('train', told['source'], told['preset'], best)}")
