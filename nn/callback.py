"""What a trainer tells of its progress, and to whom."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .evaluate import Evaluation

if TYPE_CHECKING:
    from .trainer import Trainer

__all__ = ["Callback", "Estimate", "Step"]


class Step(NamedTuple):
    """An update that was made: `step` counts from 1, `grad_norm` is before clipping, `seconds` are those it took."""

    step: int
    loss: float
    lr: float
    grad_norm: float
    tokens: int
    seconds: float


class Estimate(NamedTuple):
    """Losses after a step; `final` is the one over the whole validation split at the end."""

    step: int
    train: Evaluation | None
    val: Evaluation | None
    final: bool = False


class Callback:
    """What a trainer tells of its progress; every method may be left out."""

    def on_start(self, trainer: "Trainer") -> None:
        """Training starts or goes on, after the step `trainer.step`."""

    def on_step(self, trainer: "Trainer", step: Step) -> None:
        """The weights were updated; on a GPU the next update may be under way."""

    def on_estimate(self, trainer: "Trainer", estimate: Estimate) -> None:
        """Losses were estimated."""

    def on_sample(self, trainer: "Trainer", text: str) -> None:
        """The model wrote a text."""

    def on_save(self, trainer: "Trainer", path: Path) -> None:
        """A checkpoint was written."""

    def on_end(self, trainer: "Trainer") -> None:
        """Training ended, also by an exception."""
