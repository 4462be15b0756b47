"""A double of CUDA's stream capture: what would run is recorded instead, and `launch` runs it, each time it is called.

What a GPU refuses or answers with garbage raises `Fault`: the host reads or writes an array while a graph is captured,
or the graph uses memory that was freed since. What a graph allocates is unwritten again at each launch.
"""

import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from .fault import Fault
from .memory import memory


class Graph:
    """A graph, captured as a context. `allocated` is told the address and the bytes of each new array."""

    captured: "Graph | None" = None

    def __init__(self, allocated: Callable[[int, int], None] = lambda address, nbytes: None):
        self.steps: list[Callable[[], None]] = []
        self._allocated = allocated
        self._free: defaultdict[int, list[int]] = defaultdict(list)
        self._addresses: list[int] = []
        weakref.finalize(self, _free_all, self._addresses)

    def __enter__(self) -> "Graph":
        Graph.captured = self
        return self

    def __exit__(self, *_: Any) -> None:
        Graph.captured = None

    def launch(self) -> None:
        """Do again all that was recorded."""
        refuse("launch a graph")
        for step in self.steps:
            step()

    def allocate(self, nbytes: int) -> int:
        """An address in the graph's own memory, which is unwritten from here on in each launch."""
        if self._free[nbytes]:
            address = self._free[nbytes].pop()
        else:
            address = memory.allocate(nbytes)
            self._addresses.append(address)
        self._allocated(address, nbytes)
        self.steps.append(partial(memory.mark_unwritten, address, nbytes))
        return address

    def free(self, address: int, nbytes: int) -> None:
        """Give back what `allocate` returned: to this graph, which may go on to use it."""
        self._free[nbytes].append(address)


@contextmanager
def outside() -> Iterator[None]:
    """Within, arrays that are made are not the graph's which is captured."""
    before, Graph.captured = Graph.captured, None
    try:
        yield
    finally:
        Graph.captured = before


def run(step: Callable[[], None]) -> None:
    """Do something on the device, or record it."""
    if Graph.captured is None:
        step()
    else:
        Graph.captured.steps.append(step)


def refuse(what: str) -> None:
    """Raise Fault while a graph is captured."""
    if Graph.captured is not None:
        raise Fault(f"the host cannot {what} while a graph is captured: nothing of it has run yet")


def _free_all(addresses: list[int]) -> None:
    for address in addresses:
        memory.free(address)
