"""Modules: parameters and other modules under names, in a tree."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from ..kernels import device
from .tape import Hook, current_call, inside
from .tensor import Tensor

__all__ = ["Module", "Parameter", "Sequential"]


class Parameter(Tensor):
    """A tensor that training changes: a module finds it among its attributes."""

    __slots__ = ()

    def __init__(self, data: Any):
        super().__init__(data, requires_grad=True)


class Module:
    """A function with parameters.

    Whatever is a Parameter, a Module or a list of modules among the attributes belongs to it, under the attribute's
    name ("h.0.attn" is the attribute `attn` of the first module in the list `h`). Subclasses define `forward`.
    """

    training = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with inside((self, current_call())):
            output = self.forward(*args, **kwargs)
        hooks = self.__dict__.get("_forward_hooks")
        for hook in list(hooks) if hooks else ():
            replaced = hook(self, args, output)
            output = output if replaced is None else replaced
        return output

    def register_forward_hook(self, hook: Callable[["Module", tuple[Any, ...], Any], Any]) -> Hook:
        """Call `hook(module, args, output)` after each forward; what it returns, unless None, replaces the output.

        With `output.register_hook(...)` inside, it shows gradients too. Returns a handle whose `remove()` ends it.
        """
        return Hook(vars(self).setdefault("_forward_hooks", []), hook)

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """The modules one level below."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value
            elif isinstance(value, (list, tuple)):
                yield from ((f"{name}.{i}", v) for i, v in enumerate(value) if isinstance(v, Module))

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, "Module"]]:
        """This module and all below it, parents first."""
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def modules(self) -> Iterator["Module"]:
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Each parameter once, under the first of its names if several modules share it."""
        seen = set()
        for prefix, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, Parameter) and id(value) not in seen:
                    seen.add(id(value))
                    yield f"{prefix}.{name}" if prefix else name, value

    def parameters(self) -> Iterator[Parameter]:
        return (parameter for _, parameter in self.named_parameters())

    def num_parameters(self) -> int:
        """How many numbers training changes; shared ones count once."""
        return sum(parameter.size for parameter in self.parameters())

    def train(self, mode: bool = True) -> "Module":
        """Switch what differs in training (dropout) on, or off."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> "Module":
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters():
            parameter.zero_grad()

    def to(self, what: Any) -> "Module":
        """Move all parameters to a device ("cpu", "cuda", "auto"), or give them a dtype: float32, float64 or bfloat16.

        Their gradients are forgotten; make the optimiser afterwards. Raises RuntimeError for a device that cannot be
        had, with the cause and the cure.
        """
        if isinstance(what, str) and "float" not in what:
            change = partial(device.to, device=device.choose(what))
        else:
            dtype = device.BFLOAT16 if what == "bfloat16" else np.dtype(what)
            if dtype not in (np.float32, np.float64, device.BFLOAT16):
                raise TypeError(f"to: expected float32, float64 or bfloat16, got {dtype}")
            self._require_floats("to")
            change = partial(device.cast, dtype=dtype)
        for parameter in self.parameters():
            parameter.data = change(parameter.data)
            parameter.zero_grad()
            parameter.changed()
        return self

    def state_dict(self) -> dict[str, np.ndarray]:
        """The parameters' own arrays (not copies) by name.

        Raises:
            ValueError: the model is quantized.
        """
        self._require_floats("state_dict")
        return {name: parameter.data for name, parameter in self.named_parameters()}

    def load_state_dict(self, state: Mapping[str, np.ndarray], strict: bool = True) -> None:
        """Copy arrays into the parameters of the same names; nothing is changed if any does not fit.

        Args:
            state: arrays by name; other float dtypes are converted.
            strict: whether all names must be there, and no others.

        Raises:
            ValueError: names are missing or unknown, or an array has another shape or is not of floats; all of them
                are listed. Or the model is quantized.
        """
        self._require_floats("load_state_dict")
        parameters = dict(self.named_parameters())
        faults = []
        if strict:
            faults += [f"missing {name}" for name in parameters if name not in state]
            faults += [f"unexpected {name}" for name in state if name not in parameters]
        for name, parameter in parameters.items():
            array = state.get(name)
            if array is not None and (array.shape != parameter.shape or not device.is_float(array.dtype)):
                faults.append(f"{name}: expected floats of shape {parameter.shape}, got {array.dtype} {array.shape}")
        if faults:
            shown = "; ".join(faults[:20]) + (f"; and {len(faults) - 20} more" if len(faults) > 20 else "")
            raise ValueError(f"load_state_dict: the arrays do not fit this {type(self).__name__}: {shown}")
        for name, parameter in parameters.items():
            if name in state:
                parameter.copy_(state[name])

    def _require_floats(self, what: str) -> None:
        for name, parameter in self.named_parameters():
            if not device.is_float(parameter.dtype):
                raise ValueError(f"{what}: {name} is quantized; use the model as it was before, and quantize it after")

    def describe(self) -> str:
        """What `repr` shows in the parentheses."""
        return ""

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__}({self.describe()})"]
        for name, child in self.named_children():
            first, *rest = repr(child).splitlines()
            lines += [f"  {name}: {first}", *(f"  {line}" for line in rest)]
        return "\n".join(lines)


class Sequential(Module):
    """Modules and functions one after another: each is called with what the one before it returned.

    The n-th one, if it is a module, goes by the name "n", counted from 0.

    >>> Sequential(np.negative, np.sqrt)(-9.0).item()
    3.0
    """

    def __init__(self, *steps: Callable[[Any], Any]):
        for i, step in enumerate(steps):
            if not callable(step):
                raise TypeError(f"Sequential: expected modules and functions, got {type(step).__name__} as number {i}")
        self.steps = steps

    def forward(self, x: Any) -> Any:
        for step in self.steps:
            x = step(x)
        return x

    def named_children(self) -> Iterator[tuple[str, Module]]:
        return ((str(i), step) for i, step in enumerate(self.steps) if isinstance(step, Module))

    def describe(self) -> str:
        functions = [(i, step) for i, step in enumerate(self.steps) if not isinstance(step, Module)]
        return ", ".join(f"{i}: {getattr(step, '__name__', step)}" for i, step in functions)
