"""Work for a GPU that the host does not wait for: copies to and from it, and work that it repeats."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

__all__ = ["capture", "fetch", "page_locked", "write"]


def page_locked(size: int, dtype: Any) -> np.ndarray:
    """Uninitialised memory of the host, for `write`."""
    return _cuda("runtime").target().page_locked(size, dtype)


def write(x: np.ndarray, out: Any) -> None:
    """Copy a `page_locked` array, which then stays as it is for a while, to one on the GPU, both contiguous."""
    _cuda("runtime").target().write(x, out)


def fetch(x: Any) -> Callable[[], np.ndarray]:
    """Copy a contiguous array from the GPU as it is now; the function that waits for the copy returns it.

    That function raises ValueError where an op was given a bad id before now.
    """
    wait, check = _cuda("runtime").target().fetch(x), _cuda("faults").fetch()

    def result() -> np.ndarray:
        found = wait()
        check()
        return found

    return result


def capture(body: Callable[[], None]) -> Callable[[], None]:
    """What repeats the work that a function gives the GPU: a CUDA graph.

    The function is called once, and what it launches does not run before the graph is launched. It has run before,
    so that all kernels are compiled; it neither reads what is on the GPU nor writes it from the host. All sizes,
    addresses and numbers of the host are those of this call for ever. Arrays that it makes are the graph's, and hold
    what its last launch left there; older ones that it uses are kept.
    """
    graph = _cuda("runtime").capture(body)
    return lambda: graph.launch()  # and not its method: what it keeps alive is to live as long


def _cuda(module: str) -> Any:
    return import_module(f".cuda.{module}", __package__)
