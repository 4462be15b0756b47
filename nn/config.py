"""What a training run is told, checked, and kept as JSON."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..kernels.device import PRECISIONS
from .schedule import SCHEDULES

__all__ = ["OPTIMIZERS", "TrainConfig"]

DTYPES = ("float32", "bfloat16")
OPTIMIZERS = ("adamw", "lion", "muon", "sgd")


def _whole(low: int) -> tuple[str, Callable[[Any], bool]]:
    return (
        f"a whole number of at least {low} and below 2**63",
        lambda value: type(value) is int and low <= value < 1 << 63,
    )


def _number(low: float, *, above: bool = False) -> tuple[str, Callable[[Any], bool]]:
    def fits(value: Any) -> bool:
        real = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
        return real and (value > low if above else value >= low)

    return f"a number {'over' if above else 'of at least'} {low:g}", fits


def _optional(rule: tuple[str, Callable[[Any], bool]]) -> tuple[str, Callable[[Any], bool]]:
    return f"{rule[0]}, or None", lambda value: value is None or rule[1](value)


def _is_betas(value: Any) -> bool:
    rate = _number(0)[1]
    return isinstance(value, tuple) and len(value) == 2 and all(rate(beta) and beta < 1 for beta in value)


_RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "steps": _optional(_whole(1)),
    "minutes": _optional(_number(0, above=True)),
    "batch_size": _whole(1),
    "accumulate": _whole(1),
    "optimizer": (f"one of {', '.join(OPTIMIZERS)}", lambda value: value in OPTIMIZERS),
    "lr": _number(0, above=True),
    "min_lr": _number(0),
    "warmup": _whole(0),
    "schedule": (f"one of {', '.join(SCHEDULES)}", lambda value: value in SCHEDULES),
    "betas": ("two numbers from 0 to below 1", _is_betas),
    "eps": _number(0, above=True),
    "weight_decay": _number(0),
    "clip": _number(0),
    "dtype": (f"one of {', '.join(DTYPES)}", lambda value: value in DTYPES),
    "precision": (f"one of {', '.join(PRECISIONS)}", lambda value: value in PRECISIONS),
    "recompute": ("true or false", lambda value: type(value) is bool),
    "graph": ("true or false", lambda value: type(value) is bool),
    "eval_every": _whole(0),
    "eval_batches": _whole(1),
    "sample_every": _whole(0),
    "save_every": _whole(0),
    "seed": _whole(0),
}


@dataclass(frozen=True)
class TrainConfig:
    """How to train. At least one of the budgets `steps` and `minutes` is set; the first one used up ends the run.

    Attributes:
        steps: updates of the weights.
        minutes: of training, counted from the end of the first step, in which kernels may have to be compiled.
        batch_size: windows in a micro-batch.
        accumulate: micro-batches in an update, which equals that of one batch of their size.
        optimizer: one of `OPTIMIZERS`; see `joint.optimizer_for`.
        lr: the highest learning rate; `min_lr` the one at the end.
        warmup: steps in which the learning rate rises.
        schedule: how it falls then, one of `schedule.SCHEDULES`.
        betas: of AdamW, as `eps`, and of Lion; the first is the momentum of Muon and SGD.
        weight_decay: for matrices only.
        clip: the gradient's norm is cut to this; 0 leaves it.
        dtype: of parameters, activations and gradients; the optimiser's state, which has a float32 copy of bfloat16
            parameters, sums and losses are float32.
        precision: of float32 products, as in `octavo.precision`; "medium" also halves what is kept for them in between.
        recompute: keep what enters each block, and compute the rest again in the backward pass: memory for time.
        graph: on a GPU, launch a whole step at once where that can be: see `update.DeviceUpdate`. The same bits.
        eval_every: steps between estimates of the losses, each from `eval_batches` batches of a split; 0: none.
        sample_every: steps between samples of text; 0: none.
        save_every: steps between checkpoints; 0: only at the end.
        seed: of weights, data order, dropout and samples.

    Raises:
        ValueError: a value out of its range.
    """

    steps: int | None = None
    minutes: float | None = None
    batch_size: int = 12
    accumulate: int = 1
    optimizer: str = "adamw"
    lr: float = 1e-3
    min_lr: float = 1e-4
    warmup: int = 100
    schedule: str = "cosine"
    betas: tuple[float, float] = (0.9, 0.99)
    eps: float = 1e-8
    weight_decay: float = 0.1
    clip: float = 1.0
    dtype: str = "float32"
    precision: str = "highest"
    recompute: bool = False
    graph: bool = True
    eval_every: int = 250
    eval_batches: int = 20
    sample_every: int = 0
    save_every: int = 250
    seed: int = 1337

    def __post_init__(self) -> None:
        for name, (expected, fits) in _RULES.items():
            if not fits(getattr(self, name)):
                raise ValueError(f"{name} must be {expected}; got {getattr(self, name)!r}")
        if self.steps is None and self.minutes is None:
            raise ValueError("a run needs an end: give steps, minutes or both")
        if self.min_lr > self.lr:
            raise ValueError(f"min_lr must be at most lr, {self.lr:g}; got {self.min_lr:g}")
        if self.steps is not None and self.warmup >= self.steps:
            raise ValueError(f"warmup must be less than steps, {self.steps}; got {self.warmup}")

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self) | {"betas": list(self.betas)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "TrainConfig":
        """The configuration that `to_json` gave; what is missing has its default.

        Raises:
            ValueError: an unknown name, or a value out of its range.
        """
        if not isinstance(document, Mapping):
            raise ValueError(f"a training configuration must be a JSON object; got {document!r}")
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(document) - known):
            raise ValueError(
                f"unknown in a training configuration: {', '.join(unknown)}; known are {', '.join(sorted(known))}"
            )
        values = dict(document)
        if isinstance(values.get("betas"), list):
            values["betas"] = tuple(values["betas"])
        return cls(**values)
