"""Sums, means and products."""

from typing import Any


def sum_to(x: Any, shape: tuple[int, ...]) -> Any:
    """The sum over the axes along which `shape` was broadcast to x's; x itself if there are none."""
    raise NotImplementedError
