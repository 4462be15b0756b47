"""The batches that training and validation draw from tokens."""

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["IGNORE_INDEX", "Batches", "EvalBatches"]

IGNORE_INDEX = -100

Batch = tuple[NDArray[np.int64], NDArray[np.int64]]


class Batches:
    """Shuffled batches for training, endless: `batches[step]` depends on nothing but arguments and step.

    Each epoch shifts the grid of windows by a phase below `context`, so that they are cut elsewhere each
    time, and visits every window once, in an order of its own. A batch may end one epoch and begin the next.

    Args:
        tokens: (N,) integers, N > `context`.
        batch_size: B, windows in a batch.
        context: T, tokens in a window.
        seed: at least 0.

    Attributes:
        windows_per_epoch: the same in every epoch: as many as fit behind any phase, but at least 1.

    Raises:
        ValueError: an argument out of range, or a context longer than the data.
    """

    def __init__(self, tokens: NDArray[Any], batch_size: int, context: int, seed: int = 0) -> None:
        self._tokens = _as_tokens(tokens)
        self._batch_size = _at_least(1, batch_size, "batch_size")
        self._context = _at_least(1, context, "context")
        self._seed = _at_least(0, seed, "seed")
        count = len(self._tokens)
        if count <= context:
            raise ValueError(
                f"the context of {context} tokens needs data of at least {context + 1}, got {count} tokens; "
                "shorten the context or give more text"
            )
        self.windows_per_epoch = max((count - context) // context, 1)
        # Less than the context only where the data holds a single window.
        self._phases = min(context, count - self.windows_per_epoch * context)
        self._current = (-1, np.empty(0, np.int64))

    def __getitem__(self, step: int) -> Batch:
        """(inputs, targets) of a step from 0 up: each (B, T) int64, the targets one token further on."""
        first = _at_least(0, step, "step") * self._batch_size
        stop = first + self._batch_size
        starts = []
        while first < stop:
            epoch, at = divmod(first, self.windows_per_epoch)
            part = self._starts(epoch)[at : at + stop - first]
            starts.append(part)
            first += len(part)
        return _gather(self._tokens, np.concatenate(starts), self._context)

    def _starts(self, epoch: int) -> NDArray[np.int64]:
        known, starts = self._current
        if known != epoch:
            random = np.random.default_rng([self._seed, epoch])
            phase = random.integers(self._phases)
            starts = phase + self._context * random.permutation(self.windows_per_epoch)
            self._current = epoch, starts
        return starts


class EvalBatches:
    """The whole data in order, for validation: every token but the first is a target exactly once.

    Iterating gives (inputs, targets), each (B, T) int64; the last batch may have fewer rows. The last window
    is filled up with input 0 and target `IGNORE_INDEX`, so a mean over batches must be weighted by the number
    of targets that count.

    Args:
        tokens: (N,) integers, N of at least 2.
        batch_size: B, windows in a batch.
        context: T, tokens in a window; may exceed N.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(self, tokens: NDArray[Any], batch_size: int, context: int) -> None:
        self._tokens = _as_tokens(tokens)
        self._batch_size = _at_least(1, batch_size, "batch_size")
        self._context = _at_least(1, context, "context")
        if len(self._tokens) < 2:
            raise ValueError(f"validation needs at least 2 tokens, got {len(self._tokens)}; give more text")
        self._starts = np.arange(0, len(self._tokens) - 1, self._context)

    def __len__(self) -> int:
        return -(-len(self._starts) // self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        return self._batches(self._starts)

    def sample(self, k: int, seed: int = 0) -> Iterator[Batch]:
        """k batches of windows drawn without repetition, or all windows where they fill fewer batches."""
        size = min(_at_least(1, k, "k") * self._batch_size, len(self._starts))
        random = np.random.default_rng(_at_least(0, seed, "seed"))
        return self._batches(random.choice(self._starts, size, replace=False))

    def _batches(self, starts: NDArray[np.int64]) -> Iterator[Batch]:
        for first in range(0, len(starts), self._batch_size):
            yield _gather(self._tokens, starts[first : first + self._batch_size], self._context)


def _gather(tokens: NDArray[Any], starts: NDArray[np.int64], context: int) -> Batch:
    inputs = np.zeros((len(starts), context), np.int64)
    targets = np.full_like(inputs, IGNORE_INDEX)
    for row, start in enumerate(starts):
        window = tokens[start : start + context + 1]
        inputs[row, : len(window) - 1] = window[:-1]
        targets[row, : len(window) - 1] = window[1:]
    return inputs, targets


def _as_tokens(tokens: NDArray[Any]) -> NDArray[Any]:
    # A plain view: slicing a memmap costs several times as much.
    array = np.asarray(tokens)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"tokens must be one-dimensional integers, got shape {array.shape} of {array.dtype}")
    return array


def _at_least(low: int, value: int, argument: str) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{argument} must be a whole number, got {value!r}") from None
    if number < low:
        raise ValueError(f"{argument} must be at least {low}, got {number}")
    return number
