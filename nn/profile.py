"""Where the time of a training step goes, op by op."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter, perf_counter_ns
from typing import Any

from ..kernels import Op
from ..kernels.dispatch import watching
from .callback import Callback, Estimate, Step
from .trainer import Trainer

__all__ = ["Profile", "Row", "profile"]


@dataclass
class Row:
    """How often an op ran, and the seconds it took, without those of ops that it called."""

    calls: int = 0
    seconds: float = 0.0


class Profile(dict[str, Row], Callback):
    """Rows by name of the op, forward and backward; as text a table of the mean step, the longest first.

    As a callback it learns from the trainer what a step is; evaluation and samples do not count.

    Attributes:
        steps: how many were measured.
        seconds: those they took, what is no op's included.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.seconds = 0.0
        self._thread = threading.get_ident()
        self._inner = 0  # nanoseconds of the ops that the present one has called
        self._warm = False
        self._leave_out()
        self._stepwise = False

    def __str__(self) -> str:
        if not self.steps:
            return "no step was measured: the first one, which compiles kernels, does not count"
        rows = sorted(self.items(), key=lambda item: -item[1].seconds)
        rest = Row(0, self.seconds - sum(row.seconds for row in self.values()))
        steps, width = f"{self.steps:,} step{'s' * (self.steps != 1)}", max(26, *map(len, self))
        lines = [
            f"mean of {steps}: {1e3 * self.seconds / self.steps:.2f} ms",
            f"{'op':<{width}}{'calls':>8}{'ms':>10}{'share':>9}",
        ]
        for name, row in [*rows, ("rest (Python, data, ...)", rest)]:
            calls = f"{row.calls / self.steps:.4g}" if row.calls else ""
            milliseconds, share = 1e3 * row.seconds / self.steps, row.seconds / self.seconds
            lines.append(f"{name:<{width}}{calls:>8}{milliseconds:>10.3f}{share:>9.1%}")
        return "\n".join(lines)

    def step(self, seconds: float | None = None) -> None:
        """A step ends, which took `seconds`, or began where the last one ended."""
        if self._warm:
            self._add(perf_counter() - self._start if seconds is None else seconds)
        self._warm = True
        self._leave_out()

    def on_start(self, trainer: Trainer) -> None:
        self._leave_out()

    def on_step(self, trainer: Trainer, step: Step) -> None:
        self.step(step.seconds)

    def on_estimate(self, trainer: Trainer, estimate: Estimate) -> None:
        self._leave_out()

    def on_sample(self, trainer: Trainer, text: str) -> None:
        self._leave_out()

    def on_end(self, trainer: Trainer) -> None:
        self._leave_out()

    def _leave_out(self) -> None:
        """What ran since the last step belongs to none."""
        self._stepwise = True
        self._present: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        self._start = perf_counter()

    def _add(self, seconds: float) -> None:
        self.steps += 1
        self.seconds += seconds
        for name, (calls, nanoseconds) in self._present.items():
            row = self.setdefault(name, Row())
            row.calls += calls
            row.seconds += nanoseconds / 1e9

    def _watch(self, op: Op, run: Any, *args: Any) -> Any:
        if threading.get_ident() != self._thread:
            return run(*args)
        outer, self._inner = self._inner, 0
        start = perf_counter_ns()
        try:
            return run(*args)
        finally:
            taken = perf_counter_ns() - start - self._inner
            present = self._present[op.name]
            present[0] += 1
            present[1] += taken
            self._inner = outer + perf_counter_ns() - start  # this bookkeeping is no time of the caller's either


@contextmanager
def profile() -> Iterator[Profile]:
    """Within, the time of every op of this thread is added up, step by step.

    Yields what becomes the table, to be given to a trainer as a callback, or told where each step of a loop ends:

        with nn.profile() as table:
            for ids, targets in batches:
                ...
                table.step()
        print(table)

    The first step, which compiles kernels, is left out. Without steps the block as a whole counts as one.
    """
    table = Profile()
    with watching(table._watch):
        try:
            yield table
        finally:
            if not table._stepwise:
                table._add(perf_counter() - table._start)
