"""The learning-rate range test: which rates a model learns at, found in some hundred steps."""

import math
import os
from collections.abc import Callable
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

_SMOOTHING = 0.9  # weight of the past in the smoothed loss
_DIVERGED = 1.5  # times the lowest smoothed loss


class RangeTest(NamedTuple):
    """What `lr_find` saw.

    Attributes:
        rates, losses: of each step; the loss is that before it.
        smoothed: their exponential mean, corrected for its start.
        suggestion: a learning rate to train at.
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

    Model, optimiser and random numbers are afterwards as they were before.

    Args:
        model: what `loss` is computed with.
        loss: the mean loss of the next batch; a tensor of one element with its tape.
        optimizer: of the model's parameters, as for training.
        low, high: the first and the last rate.
        steps: how many of them.
        clip: as in training, the gradient's norm is cut to this; 0 leaves it.
        accumulate: as in training, so many batches make an update.

    Raises:
        ValueError: an argument out of range, or the loss is not finite from the start or never fell.

    Source: Smith, Cyclical Learning Rates for Training Neural Networks, 2017, section 3.3.
    """
    if not 0 < low < high < math.inf:
        raise ValueError(f"lr_find: expected rates 0 < low < high, got low {low!r} and high {high!r}")
    for name, value, least in (("steps", steps, 10), ("accumulate", accumulate, 1)):
        if type(value) is not int or value < least:
            raise ValueError(f"lr_find: {name}: expected a whole number of at least {least}, got {value!r}")
    rates = np.geomspace(low, high, steps).tolist()
    losses: list[float] = []
    smoothed: list[float] = []
    before, lr, was_training = random.state(), optimizer.lr, model.training
    weights, state = _copies(model.state_dict()), _copies(optimizer.state_dict())
    try:
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
            mean = _SMOOTHING * mean + (1 - _SMOOTHING) * found
            losses.append(found)
            smoothed.append(mean / (1 - _SMOOTHING ** len(losses)))
            if smoothed[-1] > _DIVERGED * min(smoothed):
                break
            optimizer.lr = rate
            optimizer.step(scale / accumulate)
            model.zero_grad()
    finally:
        model.zero_grad()
        model.load_state_dict(weights)
        model.train(was_training)
        optimizer.load_state_dict(state)
        optimizer.lr = lr
        random.set_state(before)
    return RangeTest(rates[: len(losses)], losses, smoothed, 0.0)


def _copies(state: dict[str, Any]) -> dict[str, Any]:
    return {name: np.array(device.to(x, "cpu")) if device.is_array(x) else x for name, x in state.items()}
