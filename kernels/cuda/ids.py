"""Ids on the device: a bad one becomes -1, and reads and writes nothing. Nobody waits for them to be checked: it is
noted, and raises when the host next reads from the device."""

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numba import int64

from ..device import is_array, to
from ..layout import merged
from . import faults
from .kernel import Kernel, kernel
from .pointwise import cast, contiguous, elementwise, offset
from .ptx import load, store
from .runtime import empty
from .threads import THREADS, blocks, thread


def checked(name: str, ids: Any, size: int, ignore_index: int | None = None, low: int = 0) -> tuple[Any, int]:
    """`ids` flat, contiguous and int64, and how many they are.

    One that is neither in [low, size) nor `ignore_index` is a fault of `name`, "op: argument". Ids of a backward op
    have been those of its forward op.
    """
    flat = contiguous(ids).reshape(-1)
    if ids.dtype == np.uint16:  # kernels take that for bfloat16
        pairs = flat.view("u1").reshape(-1, 2)
        flat = _whole(pairs[:, 0], pairs[:, 1])
    flat = flat if flat.dtype == np.int64 else cast(flat, np.int64)
    if flat.size and "_backward: " not in name:
        numbers = flat.size, low, size, ignore_index is not None, ignore_index or 0
        _check_kernel(blocks(flat.size), faults.place(name), flat, *numbers)
    return flat, flat.size


@kernel("i8* <- i8* u4 i8 i8 ? i8", threads=THREADS)
def _check_kernel(fault, ids, count, low, size, may_ignore, ignore_index):
    """fault = 1, a bad id and the bounds, if there is one."""
    i = thread()
    if i < count:
        id = load(ids, i)
        if ((id < low) | (id >= size)) & ~(may_ignore & (id == ignore_index)):
            store(fault, 1, id)
            store(fault, 2, low)
            store(fault, 3, size)
            store(fault, 0, int64(1))


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
    """Ids in [0, size), int64, from those in [-size, size); -1 for others."""
    flat, _ = checked(name, ids, size, low=-size)
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
            found = _joined(found, checked("index: indices", on_device, n, low=-n)[0].reshape(i.shape), n)
    return found


@elementwise
def _joined(found, id, size):
    if (found < 0) | (id < -size) | (id >= size):
        return int64(-1)
    return found * size + (id + size if id < 0 else id)
