"""The default view of training: a live line on standard error, and a line for each estimate."""

import sys
from datetime import timedelta

import psutil
from tqdm import tqdm

from .callback import Callback, Estimate, Step
from .trainer import Trainer

__all__ = ["Progress"]

_LONGEST = 1e13  # seconds that timedelta can hold
_SMOOTHING = 0.9  # weight of the past in the mean loss and speed shown


class Progress(Callback):
    """Loss, validation loss, bits per byte, tokens per second, time left and memory; the bar needs a terminal."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._loss, self._seconds, self._tokens = _Mean(), _Mean(), _Mean()
        self._val = ""
        self._process = psutil.Process()

    def on_start(self, trainer: Trainer) -> None:
        form = "{percentage:3.0f}% {bar:16} {desc}"
        self._bar = tqdm(total=1.0, bar_format=form, miniters=0, leave=False, disable=None)

    def on_step(self, trainer: Trainer, step: Step) -> None:
        # The first step compiles kernels: its speed says nothing.
        if self._loss.weight:
            self._seconds.add(step.seconds)
            self._tokens.add(step.tokens)
        self._loss.add(step.loss)
        if self._bar is None or self._bar.disable:
            return
        parts = [f"step {step.step:,}", f"loss {self._loss.value:.3f}{self._val}"]
        if self._seconds.weight:
            parts.append(f"{self._tokens.value / self._seconds.value:,.0f} tokens/s")
            parts.append(f"{timedelta(seconds=round(self._seconds_left(trainer)))} left")
        parts.append(f"{self._process.memory_info().rss / 1e6:,.0f} MB")
        self._bar.set_description_str(", ".join(parts), refresh=False)
        self._bar.update(trainer.progress - self._bar.n)
        if trainer.progress == 1.0:
            self._bar.set_description_str(f"step {step.step:,}, evaluating the whole validation split")

    def on_estimate(self, trainer: Trainer, estimate: Estimate) -> None:
        parts = []
        if estimate.train is not None:
            parts.append(f"training loss {estimate.train.loss:.4f}")
        if estimate.val is not None:
            parts.append(f"validation loss {estimate.val.loss:.4f}")
            self._val = f", validation {estimate.val.loss:.3f}"
            if (bits := estimate.val.bits_per_byte) is not None:
                parts.append(f"{bits:.3f} bits per byte")
                self._val += f" ({bits:.2f} bits/byte)"
        if parts and not estimate.final:
            _say(f"step {estimate.step:,}: {', '.join(parts)}")

    def on_sample(self, trainer: Trainer, text: str) -> None:
        _say("\n".join(f"    {line}" for line in text.splitlines()))

    def on_end(self, trainer: Trainer) -> None:
        if self._bar is not None:
            self._bar.close()

    def _seconds_left(self, trainer: Trainer) -> float:
        config, left = trainer.config, []
        if config.steps:
            left.append((config.steps - trainer.step) * self._seconds.value)
        if config.minutes:
            left.append(60 * config.minutes - trainer.elapsed)
        return min(max(min(left), 0.0), _LONGEST)


def _say(text: str) -> None:
    """A line that stays, above the bar."""
    tqdm.write(text, file=sys.stderr)


class _Mean:
    """A running mean that forgets."""

    def __init__(self) -> None:
        self.total = self.weight = 0.0

    def add(self, value: float) -> None:
        self.total = _SMOOTHING * self.total + value
        self.weight = _SMOOTHING * self.weight + 1

    @property
    def value(self) -> float:
        return self.total / self.weight
