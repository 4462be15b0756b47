"""Gradients by central differences, for tests of what is composed of ops."""

from collections.abc import Callable, Iterable

import numpy as np

STEP = 1e-5


def check(value: Callable[[], float], name: str, x: np.ndarray, gradient: np.ndarray, entries: Iterable = ()) -> None:
    """Compare the gradient of `value()`, which reads the float64 array `x`, at some entries of x or at all."""
    for at in entries or np.ndindex(x.shape):
        old = x[at]
        x[at] = old + STEP
        up = value()
        x[at] = old - STEP
        down = value()
        x[at] = old
        expected = (up - down) / (2 * STEP)
        assert abs(gradient[at] - expected) <= 1e-7 * max(1.0, abs(expected)), (
            f"d{name}{list(at)}: got {gradient[at]}, differences give {expected}"
        )
