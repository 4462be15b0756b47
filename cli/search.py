"""What `octavo tune` searches: ranges and choices of settings."""

import math
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from ..nn import ModelConfig, TrainConfig

__all__ = ["check_space", "default_space", "parse", "rounded"]

_DIGITS = 3  # of the numbers tried, so that they can be typed
_FORM = "NAME=LOW:HIGH, NAME=LOW:HIGH:log, NAME=LOW:HIGH:STEP or NAME=A,B,C"


def parse(text: str, options: dict[str, click.Parameter]) -> "tuple[str, BaseDistribution]":
    """The setting's name, and what to try: "lr=1e-4:1e-2:log", "width=64:256:64" or "optimizer=adamw,lion".

    Args:
        options: those that can be searched, by name; they say what kind of value each one takes.

    Raises:
        click.BadParameter: another form, an unknown name, or values that are not of the option's kind.
    """
    from optuna import distributions

    name, _, values = text.partition("=")
    name = name.strip().removeprefix("--").replace("-", "_")
    if name not in options:
        raise _bad(f"cannot search {name!r}; it can search {', '.join(sorted(options))}")
    kind = options[name].type
    numeric = kind in (click.INT, click.FLOAT)

    def value(word: str) -> Any:
        return kind.convert(word.strip(), options[name], None)

    ends = values.split(":")
    try:
        if len(ends) == 1 and values:
            return name, distributions.CategoricalDistribution([value(word) for word in values.split(",")])
        if not numeric or len(ends) not in (2, 3):
            raise _bad(f"expected {_FORM}, got {text!r}")
        low, high = map(value, ends[:2])
        is_log = ends[2:] == ["log"]
        step = {} if is_log or len(ends) == 2 else {"step": value(ends[2])}
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise _bad(f"expected a low end below the high one, got {text!r}")
        number = distributions.IntDistribution if kind is click.INT else distributions.FloatDistribution
        return name, number(low, high, log=is_log, **step)
    except ValueError as error:
        raise _bad(f"{text!r}: {error}") from None


def default_space(shape: "ModelConfig", training: "TrainConfig", fixed: Any) -> "dict[str, BaseDistribution]":
    """Ranges and choices around the settings of a run, of those that its model has and are not fixed."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    space: dict[str, Any] = {
        "lr": FloatDistribution(rounded(training.lr / 10), rounded(training.lr * 10), log=True),
        "weight_decay": FloatDistribution(0.0, 0.3),
        "batch_size": _around(training.batch_size, 1),
    }
    for name, unit in (("layers", 1), ("width", getattr(shape, "heads", 1)), ("hidden", 1), ("taps", 1)):
        if isinstance(size := getattr(shape, name, None), int):
            space[name] = _around(size, unit)
    if hasattr(shape, "dropout"):
        space["dropout"] = CategoricalDistribution([0.0, 0.1, 0.2])
    return {name: values for name, values in space.items() if name not in fixed}


def check_space(space: "dict[str, BaseDistribution]", build: Any) -> None:
    """Calls `build` with single settings, at the ends of their ranges and a step from there, for it to raise."""
    for name, values in space.items():
        at: Any = getattr(values, "choices", None)
        if at is None:
            step = getattr(values, "step", None)
            at = [values.low, values.high, *([min(values.low + step, values.high)] if step else [])]  # type: ignore[attr-defined]
        for value in at:
            build({name: value})


def rounded(value: Any) -> Any:
    """A number as it is tried and shown."""
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def _around(size: int, unit: int) -> Any:
    from optuna.distributions import CategoricalDistribution

    half = size // 2 // unit * unit
    return CategoricalDistribution([half, size, 2 * size] if half else [size, 2 * size])


def _bad(message: str) -> click.BadParameter:
    return click.BadParameter(message, param_hint="--search")
