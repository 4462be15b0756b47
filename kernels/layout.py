"""How arrays of any strides are walked together."""

from collections.abc import Callable
from functools import lru_cache
from math import prod
from typing import Any

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


@lru_cache(4096)
def axes_of(ndim: int, dim: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """The axes that `dim` names, in order."""
    if dim is None:
        return tuple(range(ndim))
    return tuple(sorted(d % ndim for d in ((dim,) if isinstance(dim, int) else dim)))


def kept(shape: tuple[int, ...], axes: tuple[int, ...], keepdim: bool) -> tuple[int, ...]:
    """The shape after a reduction over some axes."""
    if keepdim:
        return tuple(1 if a in axes else n for a, n in enumerate(shape))
    return tuple(n for a, n in enumerate(shape) if a not in axes)


def as_rows(x: Any, axes: tuple[int, ...], contiguous: Callable[[Any], Any]) -> tuple[Any, list[int] | None]:
    """x as (outer, rows, inner), and the order of x's axes in it if it had to be permuted."""
    first, last = (axes[0], axes[-1]) if axes else (0, -1)
    order = None
    if last - first >= len(axes):
        order = [a for a in range(x.ndim) if a not in axes] + list(axes)
        x = x.transpose(order)
        first, last = x.ndim - len(axes), x.ndim - 1
    shape = prod(x.shape[:first]), prod(x.shape[first : last + 1]), prod(x.shape[last + 1 :])
    return contiguous(x).reshape(shape), order


def from_rows(rows: Any, shape: tuple[int, ...], order: list[int] | None) -> Any:
    """The array of a shape that `as_rows` would make these rows of."""
    if order is None:
        return rows.reshape(shape)
    return rows.reshape([shape[a] for a in order]).transpose(np.argsort(order))
