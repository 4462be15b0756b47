"""The learning-rate range test: which rates a model learns at, found in some hundred steps."""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..kernels import device
from ..kernels.files import atomic_write
from . import random
from .module import Module
from .optim import Optimizer, clip_grad_norm
from .tensor import Tensor

__all__ = ["RangeTest", "draw_rates", "lr_find"]

_SPAN = 10  # the smoothed loss is a mean over a tenth of the steps, about, and counts from there on
_DIVERGED = 1.5  # times the lowest smoothed loss


class RangeTest(NamedTuple):
    """What `lr_find` saw.

    Attributes:
        rates, losses: of each step; the loss is that before it.
        smoothed: their exponential mean over about a tenth of the steps, corrected for its start.
        suggestion: the rate at which the smoothed loss fell most for a small factor of the rate, before its lowest
            point; a schedule may have its peak there.
    """

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    suggestion: float


def lr_find(
    model: Module,
    loss: Callable[[], Tensor],
    optimizer: Optimizer,
    *,
    low: float = 1e-7,
    high: float = 10.0,
    steps: int = 100,
    clip: float = 0.0,
    accumulate: int = 1,
) -> RangeTest:
    """Train with a rate that grows exponentially from step to step, until the loss diverges, and undo it all.

    Model, optimiser and random numbers are afterwards as they were before; gradients are forgotten.

    Args:
        model: what `loss` is computed with.
        loss: the mean loss of the next batch; a tensor of one element with its tape.
        optimizer: of the model's parameters, as for training.
        low, high: the first and the last rate.
        steps: how many of them.
        clip: as in training, the gradient's norm is cut to this; 0 leaves it.
        accumulate: as in training, so many batches make an update.

    Raises:
        ValueError: an argument out of range, or a loss that was not finite from the start or fell at no rate.

    >>> from octavo import nn
    >>> layer, x = nn.Linear(2, 1), nn.Tensor(np.eye(2, dtype=np.float32))
    >>> found = nn.lr_find(layer, lambda: ((layer(x) - 1) ** 2).mean(), nn.SGD(layer.parameters(), 1.0))
    >>> 0.01 < found.suggestion < 1
    True

    Source: Smith, Cyclical Learning Rates for Training Neural Networks, 2017, section 3.3.
    """
    if not 0 < low < high < math.inf:
        raise ValueError(f"lr_find: expected rates 0 < low < high, got low {low!r} and high {high!r}")
    for name, value, least in (("steps", steps, 2 * _SPAN), ("accumulate", accumulate, 1)):
        if type(value) is not int or value < least:
            raise ValueError(f"lr_find: {name}: expected a whole number of at least {least}, got {value!r}")
    rates = np.geomspace(low, high, steps).tolist()
    settled = steps // _SPAN
    past = 1 - 1 / settled
    losses: list[float] = []
    smoothed: list[float] = []
    with _undone(model, optimizer), np.errstate(over="ignore", invalid="ignore"):  # it is to diverge
        model.train()
        mean = 0.0
        for rate in rates:
            found = 0.0
            for _ in range(accumulate):
                part = loss()
                part.backward()
                found += float(part.item()) / accumulate
            norm, scale = clip_grad_norm(optimizer.params, clip * accumulate or math.inf)
            if not (math.isfinite(found) and math.isfinite(norm)):
                break
            mean = past * mean + (1 - past) * found
            losses.append(found)
            smoothed.append(mean / (1 - past ** len(losses)))
            if len(losses) > settled and smoothed[-1] > _DIVERGED * min(smoothed[settled - 1 :]):
                break
            optimizer.lr = rate
            optimizer.step(scale / accumulate)
            model.zero_grad()
    return RangeTest(rates[: len(losses)], losses, smoothed, _steepest(rates, smoothed, settled))


def _steepest(rates: list[float], smoothed: list[float], settled: int) -> float:
    """The rate at which the smoothed loss fell most, once it has settled and before its lowest point."""
    losses = np.array(smoothed[settled - 1 :])
    lowest = int(losses.argmin()) if len(losses) else 0
    if lowest == 0:
        found = f"the loss was {smoothed[0]:g} and fell at no rate" if smoothed else "the first loss is not finite,"
        raise ValueError(
            f"lr_find: {found} from {rates[0]:g} to {rates[-1]:g}; check the model, the data and the rates"
        )
    slopes = np.diff(losses[: lowest + 1])  # the rates lie at equal distances in their logarithm
    return rates[settled + int(slopes.argmin())]


def draw_rates(found: RangeTest, path: str | os.PathLike[str]) -> None:
    """Draws the losses over the rate, with the suggestion, into a PNG, or into what the path's ending says."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="learning rate", ylabel="loss", xscale="log")
    axes.plot(found.rates, found.losses, linewidth=0.6, alpha=0.5, label="each step")
    axes.plot(found.rates, found.smoothed, label="smoothed")
    axes.axvline(found.suggestion, color="C2", linestyle="--", label=f"suggestion, {found.suggestion:.2g}")
    axes.set_ylim(top=max(found.smoothed) + 0.1 * (max(found.smoothed) - min(found.smoothed)))
    axes.grid(alpha=0.3)
    axes.legend()
    with atomic_write(path) as file:
        figure.savefig(file, format=Path(path).suffix[1:] or "png", dpi=150)


@contextmanager
def _undone(model: Module, optimizer: Optimizer) -> Iterator[None]:
    """Whatever the block does to a model, its optimiser and the random numbers is undone; gradients are forgotten."""
    before, lr, training = random.state(), optimizer.lr, [(module, module.training) for module in model.modules()]
    weights, state = _copies(model.state_dict()), _copies(optimizer.state_dict())
    try:
        yield
    finally:
        model.zero_grad()
        model.load_state_dict(weights)
        for module, mode in training:
            module.training = mode
        optimizer.load_state_dict(state)
        optimizer.lr = lr
        random.set_state(before)


def _copies(state: dict[str, Any]) -> dict[str, Any]:
    return {name: np.array(device.to(x, "cpu")) if device.is_array(x) else x for name, x in state.items()}
