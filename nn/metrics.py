"""What happened in a run: one JSON object a line, and the loss curve drawn from them.

A line of a step has `step`, `loss` (nats per token), `lr`, `grad_norm`, `tokens` and `seconds`; one of an estimate
`step`, `train_loss`, `val_loss` and `val_bits_per_byte`, and `"final": true` where the whole validation split counted.
"""

import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import IO, Any, Literal

from ..kernels.files import atomic_write, writing
from .callback import Callback, Estimate, Step
from .trainer import Trainer

__all__ = ["LossCurve", "Metrics", "draw_losses", "read_metrics"]


_log = logging.getLogger(__name__)


class Metrics(Callback):
    """Appends to a file of metrics; on resumption lines that are later than the checkpoint go first."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file: IO[str] | None = None

    def on_start(self, trainer: Trainer) -> None:
        kept = [line for line in read_metrics(self.path) if line["step"] <= trainer.step and "final" not in line]
        with atomic_write(self.path) as file:
            file.writelines(json.dumps(line).encode() + b"\n" for line in kept)
        self._file = open(self.path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115

    def on_step(self, trainer: Trainer, step: Step) -> None:
        self._write(step._asdict())

    def on_estimate(self, trainer: Trainer, estimate: Estimate) -> None:
        line: dict[str, Any] = {"step": estimate.step}
        for prefix in ("train", "val"):
            if (evaluation := getattr(estimate, prefix)) is not None:
                line |= evaluation.to_json(prefix)
        self._write(line | ({"final": True} if estimate.final else {}))

    def on_end(self, trainer: Trainer) -> None:
        if self._file is not None:
            with suppress(OSError):  # what cannot be written was told of when it was tried
                self._file.close()
            self._file = None

    def _write(self, line: dict[str, Any]) -> None:
        if self._file is not None:
            with writing(self.path):
                self._file.write(json.dumps(line) + "\n")


class LossCurve(Callback):
    """Draws the losses into a PNG when training ends, from the metrics that a `Metrics` before it wrote.

    A picture that cannot be written costs a warning: the run itself is saved.
    """

    def __init__(self, metrics: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
        self.metrics, self.path = metrics, path

    def on_end(self, trainer: Trainer) -> None:
        try:
            if lines := read_metrics(self.metrics):
                draw_losses({"": lines}, self.path)
        except OSError as error:
            _log.warning("%s", error)


def read_metrics(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The lines of a file of metrics, none if it is not there; one that is unfinished or damaged is dropped."""
    lines = []
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and type(value.get("step")) is int and all(map(_is_number, value.values())):
            lines.append(value)
    return lines


def _is_number(value: object) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 1 << 63)


def draw_losses(
    runs: Mapping[str, list[dict[str, Any]]],
    path: str | os.PathLike[str],
    along: Literal["step", "tokens", "seconds"] = "step",
) -> None:
    """Draws training and validation loss into a PNG, or into what the path's ending says.

    Args:
        runs: the lines of metrics of each, by the name that the picture gives it.
        along: over the steps, the tokens trained on, or the seconds that took.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel=along, ylabel="loss (nats per token)")
    alone = len(runs) == 1
    for number, (run, lines) in enumerate(runs.items()):
        steps = [line for line in lines if along in line and "loss" in line]
        sums = [line["step"] for line in steps] if along == "step" else accumulate(line[along] for line in steps)
        place = dict(zip((line["step"] for line in steps), sums, strict=True))
        for i, (name, words, style) in enumerate(_CURVES):
            points = [(place[line["step"]], line[name]) for line in lines if name in line and line["step"] in place]
            if points and (alone or name != "train_loss"):
                label = words if alone else run if name == "val_loss" else None
                axes.plot(*zip(*points, strict=True), label=label, color=f"C{i if alone else number}", **style)
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()
    with atomic_write(path) as file:
        figure.savefig(file, format=Path(path).suffix[1:] or "png", dpi=150)


_CURVES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("loss", "training, each batch", {"linewidth": 0.6, "alpha": 0.5}),
    ("train_loss", "training, estimate", {"marker": ".", "markersize": 4}),
    ("val_loss", "validation", {"marker": ".", "markersize": 4}),
)
