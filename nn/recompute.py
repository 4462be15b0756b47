"""Activation checkpointing: memory for time."""

from collections.abc import Callable, Iterator
from typing import Any

from . import random
from .tape import Node, inside, is_recording, no_grad, sweep
from .tensor import Tensor

__all__ = ["recompute"]


def recompute(function: Callable[..., Tensor], *args: Any) -> Tensor:
    """`function(*args)`, of which nothing is kept but the arguments: the backward pass computes it again.

    Args:
        function: of tensors and other values to one tensor, such as a module; it must do the same each time, but may
            draw random numbers, which repeat.

    Returns:
        The same values, and later the same gradients, as the function's own, bit for bit.

    Source: Chen et al., Training Deep Nets with Sublinear Memory Cost (2016).
    """
    if not is_recording():
        return function(*args)
    before = random.state()
    with no_grad():
        values = function(*args)
    if not isinstance(values, Tensor):
        raise TypeError(f"recompute: expected a function that returns one tensor, got {type(values).__name__}")
    node = _Recomputed(function, args, before, values)
    return Tensor._of(values.data, node, 0, [0])


class _Recomputed(Node):
    """A node whose gradient is that of a function, run once more with a tape."""

    __slots__ = ("args", "before", "function")
    name = "recompute"
    takes_one = False

    def __init__(self, function: Callable[..., Tensor], args: tuple[Any, ...], before: dict[str, int], out: Tensor):
        super().__init__(None, [], (), (out.data,))  # type: ignore[arg-type]
        self.function, self.args, self.before = function, args, before
        for i, x in enumerate(args):
            if isinstance(x, Tensor):
                self.guard(f"args[{i}]", x._version)

    def differentiate(self, received: dict[int, Any], retain: bool) -> Iterator[tuple[Any, Any, list[Any] | None]]:
        self.check_guards()
        leaves = [_leaf(x) for x in self.args]
        after = random.state()
        random.set_state(self.before)
        try:
            with inside(self.call):
                out = self.function(*leaves)
        finally:
            random.set_state(after)
        if out._node is None:
            return
        sweep(out._node, out._slot, received[0], retain_graph=False)
        for x, leaf in zip(self.args, leaves, strict=True):
            if isinstance(x, Tensor) and x.requires_grad and leaf.grad is not None:
                yield x if x._node is None else (x._node, x._slot), leaf.grad, []


def _leaf(x: Any) -> Any:
    if not isinstance(x, Tensor):
        return x
    leaf = x.detach()
    leaf.requires_grad = x.requires_grad
    return leaf
