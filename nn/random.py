"""Randomness: one seed, and a count of what has been drawn with it.

Whatever is drawn is a function of the seed, a stream (what it is for) and the count, so that a run continues
exactly from `state` and repeats exactly from `seed`.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..kernels import device

__all__ = [
    "DROPOUT",
    "SAMPLING",
    "advance",
    "current_seed",
    "drawing_from",
    "generator",
    "next_offset",
    "normal",
    "seed",
    "set_state",
    "state",
    "unset",
]

DROPOUT, SAMPLING = 0, 1  # streams


class _Mode(threading.local):
    drawing = True
    offsets: tuple[Any, int] | None = None  # see `drawing_from`


_mode = _Mode()
_lock = threading.Lock()
_state = {"seed": 0, "offset": 0, "initialised": 0}
_LIMITS = {"seed": 1 << 64, "offset": 1 << 32, "initialised": 1 << 64}


def seed(seed: int) -> None:
    """Start all randomness anew: initial weights, dropout and sampling are then the same in every run.

    Raises:
        ValueError: not an integer of 0 to 2**64 - 1.
    """
    set_state({"seed": seed, "offset": 0, "initialised": 0})


def state() -> dict[str, int]:
    """All that later draws depend on, for `set_state`; plain integers."""
    return dict(_state)


def set_state(state: dict[str, Any]) -> None:
    """Go on from a `state`. Raises ValueError for what is not one."""
    if not isinstance(state, dict) or set(state) != set(_state):
        raise ValueError(f"random state: expected a dict of {', '.join(_state)}, got {state!r}")
    checked = {name: _checked(name, state[name]) for name in _LIMITS}
    with _lock:
        _state.update(checked)


def _checked(name: str, value: Any) -> int:
    limit = _LIMITS[name]
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not 0 <= value < limit:
        raise ValueError(f"{name}: expected an integer of 0 to {limit - 1}, got {value!r}")
    return int(value)


def current_seed() -> int:
    """The seed that draws use."""
    return _state["seed"]


def next_offset() -> Any:
    """A number for one more draw: the third word of Philox's counter, so it wraps at 2**32."""
    offset = advance(1)
    if _mode.offsets is None:
        return offset
    scalars, first = _mode.offsets
    return scalars[(offset - first) % _LIMITS["offset"]]


def advance(draws: int) -> int:
    """Go on as if so many numbers had been drawn; returns the first of them."""
    with _lock:
        offset = _state["offset"]
        _state["offset"] = (offset + draws) % _LIMITS["offset"]
        return offset


def generator(seed: int | None = None) -> np.random.Generator:
    """NumPy's generator for draws on the host: of a seed of their own, or one more draw of the library's.

    Raises:
        ValueError: not an integer of 0 to 2**64 - 1.
    """
    key = (current_seed(), advance(1)) if seed is None else (_checked("seed", seed), 0)
    # `normal` counts from 0: other numbers.
    return np.random.Generator(np.random.Philox(key=np.array(key, np.uint64), counter=[0, 0, 0, SAMPLING]))


@contextmanager
def drawing_from(scalars: Any) -> Iterator[None]:
    """The numbers that `next_offset` returns (in this thread) are scalars on a device, the first one that of now.

    Whoever repeats what is drawn here puts the numbers there, and calls `advance`.
    """
    before, _mode.offsets = _mode.offsets, (scalars, _state["offset"])
    try:
        yield
    finally:
        _mode.offsets = before


@contextmanager
def unset() -> Iterator[None]:
    """`normal` draws nothing (in this thread) and returns arrays of arbitrary values: for weights read afterwards."""
    before, _mode.drawing = _mode.drawing, False
    try:
        yield
    finally:
        _mode.drawing = before


def normal(shape: int | tuple[int, ...], std: float) -> np.ndarray:
    """float32 numbers from N(0, std²) for initial weights; the n-th call depends on the seed and n alone."""
    if not _mode.drawing:
        return device.empty(shape, np.float32)
    with _lock:
        key = (_state["seed"], _state["initialised"])
        _state["initialised"] += 1
    array = device.empty(shape, np.float32)
    np.random.Generator(np.random.Philox(key=np.array(key, np.uint64))).standard_normal(out=array, dtype=np.float32)
    array *= np.float32(std)
    return array
