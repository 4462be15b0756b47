"""Ids are data: they are checked before a kernel reads an address made of them."""

from typing import Any

import numpy as np

from ..device import contiguous
from ..ops import gather
from ..signature import bad_id
from .kernel import kernel


def checked(name: str, ids: np.ndarray, size: int, ignore_index: int | None = None) -> tuple[np.ndarray, int]:
    """`ids` flat, contiguous and int64, and how many of them are not `ignore_index`.

    Raises ValueError for one that is neither in [0, size) nor `ignore_index`; `name` is "op: argument".
    """
    flat = contiguous(ids).reshape(-1).astype(np.int64, copy=False)
    found = np.empty(2, np.int64)
    _check_kernel(found, flat, size, ignore_index is not None, ignore_index or 0)
    position, ignored = found.tolist()
    if position >= 0:
        raise bad_id(name, ids, position, size, ignore_index)
    return flat, flat.size - ignored


def positions(name: str, index: np.ndarray, shape: tuple[int, ...], dim: int) -> np.ndarray:
    """Where, in an array of a shape, flattened, the elements lie that `gather` takes: flat; ids are checked."""
    checked(name, index, shape[dim])
    return gather.positions(index, shape, dim)


wrapped = gather.wrapped


def joined(ids: list[Any], sizes: list[int]) -> np.ndarray:
    """Ids on axes of some sizes, arrays or numbers that broadcast, as ids on the axes merged into one."""
    found = np.int64(0)
    for i, n in zip(ids, sizes, strict=True):
        found = found * n + i % max(n, 1)
    return np.asarray(found)


@kernel("i8[1] <- i8[1] i8 b1 i8", parallel=False)
def _check_kernel(found, ids, size, may_ignore, ignore_index):
    """found = the position of the first bad id, or -1, and the number of ignored ones."""
    found[0], found[1] = -1, 0
    for i in range(ids.size):
        if may_ignore and ids[i] == ignore_index:
            found[1] += 1
        elif ids[i] < 0 or ids[i] >= size:
            found[0] = i
            return
