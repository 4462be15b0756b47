"""Arrays in the emulator's memory: shapes, strides and views as NumPy has them, and no arithmetic."""

import weakref
from functools import partial
from typing import Any

import numpy as np

from .graph import Graph, refuse, run
from .memory import memory

_VIEWS = {np.broadcast_to, np.expand_dims, np.flip, np.moveaxis, np.reshape, np.squeeze, np.swapaxes, np.transpose}
_QUESTIONS = {np.may_share_memory, np.shares_memory, np.shape, np.ndim, np.size}


class _Block:
    """An allocation, for as long as a view of it lives; one that a graph made is the graph's."""

    def __init__(self, nbytes: int):
        if (graph := Graph.captured) is None:
            self.address = memory.allocate(nbytes)
            weakref.finalize(self, memory.free, self.address)
        else:
            self.address = graph.allocate(nbytes)
            weakref.finalize(self, graph.free, self.address, nbytes)


class _Data:
    """As CuPy's `data`: the address is in `ptr`."""

    __slots__ = ("ptr",)

    def __init__(self, ptr: int):
        self.ptr = ptr


class Array:
    """A device array: `get` copies it to the host, `set` fills it from there; views share its memory."""

    __slots__ = ("__weakref__", "_block", "_view")

    def __init__(self, view: np.ndarray, block: _Block):
        self._view, self._block = view, block

    shape = property(lambda self: self._view.shape)
    strides = property(lambda self: self._view.strides)
    dtype = property(lambda self: self._view.dtype)
    ndim = property(lambda self: self._view.ndim)
    size = property(lambda self: self._view.size)
    itemsize = property(lambda self: self._view.itemsize)
    nbytes = property(lambda self: self._view.nbytes)
    flags = property(lambda self: self._view.flags)

    @property
    def data(self) -> _Data:
        return _Data(self._view.__array_interface__["data"][0] - memory.bytes.__array_interface__["data"][0])

    @property
    def T(self) -> "Array":
        return self.transpose()

    def __repr__(self) -> str:
        return f"<emulated array {self.dtype} {self.shape}>"

    def __len__(self) -> int:
        return len(self._view)

    def __getitem__(self, index: Any) -> "Array":
        index = index if isinstance(index, tuple) else (index,)
        return self._viewed(self._view[index if Ellipsis in index else (*index, ...)])  # a view even of one element

    def reshape(self, *shape: Any) -> "Array":
        """The same elements in another shape; copied where they do not lie so that a view could have it."""
        found = self._view.reshape(*shape)
        return self._viewed(found) if np.may_share_memory(found, self._view) else put(found)

    def ravel(self) -> "Array":
        return self.reshape(-1)

    def transpose(self, *axes: Any) -> "Array":
        return self._viewed(self._view.transpose(*axes))

    def view(self, dtype: Any) -> "Array":
        return self._viewed(self._view.view(dtype))

    def copy(self) -> "Array":
        return put(self._view)

    def fill(self, value: Any) -> None:
        run(partial(_fill, self._view, value))

    def get(self) -> np.ndarray:
        """A copy on the host."""
        refuse("read an array")
        return self._view.copy()

    def set(self, x: np.ndarray) -> None:
        """Fill it from an array on the host."""
        refuse("write an array")
        np.copyto(self._view, x)
        _mark_written(self._view)

    def item(self) -> Any:
        return self.get().item()

    def tolist(self) -> Any:
        return self.get().tolist()

    __float__ = __int__ = __bool__ = __index__ = item

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise TypeError("a device array becomes none of NumPy's by itself: device.to(x, 'cpu') copies it")

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        plain = [a._view if isinstance(a, Array) else a for a in args]
        if function in _QUESTIONS:
            return function(*plain, **kwargs)
        if function in _VIEWS:
            found = function(*plain, **kwargs)
            return self._viewed(found) if np.may_share_memory(found, self._view) else put(found)
        return NotImplemented

    def _viewed(self, view: np.ndarray) -> "Array":
        return Array(view, self._block)


def _fill(view: np.ndarray, value: Any) -> None:
    view.fill(value)
    _mark_written(view)


def _mark_written(view: np.ndarray) -> None:
    if view.size:
        low, high = np.lib.array_utils.byte_bounds(view)
        memory.mark_written(low - memory.bytes.__array_interface__["data"][0], high - low)


def empty(shape: tuple[int, ...], dtype: Any) -> Array:
    """An uninitialised array."""
    dtype = np.dtype(dtype)
    nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    block = _Block(max(nbytes, 1))
    return Array(memory.bytes[block.address : block.address + nbytes].view(dtype).reshape(shape), block)


def put(x: np.ndarray) -> Array:
    """A copy of an array on the host."""
    made = empty(x.shape, x.dtype)
    made.set(x)
    return made
