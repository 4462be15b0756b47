"""The training loop. It prints nothing and knows no files but its checkpoint: callbacks do the rest.

On a GPU the host starts an update before it knows how the last one went; whatever it reads from the model comes after
all. A step depends on the weights, the optimiser's state, the random state and the number of the step alone, and all of
them are in the checkpoint. So a run that was killed at any moment and resumed ends with the same weights, bit for
bit, as one that ran through; but for a budget of minutes, since the clock decides its learning rates and its end.
"""

import math
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..kernels.device import precision
from . import checkpoint, random
from .callback import Callback, Estimate, Step
from .config import TrainConfig
from .data import IGNORE_INDEX, Batch, Batches, EvalBatches
from .evaluate import Evaluation, evaluate
from .explain import NonFiniteValue, explain_nan
from .interrupt import interrupts_held
from .joint import optimizer_for
from .schedule import schedule
from .update import Outcome, differentiate, update_for

if TYPE_CHECKING:
    from .models import LanguageModel

__all__ = ["NonFiniteLoss", "Source", "Trainer"]

_RESOLUTION = 1 << 20  # of the share of the minutes that is over, in the schedule


class Source(Protocol):
    """(inputs, targets) of each step's whole batch, each (B, T) int64; a function of the step alone."""

    def __getitem__(self, step: int) -> Batch: ...


class NonFiniteLoss(RuntimeError):
    """Training went astray: the loss or a gradient is infinite or not a number."""


class _Started(NamedTuple):
    """An update whose outcome was not asked for yet, and what was so before it."""

    step: int
    step_count: int
    random: dict[str, int]
    lr: float
    kept: int
    time: float
    outcome: Outcome


class Trainer:
    """Trains a model within a budget.

    Args:
        model: a language model; its parameters are updated in place, in bfloat16 if the config says so.
        config: how to train.
        train: (N,) tokens, or a source of whole batches of `batch_size` · `accumulate` windows.
        val: (M,) tokens; None: no validation.
        bytes_per_token: of the validation text, for bits per byte.
        checkpoint_path: where to save; None: nowhere.
        callbacks: told of everything, in this order.
        sample: writes a text with the model, every `sample_every` steps; training does not notice its draws.

    Attributes:
        step: updates made or started so far, those before a resumption included.
        optimizer: the one that the config names, with weight decay on matrices only.

    Raises:
        ValueError: fewer tokens than a window needs.
    """

    def __init__(
        self,
        model: "LanguageModel",
        config: TrainConfig,
        train: NDArray[Any] | Source,
        val: NDArray[Any] | None = None,
        *,
        bytes_per_token: float | None = None,
        checkpoint_path: str | os.PathLike[str] | None = None,
        callbacks: Sequence[Callback] = (),
        sample: Callable[[], str] | None = None,
    ) -> None:
        self.model, self.config, self.callbacks = model, config, tuple(callbacks)
        model.recompute = model.recompute or config.recompute
        if config.dtype == "bfloat16":
            model.to(config.dtype)
        self.optimizer = optimizer_for(model, config)
        self.step = 0
        context = model.config.context
        self._train: EvalBatches | None = None
        self._source: Source
        if isinstance(train, np.ndarray):
            self._source = Batches(train, config.batch_size * config.accumulate, context, config.seed)
            self._train = EvalBatches(train, config.batch_size, context)
        else:
            self._source = train
        self._val = None if val is None else EvalBatches(val, config.batch_size, context)
        self._bytes_per_token = bytes_per_token
        self._path = None if checkpoint_path is None else Path(checkpoint_path)
        self._sample = sample
        self._update = update_for(model, self.optimizer, config)
        self._running: deque[_Started] = deque()
        self._reported = 0.0
        self._rate = _learning_rate(config)
        self._elapsed = 0.0
        self._started: float | None = None
        self._saved_step: int | None = None
        self._whole = True

    @property
    def elapsed(self) -> float:
        """Seconds of training, those before a resumption included, without the first step of each process."""
        return self._elapsed + (0.0 if self._started is None else time.perf_counter() - self._started)

    @property
    def progress(self) -> float:
        """The share of the budget that is used up, from 0 to 1."""
        config = self.config
        steps = self.step / config.steps if config.steps else 0.0
        minutes = self.elapsed / (60 * config.minutes) if config.minutes else 0.0
        return min(max(steps, minutes), 1.0)

    def fit(self) -> Estimate | None:
        """Trains until the budget is used up, then saves and evaluates the whole validation split, if there is one.

        Ctrl-C lets the step end, saves, and raises KeyboardInterrupt; a second one within the step does not save.

        Raises:
            NonFiniteLoss: the last checkpoint is kept.
            ValueError: an update made the weights infinite, or a token is none of the model's; the last checkpoint is
                kept.
            KeyboardInterrupt: Ctrl-C; if there is a checkpoint path, the state was saved.
        """
        self.model.train()
        before = precision()
        precision(self.config.precision)
        try:
            self._tell("on_start")
            while self.progress < 1.0:
                with interrupts_held():
                    self._whole = False
                    self._start()
                    self._whole = True
                    self._report(self._update.lag)
                if self._is_due(self.config.eval_every):
                    self._report()
                    self._tell("on_estimate", self._estimate())
                if self._sample is not None and self._is_due(self.config.sample_every):
                    self._report()
                    self._tell("on_sample", self._draw(self._sample))
                if self._is_due(self.config.save_every):
                    self.save()
            self.save()
            if self._val is None:
                return None
            final = Estimate(self.step, None, evaluate(self.model, self._val, self._bytes_per_token), final=True)
            self._tell("on_estimate", final)
            return final
        except KeyboardInterrupt:
            if self._whole:
                self.save()
            raise
        finally:
            precision(before)
            self._tell("on_end")

    def save(self) -> None:
        """Writes the checkpoint, unless the present step is in it already."""
        self._report()
        if self._path is None or self._saved_step == self.step:
            return
        with interrupts_held():
            extra = {"step": self.step, "elapsed": self.elapsed}
            checkpoint.save(self._path, self.model, self.optimizer, extra)
            self._saved_step = self.step
        self._tell("on_save", self._path)

    def resume(self) -> None:
        """Takes up the state in the checkpoint; before the first checkpoint there is none, and nothing changes.

        Raises:
            ValueError: the checkpoint is damaged, or of another model.
        """
        if self._path is None or not self._path.exists():
            return
        saved = checkpoint.load(self._path)
        step, elapsed = saved.extra.get("step"), saved.extra.get("elapsed")
        if type(step) is not int or step < 0 or not isinstance(elapsed, float) or not 0 <= elapsed < math.inf:
            raise ValueError(
                f"{self._path} is no checkpoint of a training: step {step!r}, elapsed {elapsed!r}; name one of a run"
            )
        saved.restore(self.model, self.optimizer)
        self.step, self._saved_step, self._elapsed = step, step, elapsed

    def _start(self) -> None:
        """Starts an update, and on the CPU ends it."""
        start, before, count = time.perf_counter(), random.state(), self.optimizer.step_count
        ids, targets = self._source[self.step]
        kept = int(np.count_nonzero(targets != IGNORE_INDEX))
        lr = self._rate(self.step, self.elapsed)
        outcome = self._update(ids, targets, kept, lr)
        self._running.append(_Started(self.step, count, before, lr, kept, start, outcome))
        self.step += 1

    def _report(self, running: int = 0) -> None:
        """Tells of updates, the oldest first, until only so many are under way."""
        while len(self._running) > running:
            update = self._running[0]
            try:
                loss, norm = update.outcome()
            except ValueError:
                self._undo(update)
                raise
            if not (math.isfinite(loss) and math.isfinite(norm)):
                self._undo(update)
                raise self._non_finite(update, loss, norm)
            self._running.popleft()
            now = time.perf_counter()
            if self._started is None:
                self._started = now
            seconds = now - max(update.time, self._reported)
            self._reported = now
            self._tell("on_step", Step(update.step + 1, loss, update.lr, norm, update.kept, seconds))

    def _undo(self, update: _Started) -> None:
        """Goes back to before an update; it and those after it have changed no weights."""
        self._running.clear()
        self._update.reset()
        self.step, self.optimizer.step_count = update.step, update.step_count
        random.set_state(update.random)

    def _non_finite(self, update: _Started, loss: float, norm: float) -> NonFiniteLoss:
        """What went wrong in the next step, which is run again to find out."""
        kept = "nothing was saved" if self._saved_step is None else f"the checkpoint of step {self._saved_step} is kept"
        told = NonFiniteLoss(
            f"training stopped at step {self.step + 1}: the loss is {loss:g}, the norm of the gradient {norm:g}, the "
            f"learning rate {update.lr:g}; {kept}; try a lower learning rate, a longer warm-up or clipping"
        )
        try:
            with explain_nan(self.model):
                differentiate(self.model, *self._source[self.step], max(update.kept, 1), self.config.accumulate)
        except NonFiniteValue as found:
            told.args = (f"{told}\n{found}",)
            told.__cause__ = found
        return told

    def _estimate(self) -> Estimate:
        """Losses on the same few batches of each split every time."""

        def on(split: EvalBatches | None, bytes_per_token: float | None = None) -> Evaluation | None:
            if split is None:
                return None
            batches = split.sample(self.config.eval_batches, self.config.seed)
            return evaluate(self.model, batches, bytes_per_token)

        return Estimate(self.step, on(self._train), on(self._val, self._bytes_per_token))

    def _draw(self, sample: Callable[[], str]) -> str:
        before = random.state()
        self.model.eval()
        try:
            return sample()
        finally:
            self.model.train()
            random.set_state(before)

    def _is_due(self, every: int) -> bool:
        return every > 0 and self.step % every == 0

    def _tell(self, event: str, *what: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(self, *what)


def _learning_rate(config: TrainConfig) -> Callable[[int, float], float]:
    """The learning rate as a function of the step and of the seconds of training.

    With a budget of minutes the share of it that is over takes the place of the share of the steps, where it is the
    larger one; the warm-up then multiplies the schedule.
    """
    peak, floor, warmup = config.lr, config.min_lr, config.warmup
    if config.minutes is None:
        by_step = schedule(config.schedule, peak, config.steps or 1, warmup, floor)
        return lambda step, elapsed: by_step(step)
    by_share = schedule(config.schedule, peak, _RESOLUTION + 1, 0, floor)
    seconds, last = 60 * config.minutes, max((config.steps or 1) - 1, 1)

    def rate(step: int, elapsed: float) -> float:
        share = max(elapsed / seconds, step / last if config.steps else 0.0)
        return by_share(round(min(share, 1.0) * _RESOLUTION)) * min((step + 1) / (warmup + 1), 1.0)

    return rate
