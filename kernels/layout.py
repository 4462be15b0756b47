"""How arrays of any strides are walked together."""

from functools import lru_cache

import numpy as np

broadcast = lru_cache(1024)(np.broadcast_shapes)


def merged(shape: tuple[int, ...], steps: list[tuple[int, ...]]) -> tuple[list[int], list[tuple[int, ...]]]:
    """Sizes of the axes, and the steps of all arrays along each; those that lie in memory as one are one."""
    sizes: list[int] = []
    found: list[tuple[int, ...]] = []
    for n, step in zip(shape, zip(*steps, strict=True), strict=True):
        if n == 1:
            continue
        if sizes and all(outer == n * s for outer, s in zip(found[-1], step, strict=True)):
            sizes[-1] *= n
            found[-1] = step
        else:
            sizes.append(n)
            found.append(step)
    return sizes, found


def steps_along(shape: tuple[int, ...], own: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of an operand of shape `own` along the axes of `shape`: 0 where it is broadcast."""
    return (0,) * (len(shape) - len(own)) + tuple(0 if n == 1 else s for n, s in zip(own, strides, strict=True))
