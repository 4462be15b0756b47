"""Ids on the device: nobody waits for them to be checked; a bad one becomes -1, and reads and writes nothing."""

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numba import int64

from ..device import is_array, to
from ..layout import merged
from .kernel import Kernel
from .pointwise import cast, contiguous, elementwise, offset
from .ptx import load, store
from .runtime import empty
from .threads import THREADS, blocks, thread


def checked(name: str, ids: Any, size: int) -> tuple[Any, int]:
    """`ids` flat, contiguous and int64, and how many they are; `name` and `size` are for the CPU, which checks."""
    flat = contiguous(ids).reshape(-1)
    if ids.dtype == np.uint16:  # kernels take that for bfloat16
        pairs = flat.view("u1").reshape(-1, 2)
        flat = _whole(pairs[:, 0], pairs[:, 1])
    return flat if flat.dtype == np.int64 else cast(flat, np.int64), flat.size


@elementwise(returns=np.int64)
def _whole(low, high):
    return int64(low) | int64(high) << int64(8)


def positions(name: str, index: Any, shape: tuple[int, ...], dim: int) -> Any:
    """Where, in an array of a shape, flattened, the elements lie that `gather` takes: flat, -1 for a bad id."""
    ids, count = checked(name, index, shape[dim])
    dim %= len(shape)
    out = empty(count, np.int64)
    steps = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
    sizes, found = merged(index.shape, [tuple(0 if axis == dim else step for axis, step in enumerate(steps))])
    if count:
        others = [step for (step,) in found] or [0]
        run = _positions(len(others))
        run(blocks(count), out, ids, count, sizes or [1], others, steps[dim], shape[dim])
    return out


@lru_cache(None)
def _positions(axes: int) -> Kernel:
    def position(out, ids, count, sizes, others, step, size):
        i = thread()
        if i < count:
            id = load(ids, i)
            store(out, i, offset(i, sizes, others) + id * step if (id >= 0) & (id < size) else int64(-1))

    return Kernel(position, f"i8* <- i8* u4 m{axes} n{axes} i8 i8", THREADS, 0, f"position-{axes}")


def wrapped(name: str, ids: Any, size: int) -> Any:
    """Ids in [0, size), int64, from those in [-size, size); -1 for others. `name` is for the CPU."""
    flat, _ = checked(name, ids, size)
    return _wrapped(flat, size).reshape(ids.shape)


@elementwise
def _wrapped(id, size):
    if (id < -size) | (id >= size):
        return int64(-1)
    return id + size if id < 0 else id


def joined(ids: list[Any], sizes: list[int]) -> Any:
    """Ids on axes of some sizes, arrays or numbers that broadcast, as ids on the axes merged into one."""
    found: Any = 0
    for i, n in zip(ids, sizes, strict=True):
        if not is_array(i):
            i = int(i) % max(n, 1)
            found = found * n + i if isinstance(found, int) else _joined(found, i, n)
        else:
            on_device = to(i, "cuda")
            found = _joined(found, checked("index: indices", on_device, n)[0].reshape(i.shape), n)
    return found


@elementwise
def _joined(found, id, size):
    if (found < 0) | (id < -size) | (id >= size):
        return int64(-1)
    return found * size + (id + size if id < 0 else id)
