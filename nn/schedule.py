"""Learning rates as functions of the step.

A schedule warms up linearly, then follows a shape f from f(0) = 1 to f(1) = 0 between its peak and its floor:

    rate(s) = peak · (s + 1) / (warmup + 1)      while s < warmup
    rate(s) = peak · f(x) + floor · (1 - f(x))   from then on, with x = min((s - warmup) / (last - warmup), 1)

so that step `warmup` has the peak, the last step (`steps` - 1) has the floor, and so has every later one.
Source of the warm-up: Goyal et al., Accurate, Large Minibatch SGD, 2017, section 2.2.
"""

import math
from collections.abc import Callable
from numbers import Integral, Real

__all__ = ["SCHEDULES", "schedule"]


def _constant(x: float, decay: float) -> float:
    """f(x) = 1: the floor is never reached."""
    return 1.0


def _linear(x: float, decay: float) -> float:
    """f(x) = 1 - x."""
    return 1.0 - x


def _cosine(x: float, decay: float) -> float:
    """f(x) = (1 + cos πx) / 2. Source: Loshchilov and Hutter, SGDR, 2017, equation 5, without restarts."""
    return 0.5 * (1.0 + math.cos(math.pi * x))


def _wsd(x: float, decay: float) -> float:
    """f(x) = min(1, (1 - x) / decay): warm-up, stable, decay. Source: Hu et al., MiniCPM, 2024, section 4."""
    return min(1.0, (1.0 - x) / decay)


_SHAPES: dict[str, Callable[[float, float], float]] = {
    "constant": _constant,
    "linear": _linear,
    "cosine": _cosine,
    "wsd": _wsd,
}
SCHEDULES = tuple(_SHAPES)


def schedule(
    name: str, peak: float, steps: int, warmup: int = 0, floor: float = 0.0, decay: float = 0.2
) -> Callable[[int], float]:
    """The learning rate of each step, counted from 0.

    Args:
        name: one of `SCHEDULES`.
        peak: the highest rate, over 0.
        steps: number of steps of the run; where step `warmup` is the last, it has the peak, not the floor.
        warmup: number of steps at the start that are below the peak, less than `steps`.
        floor: rate of the last step and of all after it, from 0 to `peak`; "constant" stays at the peak.
        decay: share of the steps after the warm-up in which "wsd" falls, over 0 and at most 1.

    Raises:
        ValueError: an unknown name, or a number out of its range.

    >>> rate = schedule("cosine", peak=1.0, steps=5, warmup=2, floor=0.1)
    >>> [round(rate(step), 3) for step in range(6)]
    [0.333, 0.667, 1.0, 0.55, 0.1, 0.1]
    """
    if name not in _SHAPES:
        raise ValueError(f"schedule: name must be one of {', '.join(SCHEDULES)}, got {name!r}")
    _require(_is_number(peak) and peak > 0, "peak", "a number over 0", peak)
    _require(isinstance(steps, Integral) and steps >= 1, "steps", "a whole number of at least 1", steps)
    in_range = isinstance(warmup, Integral) and 0 <= warmup < steps
    _require(in_range, "warmup", f"a whole number from 0 to {steps - 1}, less than steps", warmup)
    _require(_is_number(floor) and 0 <= floor <= peak, "floor", f"a number from 0 to the peak, {peak}", floor)
    _require(_is_number(decay) and 0 < decay <= 1, "decay", "a share over 0 and at most 1", decay)
    shape = _SHAPES[name]
    falling = max(steps - 1 - warmup, 1)

    def rate(step: int) -> float:
        if step < 0:
            raise ValueError(f"schedule: step must be at least 0, got {step}")
        if step < warmup:
            return peak * (step + 1) / (warmup + 1)
        height = shape(min((step - warmup) / falling, 1.0), decay)
        return peak * height + floor * (1.0 - height)

    return rate


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


def _require(met: bool, argument: str, expected: str, value: object) -> None:
    if not met:
        raise ValueError(f"schedule: {argument} must be {expected}, got {value!r}")
