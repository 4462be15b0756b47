"""One update of a model: gradient descent over micro-batches whose gradients add up to those of the whole batch.

An update whose loss or gradient is infinite or not a number changes nothing. What it returns is a function that gives
its loss and the norm of the gradient, once they are known.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import device, registry, stream
from ..kernels.device import precision
from ..kernels.dispatch import is_watched
from . import random
from .config import TrainConfig
from .optim import Optimizer, clip_grad_norm

if TYPE_CHECKING:
    from .models import LanguageModel

__all__ = ["DeviceUpdate", "Outcome", "Update", "differentiate", "update_for"]

Outcome = Callable[[], tuple[float, float]]


class Update:
    """An update that ends before it returns.

    Attributes:
        lag: how many later updates may be under way when the outcome of one is asked for.
    """

    lag = 0

    def __init__(self, model: "LanguageModel", optimizer: Optimizer, config: TrainConfig):
        self.model, self.optimizer, self.config = model, optimizer, config

    def __call__(self, ids: NDArray[Any], targets: NDArray[Any], kept: int, lr: float) -> Outcome:
        """Of a batch, (B, T) each, in which `kept` targets count."""
        loss = 0.0
        for part in differentiate(self.model, ids, targets, max(kept, 1), self.config.accumulate):
            loss += float(device.to(part, "cpu").item())
        norm, scale = clip_grad_norm(self.optimizer.params, self.config.clip or math.inf)
        self.optimizer.lr = lr
        if math.isfinite(loss) and math.isfinite(norm):
            self.optimizer.step(grad_scale=scale)
        self.model.zero_grad()
        return lambda: (loss, norm)

    def reset(self) -> None:
        """Go on after an update that changed nothing."""


class DeviceUpdate(Update):
    """An update as work for a GPU, which the host neither waits for nor reads from: nothing else keeps the GPU idle.

    What differs from step to step lies in one array of 64-bit words, written at once: ids, targets, the number of the
    step, the learning rate, how many targets count, and the offsets of random draws. What comes out lies in another:
    the factor of the gradient (its clipping; NaN from the first update on that went wrong, which ends all updates
    before the host knows), its norm, and the losses.

    With `config.graph` the second update in a row with the same sizes is captured as a CUDA graph, and launched, as
    are those after it. Captured are the addresses of parameters, the sizes of a batch, the precision, the seed and the
    numbers of the groups and the optimiser but for its `lr`: whoever changes these last between two steps turns
    graphs off. An update is launched kernel by kernel, with the same bits, where ops are watched (`explain_nan`,
    `profile`, `verify`), where there are hooks, of a model that is not `in_graph`, and if its sizes are not those of
    the one before.
    """

    lag = 1

    def __init__(self, model: "LanguageModel", optimizer: Optimizer, config: TrainConfig):
        super().__init__(model, optimizer, config)
        self._zero, self._one, self._limit = (_number(x) for x in (0.0, 1.0, config.clip))
        self._modules = list(model.modules())
        self._found: Any = device.to(np.ones(2 + config.accumulate), "cuda")
        self._words: _Words
        self._key: Any = None
        self._draws = 0
        self._launch: Callable[[], None] | None = None

    def __call__(self, ids: NDArray[Any], targets: NDArray[Any], kept: int, lr: float) -> Outcome:
        self.optimizer.lr = lr
        key = self._captured_by(ids)
        is_first = key is None or key != self._key
        if is_first or self._launch is None:
            self._words = _Words(ids.shape, 0 if is_first else self._draws)
        self._words.write(ids, targets, self.optimizer.step_count + 1, lr, kept)
        if is_first:
            self._key, self._launch = key, None
            before = random.advance(0)
            self._run()
            self._draws = (random.advance(0) - before) % 2**32
        elif self._launch is None:
            with random.drawing_from(self._words.offsets):
                self._launch = stream.capture(self._run)
            self._launch()
        else:
            self._launch()
            random.advance(self._draws)
            self.optimizer.step_count += 1
            for p in self.optimizer.params:
                p.changed()
        return self._outcome()

    def reset(self) -> None:
        device.copy(self._one, self._found)

    def _captured_by(self, ids: NDArray[Any]) -> Any:
        """What a graph holds for; None for an update that is not to be captured."""
        params = self.optimizer.params
        hooked = any(p.hooks for p in params) or any(vars(m).get("_forward_hooks") for m in self._modules)
        if not (self.config.graph and self.model.in_graph) or is_watched() or hooked:
            return None
        arrays = tuple(id(p.data) for p in params)  # which a graph keeps alive
        return ids.shape, precision(), random.current_seed(), self.model.recompute, arrays

    def _run(self) -> None:
        words, found = self._words, self._found
        losses = differentiate(self.model, words.ids, words.targets, words.divisor, self.config.accumulate)
        for i, loss in enumerate(losses):
            device.copy(loss, found[2 + i])
        norm = registry["grad_norm"]([p.grad for p in self.optimizer.params if p.grad is not None])
        device.copy(norm, found[1])
        factor = self._one
        if self.config.clip:
            factor = registry["div"](self._limit, registry["maximum"](norm, self._limit))
        nothing = registry["mul"](registry["sum"](found), self._zero)  # NaN if anything is not finite
        device.copy(registry["add"](factor, nothing), found[0])
        self.optimizer.step(found[0], lr=words.lr, count=words.step)
        self.model.zero_grad()

    def _outcome(self) -> Outcome:
        wait = stream.fetch(self._found)

        def outcome(words: _Words = self._words) -> tuple[float, float]:  # which live until the GPU has read them
            _, norm, *losses = wait().tolist()
            return sum(losses[: len(words.ids)], 0.0), norm

        return outcome


class _Words:
    """What a step is told, on the device: ids and targets (B, T), the scalars step, lr and divisor, and offsets."""

    def __init__(self, shape: tuple[int, ...], draws: int):
        size = math.prod(shape)
        self._count, self._draws = size, draws
        self._next, self._later = (stream.page_locked(2 * size + 3 + draws, np.int64) for _ in range(2))
        self._words = device.empty(len(self._next), np.int64, "cuda")
        self.ids, self.targets = (self._words[k * size : (k + 1) * size].reshape(shape) for k in range(2))
        self.step = self._words[2 * size]
        self.lr, self.divisor = (self._words.view(np.float64)[2 * size + k] for k in (1, 2))
        self.offsets = self._words[2 * size + 3 :]

    def write(self, ids: NDArray[Any], targets: NDArray[Any], step: int, lr: float, kept: int) -> None:
        """Start to copy them; the memory that this takes is used again in the write after the next one."""
        words, size = self._next, self._count
        words[:size], words[size : 2 * size] = ids.reshape(-1), targets.reshape(-1)
        words[2 * size] = step
        words.view(np.float64)[2 * size + 1 : 2 * size + 3] = lr, max(kept, 1)
        words[2 * size + 3 :] = (random.state()["offset"] + np.arange(self._draws)) % 2**32
        stream.write(words, self._words)
        self._next, self._later = self._later, words


def update_for(model: "LanguageModel", optimizer: Optimizer, config: TrainConfig) -> Update:
    """One that suits the device: a `DeviceUpdate` for a GPU, unless the optimiser needs numbers of the host."""
    on_gpu = optimizer.params[0].device == "cuda" and optimizer.takes_scalars
    return (DeviceUpdate if on_gpu else Update)(model, optimizer, config)


def differentiate(model: "LanguageModel", ids: Any, targets: Any, divisor: Any, parts: int) -> list[Any]:
    """Leaves the gradients of a batch's mean loss in the parameters; returns the losses of its `parts`, arrays."""
    losses = []
    for rows in np.array_split(np.arange(len(ids)), min(parts, len(ids))):
        part = slice(rows[0], rows[-1] + 1)
        loss = model.loss(ids[part], targets[part], divisor=divisor)
        loss.backward()
        losses.append(loss.data)
    return losses


def _number(x: float) -> Any:
    return device.to(np.asarray(x), "cuda")
