"""The tape: which op made what, and how gradients travel back along it.

What a node keeps and which op computes its gradient come from the registry of `kernels` alone. Nodes are numbered as
they are made, and an op's inputs are older than its outputs: `sweep` always takes the youngest node that waits,
which has then received all of its gradients. Neither the depth of a model nor the order of a dictionary matters.
"""

import heapq
import itertools
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from ..kernels import ONE, Op, device, registry
from ..kernels.device import precision

__all__ = [
    "Hook",
    "Leaf",
    "Node",
    "current_call",
    "inside",
    "is_own",
    "is_recording",
    "no_grad",
    "run_hooks",
    "sweep",
    "total",
]


class _Mode(threading.local):
    recording = True
    call: Any = None  # see `inside`
    node: Any = None  # whose gradients are being computed


_mode = _Mode()
_numbers = itertools.count()


@contextmanager
def no_grad() -> Iterator[None]:
    """Ops within leave nothing on the tape (of this thread)."""
    before, _mode.recording = _mode.recording, False
    try:
        yield
    finally:
        _mode.recording = before


def is_recording() -> bool:
    """Whether ops leave nodes on the tape."""
    return _mode.recording


class inside:
    """Nodes made within belong to this call: (the module that runs, its caller's such pair), or None."""

    __slots__ = ("call", "outer")

    def __init__(self, call: Any):
        self.call = call

    def __enter__(self) -> None:
        self.outer, _mode.call = _mode.call, self.call

    def __exit__(self, *_: Any) -> None:
        _mode.call = self.outer


def current_call() -> Any:
    """The call that the op belongs to which is running, forward or backward."""
    return _mode.call if _mode.node is None or _mode.call is not None else _mode.node.call


class Hook:
    """A function in a list of hooks, until `remove`."""

    def __init__(self, hooks: list[Any], function: Callable[..., Any]):
        self._hooks, self._function = hooks, function
        hooks.append(function)

    def remove(self) -> None:
        """Call the function no more."""
        if self._function in self._hooks:
            self._hooks.remove(self._function)


class Leaf(Protocol):
    """Where gradients arrive."""

    hooks: list[Any]

    def accumulate(self, gradient: np.ndarray, own: bool) -> None:
        """Add a gradient; `own` says that nothing else refers to its memory."""


class Node:
    """One run of an op.

    Args:
        edges: for each differentiable argument where its gradient goes: None, a leaf, (the node that made it, which
            of that node's outputs it is), or a list of these.
        saved: what the backward op takes after the output gradients; None once it is freed.
        values: the outputs, of which shape and dtype are kept: those that receive no gradient get zeros.
        given: positional and named arguments, None in the place of those with an edge; None once they are freed.
    """

    __slots__ = ("call", "edges", "given", "guards", "hooks", "number", "op", "outputs", "saved")

    def __init__(
        self,
        op: Op,
        edges: list[Any],
        saved: tuple[Any, ...],
        values: tuple[Any, ...],
        given: tuple[list[Any], dict[str, Any]] | None = None,
    ):
        self.number = next(_numbers)
        self.call = _mode.call
        self.hooks: defaultdict[int, list[Any]] = defaultdict(list)
        self.op = op
        self.edges = edges
        self.saved: tuple[Any, ...] | None = _rounded(op, saved)
        self.given = given
        self.outputs: list[Any] = [
            [_like(v) for v in value] if type(value) is list else _like(value) for value in values
        ]
        self.guards: list[tuple[str, list[int], int]] = []

    @property
    def name(self) -> str:
        return self.op.name

    @property
    def takes_one(self) -> bool:
        """Whether the first gradient may be ONE."""
        return self.op.backward.arrays[0].takes_one

    def guard(self, name: str, version: list[int]) -> None:
        """Refuse to differentiate once the saved tensor with this version has been changed."""
        self.guards.append((name, version, version[0]))

    def check_guards(self) -> None:
        for name, version, then in self.guards:
            if version[0] != then:
                raise RuntimeError(
                    f"backward of {self.name}: its argument {name} was changed in place since "
                    f"(version {version[0]}, saved at {then}); call backward first, or change a copy"
                )

    def differentiate(self, received: dict[int, Any], retain: bool) -> Iterator[tuple[Any, Any, list[Any] | None]]:
        """Yield (edge, gradient, arrays that may share its memory; None if any may) from what outputs have received."""
        if self.saved is None:
            raise RuntimeError(
                f"backward of {self.op.name}: what it saved was freed by an earlier backward pass; "
                "compute the output again, or pass retain_graph=True to the earlier pass"
            )
        self.check_guards()
        slots = itertools.count()
        douts = [
            [_gradient(o, received, slots) for o in output]
            if type(output) is list
            else _gradient(output, received, slots)
            for output in self.outputs
        ]
        dins = self.op.backward(*douts, *map(_restored, self.saved))
        gradients = list(_flat(dins if isinstance(dins, tuple) else (dins,)))
        edges = list(_flat(self.edges))
        if not retain:  # or the gradient may be one of the saved arrays
            self.saved, self.edges, self.given = None, [], None
        for i, (edge, gradient) in enumerate(zip(edges, gradients, strict=True)):
            if edge is not None:
                yield edge, gradient, None if retain else [*_flat(douts), *gradients[:i], *gradients[i + 1 :]]


def sweep(root: Node, slot: int, gradient: Any, retain_graph: bool) -> None:
    """Carry a gradient from one output of a node down to the leaves."""
    waiting: dict[int, tuple[Node, dict[int, Any]]] = {root.number: (root, {slot: gradient})}
    order = [-root.number]
    hooked: dict[int, tuple[Leaf, Any]] = {}
    outer = _mode.node
    try:
        _sweep(waiting, order, hooked, retain_graph)
    finally:
        _mode.node = outer
    for leaf, gradient in hooked.values():
        leaf.accumulate(run_hooks(leaf.hooks, gradient), own=False)


def _sweep(
    waiting: dict[int, tuple[Node, dict[int, Any]]], order: list[int], hooked: dict[int, Any], retain_graph: bool
) -> None:
    while order:
        node, received = waiting.pop(-heapq.heappop(order))
        _mode.node = node
        for slot, hooks in node.hooks.items():
            if slot in received:
                received[slot] = run_hooks(hooks, received[slot])
        for edge, gradient, others in node.differentiate(received, retain_graph):
            if type(edge) is not tuple:
                if edge.hooks:
                    before = hooked.get(id(edge))
                    hooked[id(edge)] = (edge, gradient if before is None else total(before[1], gradient, False))
                else:
                    edge.accumulate(gradient, _is_apart(gradient, others))
                continue
            target, slot = edge
            if target.number not in waiting:
                waiting[target.number] = (target, {})
                heapq.heappush(order, -target.number)
            slots = waiting[target.number][1]
            if slot in slots:
                gradient = total(slots[slot], gradient, _is_apart(gradient, others))
            slots[slot] = gradient
        del received, gradient, others  # whatever is not passed on is free before the next node runs


def total(before: np.ndarray, gradient: np.ndarray, own: bool) -> np.ndarray:
    """The sum of two gradients, in the memory of the second if that is its `own`: nothing else refers to it."""
    if own and is_own(gradient) and gradient.dtype == before.dtype:
        registry["add_"]([gradient], [before])
        return gradient
    return registry["add"](before, gradient)


def is_own(gradient: Any) -> bool:
    """Whether an array can be written to, element after element."""
    flags = gradient.flags
    return flags.c_contiguous and getattr(flags, "writeable", True)  # CuPy's arrays are never read-only


def run_hooks(hooks: list[Any], gradient: Any) -> Any:
    """The gradient after each hook has seen it and perhaps replaced it."""
    for hook in list(hooks):
        replaced = hook(gradient)
        gradient = gradient if replaced is None else replaced
    return gradient


class _Rounded:
    """A saved array of float32, as bf16."""

    __slots__ = ("bits",)

    def __init__(self, x: np.ndarray):
        self.bits = registry["to_bf16"](x)


def _rounded(op: Op, saved: tuple[Any, ...]) -> tuple[Any, ...]:
    """What is saved, in half the memory where that costs no more precision than products do."""
    if not saved or not op.rounds or precision() != "medium":
        return saved
    return tuple(
        _Rounded(x) if name in op.rounds and x is not None and x.dtype == np.float32 else x
        for name, x in zip(op.wanted, saved, strict=True)
    )


def _restored(x: Any) -> Any:
    return registry["from_bf16"](x.bits) if type(x) is _Rounded else x


def _like(value: Any) -> tuple[tuple[int, ...], np.dtype, str]:
    return value.shape, value.dtype, device.of(value)


def _gradient(output: tuple[tuple[int, ...], np.dtype, str], received: dict[int, Any], slots: Iterator[int]) -> Any:
    """What an output received, in its dtype: an op that promoted it gives a gradient of the wider one."""
    found = received.get(next(slots))
    if found is None:
        return device.zeros(*output)
    return found if found is ONE else device.cast(found, output[1])


def _flat(values: Any) -> Iterator[Any]:
    for value in values:
        if type(value) is list:
            yield from value
        else:
            yield value


def _is_apart(gradient: np.ndarray, others: list[Any] | None) -> bool:
    """Whether no other array overlaps this one: backward ops of views return views."""
    if others is None:
        return False
    return not any(device.is_array(o) and np.may_share_memory(gradient, o) for o in others)
