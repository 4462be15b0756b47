"""A search for hyper-parameters as a picture."""

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..kernels.files import atomic_write

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

__all__ = ["draw_trials", "loss_of"]

_COLUMNS = 3


def loss_of(trial: "FrozenTrial") -> float | None:
    """What a trial came to: the value that it ended with, or was pruned at; None if it came to nothing."""
    value = trial.values[0] if trial.values else None
    if value is None and trial.state.name == "PRUNED" and trial.intermediate_values:
        value = trial.intermediate_values[max(trial.intermediate_values)]
    return value if value is not None and math.isfinite(value) else None


def draw_trials(trials: "list[FrozenTrial]", path: str | os.PathLike[str]) -> None:
    """Draws the losses of an Optuna study's trials, which it minimises, into a PNG, or what the path's ending says.

    Above, each trial in its turn, with the best one so far; below, the loss over each hyper-parameter. Trials that were
    pruned are hollow, at the loss that they had then.

    Raises:
        ValueError: no trial came to its end or was pruned.
    """
    from matplotlib.figure import Figure

    shown = [(trial, loss) for trial in trials if (loss := loss_of(trial)) is not None]
    if not shown:
        raise ValueError("draw_trials: expected trials with a loss, got none; let one come to its end")
    names = sorted({name for trial, _ in shown for name in trial.params})
    rows = -(-len(names) // _COLUMNS)
    figure = Figure(figsize=(9, 3 + 2.6 * rows), layout="constrained")
    grid = figure.add_gridspec(1 + rows, _COLUMNS)
    above = figure.add_subplot(grid[0, :], xlabel="trial", ylabel="validation loss")
    _scatter(above, [(trial, trial.number + 1, loss) for trial, loss in shown])
    ended = [(trial.number + 1, loss) for trial, loss in shown if trial.state.name == "COMPLETE"]
    best = [min(loss for _, loss in ended[: i + 1]) for i in range(len(ended))]
    above.step([number for number, _ in ended], best, where="post", color="C1", label="best so far")
    above.legend()
    for i, name in enumerate(names):
        axes = figure.add_subplot(grid[1 + i // _COLUMNS, i % _COLUMNS], xlabel=name.replace("_", " "))
        points = [(trial, trial.params[name], loss) for trial, loss in shown if name in trial.params]
        distribution = points[0][0].distributions[name]
        if getattr(distribution, "log", False):
            axes.set_xscale("log")
        if choices := getattr(distribution, "choices", None):
            points = [(trial, choices.index(value), loss) for trial, value, loss in points]
            axes.set_xticks(range(len(choices)), labels=list(map(str, choices)))
        _scatter(axes, points)
    with atomic_write(path) as file:
        figure.savefig(file, format=Path(path).suffix[1:] or "png", dpi=150)


def _scatter(axes: Any, points: "list[tuple[FrozenTrial, Any, float]]") -> None:
    for state, face, label in (("COMPLETE", "C0", "whole"), ("PRUNED", "none", "pruned")):
        at = [(x, loss) for trial, x, loss in points if trial.state.name == state]
        if at:
            axes.scatter(*zip(*at, strict=True), s=18, facecolors=face, edgecolors="C0", label=label)
    axes.grid(alpha=0.3)
