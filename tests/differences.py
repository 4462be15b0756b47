"""Gradients by central differences, for tests of what is composed of ops."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

STEP = 1e-5


def central(
    value: Callable[[], float], x: np.ndarray, entries: Iterable = ()
) -> Iterator[tuple[tuple[int, ...], float, float]]:
    """(index, derivative of `value()`, which reads the float64 array `x`, its rounding error) for entries, or for all.

    Entries that are not finite are passed over.
    """
    for at in entries or np.ndindex(x.shape):
        old = x[at]
        if not np.isfinite(old):
            continue
        x[at] = old + STEP
        up = value()
        x[at] = old - STEP
        down = value()
        x[at] = old
        yield at, (up - down) / (2 * STEP), 1e-14 * max(abs(up), abs(down), abs(old)) / STEP


def check(value: Callable[[], float], name: str, x: np.ndarray, gradient: np.ndarray, entries: Iterable = ()) -> None:
    """Compare the gradient of `value()` with central differences."""
    for at, expected, _ in central(value, x, entries):
        assert abs(gradient[at] - expected) <= 1e-7 * max(1.0, abs(expected)), (
            f"d{name}{list(at)}: got {gradient[at]}, differences give {expected}"
        )
