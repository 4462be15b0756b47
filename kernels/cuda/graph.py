"""CUDA graphs: launches that are recorded once, and done again by one call, with the same arrays.

While a graph is captured nothing runs, and the host neither reads nor writes an array. New arrays come from a pool that
is the graph's own, for what it frees it writes again; older ones that it uses it keeps alive.
"""

from bisect import bisect_right, insort
from collections.abc import Callable
from typing import Any

import numpy as np


class Graph:
    """What is known of a graph: as a context, the one that is being captured."""

    captured: "Graph | None" = None

    def __init__(self) -> None:
        self.launch: Callable[[], None] = lambda: None
        self.constants: list[tuple[Any, np.ndarray]] = []
        self.pool: Any = None
        self._older: dict[int, Any] = {}
        self._starts: list[int] = []
        self._ends: dict[int, int] = {}

    def __enter__(self) -> "Graph":
        if Graph.captured is not None:
            raise RuntimeError("a graph is being captured: capture another one afterwards")
        Graph.captured = self
        return self

    def __exit__(self, *_: Any) -> None:
        Graph.captured = None

    def allocated(self, address: int, nbytes: int) -> None:
        """Say that memory is of the graph's pool."""
        if address not in self._ends:
            insort(self._starts, address)
        self._ends[address] = address + nbytes

    def uses(self, x: Any) -> None:
        """Keep an array alive that is not of the graph's pool."""
        address = int(x.data.ptr)
        k = bisect_right(self._starts, address)
        if not k or address >= self._ends[self._starts[k - 1]]:
            self._older[id(x)] = x
