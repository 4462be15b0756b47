"""Where the first value came from that is infinite or not a number."""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..kernels import Op, device
from ..kernels.dispatch import watching
from .module import Module
from .tape import current_call

__all__ = ["NonFiniteValue", "explain_nan"]


class NonFiniteValue(FloatingPointError):
    """An op met or made the first value that is infinite or not a number.

    Attributes:
        op: its name; of a backward pass that of the backward op.
        module: the path of the module that ran it, such as "h.3.attn"; "" outside of modules or in the outermost.
        tensor: the input, where a value came in that no op had made: the path of a parameter, or the name of the
            op's argument; else the name of the op's output.
        position: where in that tensor.
    """

    def __init__(self, text: str, op: str, module: str, tensor: str, position: tuple[int, ...]):
        super().__init__(text)
        self.op, self.module, self.tensor, self.position = op, module, tensor, position


@contextmanager
def explain_nan(model: Module | None = None) -> Iterator[None]:
    """Within, the first op that makes a value infinite or NaN from finite ones, or is given a NaN, raises.

    An infinity that an op is given, such as that of a mask, is no fault by itself; a NaN made of it is. Every array
    is looked through, which takes time: use it to find a fault, as the trainer does when a loss is not finite.

    Args:
        model: where paths of modules and parameters start; if left out at the outermost module that is called.

    Raises:
        NonFiniteValue: says which op in which module, which tensor at which position, and what the inputs were.
    """
    watch = _Watch(model)
    with watching(watch):
        yield


class _Watch:
    """Looks at what each op is given and makes, and remembers which op made an array."""

    def __init__(self, model: Module | None) -> None:
        self.model = model
        self.makers: dict[int, tuple[weakref.ref[np.ndarray], str]] = {}

    def __call__(self, op: Op, run: Any, *args: Any) -> Any:
        given = [(name, x) for name, x in zip(op.names, args, strict=False) if not op.view]
        inputs = list(_arrays(given))
        faults = {name: fault for name, x in inputs if (fault := _fault(x)) is not None}
        for name, x in inputs:
            if name in faults and np.isnan(faults[name][0]):
                raise self._found(op, name, x, faults[name], inputs, given=True)
        finite = not faults and all(np.isfinite(x) for _, x in given if isinstance(x, float))
        results = run(*args)
        values = results if isinstance(results, tuple) else (results,)
        outputs = list(_arrays(zip(op.outputs, values, strict=False)))
        for name, x in inputs[: len(inputs) * op.in_place] + outputs:
            fault = None if op.view else _fault(x)
            if fault is not None and (finite or np.isnan(fault[0])):
                raise self._found(op, name, x, fault, inputs, given=False)
        for _, x in outputs:
            maker = self._maker(args[0]) if op.view else f"{op.name}{_in(self._place()[0])}"
            self.makers[id(x)] = weakref.ref(x), maker
        return results

    def _found(
        self,
        op: Op,
        name: str,
        x: np.ndarray,
        fault: tuple[float, tuple[int, ...], int],
        inputs: list[tuple[str, np.ndarray]],
        *,
        given: bool,
    ) -> NonFiniteValue:
        value, position, count = fault
        path, kind, root = self._place()
        place = f"{op.name}{_in(path)}" + (f" ({kind})" if kind else "")
        tensor = (_parameter(root, x) or name) if given else name
        if given:
            came = f"the parameter {tensor}" if tensor != name else f"which {self._maker(x) or 'no op'} made"
            what = f"was given {name}, {came}, with {value:g} at {list(position)}"
        else:
            others = "although its inputs are finite" if all(_fault(y) is None for _, y in inputs) else ""
            what = f"made {name}{list(position)} = {value:g}" + (f", {others}" if others else "")
        lines = [f"the first: {place} {what}; {count:,} of its {x.size:,} values are not finite"]
        lines += [f"  {n}: {_summary(y)}{self._origin(root, y)}" for n, y in inputs]
        return NonFiniteValue("\n".join(lines), op.name, path, tensor, position)

    def _place(self) -> tuple[str, str, Module | None]:
        """(path to the module that runs, its class, the module where the path starts)."""
        call, root = current_call(), self.model
        if call is None:
            return "", "", root
        module = call[0]
        while self.model is None and call is not None:
            root, call = call
        named = root.named_modules() if root is not None else ()
        return next((name for name, m in named if m is module), ""), type(module).__name__, root

    def _maker(self, x: Any) -> str:
        reference, maker = self.makers.get(id(x), (None, ""))
        return maker if reference is not None and reference() is x else ""

    def _origin(self, root: Any, x: np.ndarray) -> str:
        parameter, maker = _parameter(root, x), self._maker(x)
        return f", the parameter {parameter}" if parameter else f", from {maker}" if maker else ""


def _arrays(named: Any) -> Iterator[tuple[str, np.ndarray]]:
    """(name, array) of float arrays; those of a list are numbered."""
    for name, x in named:
        if device.is_array(x) and device.is_float(x.dtype):
            yield name, x
        elif isinstance(x, (list, tuple)):
            yield from _arrays((f"{name}[{i}]", y) for i, y in enumerate(x))


def _fault(x: np.ndarray) -> tuple[float, tuple[int, ...], int] | None:
    """The first NaN, or else infinity, its position, and how many there are of both; None where there is none."""
    x = device.to(x, "cpu")
    bad = ~np.isfinite(x)
    count = int(np.count_nonzero(bad))
    if not count:
        return None
    nan = np.isnan(x)
    at = int(np.argmax(nan if nan.any() else bad))
    position = tuple(int(i) for i in np.unravel_index(at, x.shape))
    return float(x[position]), position, count


def _in(path: str) -> str:
    return f" in {path}" if path else ""


def _parameter(root: Any, x: np.ndarray) -> str:
    named = root.named_parameters() if root is not None else ()
    return next((name for name, p in named if p.data is x or getattr(x, "base", None) is p.data), "")


def _summary(x: np.ndarray) -> str:
    x = device.to(x, "cpu")
    finite = x[np.isfinite(x)]
    span = f"{finite.min():.3g} to {finite.max():.3g}" if finite.size else "nothing finite"
    return f"{x.dtype} {x.shape}, {span}"
