"""Tensors: arrays that remember which ops made them. Every op runs through `apply`."""

import itertools
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from ..kernels import ONE, Op, device, registry
from .computed import Computed
from .tape import Hook, Node, is_own, is_recording, run_hooks, sweep, total

__all__ = ["Tensor", "apply"]


class Tensor(Computed):
    """An array, of NumPy or on a GPU, with a place on the tape.

    Args:
        data: an array, which is not copied, or numbers, nested in lists: floats become float32, integers int64.
        requires_grad: whether `backward` of what is computed from this tensor leaves its gradient in `grad`.

    `grad` is None or an array like `data`, into which gradients add up. NumPy sees no write to `data`: change a tensor
    with `copy_` and `add_`, or call `changed` afterwards, and a backward pass that still needs the old values says so
    instead of using the new ones.
    """

    __array_ufunc__ = None  # so that array * tensor asks the tensor
    __slots__ = ("__weakref__", "_hooks", "_node", "_slot", "_version", "data", "grad", "requires_grad")

    data: np.ndarray
    grad: np.ndarray | None

    def __init__(self, data: Any, requires_grad: bool = False):
        self.data = _array(data)
        if requires_grad and not device.is_float(self.data.dtype):
            raise TypeError(f"requires_grad: expected a float tensor, got {self.data.dtype}")
        self.grad = None
        self._hooks: list[Any] = []
        self.requires_grad = requires_grad
        self._node: Node | None = None
        self._slot = 0
        self._version = [0]

    @classmethod
    def _of(cls, data: np.ndarray, node: "Node | None", slot: int, version: list[int]) -> "Tensor":
        tensor = Tensor.__new__(Tensor)
        tensor.data = data if device.is_array(data) else np.asarray(data)
        tensor.grad = None
        if node is None:
            tensor._hooks = []
        tensor.requires_grad = node is not None
        tensor._node = node
        tensor._slot = slot
        tensor._version = version
        return tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        return self.data.dtype

    @property
    def ndim(self) -> int:
        return self.data.ndim

    @property
    def size(self) -> int:
        return self.data.size

    @property
    def device(self) -> str:
        """Where it is: "cpu" or "cuda"."""
        return device.of(self.data)

    @property
    def version(self) -> int:
        """How often the values were changed in place; views share it."""
        return self._version[0]

    def __repr__(self) -> str:
        origin = f", from={self._node.name}" if self._node else ", requires_grad=True" * self.requires_grad
        return f"Tensor({np.array2string(self.numpy(), separator=', ', prefix='Tensor(')}, {self.dtype}{origin})"

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator["Tensor"]:
        return iter(self.unbind(0))

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(f"bool: expected one element, got a tensor of shape {self.shape}; use `is` or its .data")
        return bool(self.item())

    def numpy(self) -> np.ndarray:
        """The array itself, not a copy; one on a GPU is copied."""
        return device.to(self.data, "cpu")

    def to(self, place: str) -> "Tensor":
        """This tensor if it is on the device "cpu" or "cuda", else a copy there; not of one that was computed."""
        place = device.choose(place)
        if self.device == place.partition(":")[0]:
            return self
        if self._node is not None:
            raise RuntimeError(f"to: this tensor was computed ({self._node.name}); move its .detach()")
        return Tensor(device.to(self.data, place), self.requires_grad)

    def here(self, x: Any) -> Any:
        """An array on the device of this tensor."""
        return device.to(x, self.device)

    def item(self) -> float | int | bool:
        """The value of a tensor of one element."""
        if self.size != 1:
            raise ValueError(f"item: expected one element, got a tensor of shape {self.shape}")
        return device.to(self.data, "cpu").item()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        x = self.numpy()
        return np.array(x, dtype, copy=copy) if copy is not None else np.asarray(x, dtype)

    def __dlpack__(self, **options: Any) -> Any:
        if self.requires_grad:
            raise BufferError("DLPack: this tensor requires a gradient, which cannot follow it; pass its .detach()")
        return self.data.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.data.__dlpack_device__()

    @classmethod
    def from_dlpack(cls, other: Any) -> "Tensor":
        """A tensor that shares the memory of another library's array, by DLPack."""
        return cls(np.from_dlpack(other))

    def detach(self) -> "Tensor":
        """A tensor of the same array that is not on the tape."""
        return Tensor._of(self.data, None, 0, self._version)

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    def changed(self) -> None:
        """Say that the values of `data` were changed."""
        self._version[0] += 1

    def copy_(self, values: Any) -> "Tensor":
        """Overwrite the values, in place and off the tape, with some of the same shape."""
        data, values = self._writable("copy_", values), _plain(values)
        device.copy(values if device.is_array(values) else np.asarray(values, self.dtype), data)
        return self

    def add_(self, values: Any) -> "Tensor":
        """Add to the values, in place and off the tape."""
        data, values = self._writable("add_", values), _plain(values)
        values = values if device.is_array(values) else np.asarray(values, self.dtype)
        device.copy(registry["add"](data, device.to(values, self.device)), data)
        return self

    def _writable(self, name: str, values: Any) -> np.ndarray:
        if self._node is not None:
            raise RuntimeError(
                f"{name}: this tensor was computed ({self._node.name}) and has a gradient; "
                "change a .detach() of it, or compute it under no_grad()"
            )
        if np.shape(_plain(values)) not in ((), self.shape):
            raise ValueError(f"{name}: expected values of shape {self.shape}, got {np.shape(_plain(values))}")
        self.changed()
        return self.data

    def backward(self, gradient: Any = None, *, retain_graph: bool = False) -> None:
        """Add the gradient of this tensor, times `gradient`, to `grad` of every leaf that it was computed from.

        Args:
            gradient: an array of this tensor's shape; may be left out for a tensor of one element, where it is 1.
            retain_graph: keep what the nodes saved, for another backward pass.

        Raises:
            RuntimeError: nothing to differentiate, a second pass over a freed tape, or saved values changed since.
        """
        if not self.requires_grad:
            raise RuntimeError("backward: no tensor that this one was computed from has requires_grad=True")
        if gradient is None and self.size != 1:
            raise RuntimeError(
                f"backward: a tensor of shape {self.shape} needs a gradient of that shape; a scalar needs none"
            )
        if gradient is not None:
            gradient = _plain(gradient)
            gradient = gradient if device.is_array(gradient) else np.asarray(gradient)
            gradient = device.cast(device.to(gradient, self.device), self.dtype)
            if gradient.shape != self.shape:
                raise ValueError(f"backward: expected a gradient of shape {self.shape}, got {gradient.shape}")
        elif self._node is not None and self._node.takes_one and self.ndim == 0 and not self.hooks:
            gradient = ONE
        else:
            gradient = device.empty(self.shape, self.dtype, self.device)
            device.copy(device.number(1.0, self.dtype, self.device), gradient)  # which a graph can capture
        if self._node is None:
            self.accumulate(run_hooks(self.hooks, gradient), own=False)
        else:
            sweep(self._node, self._slot, gradient, retain_graph)

    @property
    def hooks(self) -> list[Any]:
        """What `register_hook` was given."""
        return self._hooks if self._node is None else self._node.hooks[self._slot]

    def register_hook(self, hook: Callable[[np.ndarray], Any]) -> Hook:
        """Call `hook(gradient)` with this tensor's gradient in every backward pass, once it is complete.

        The gradient is an array, not to be changed; what the hook returns, unless None, goes on in its place.
        Returns a handle whose `remove()` ends it.
        """
        if not self.requires_grad:
            raise RuntimeError("register_hook: this tensor has no gradient: requires_grad is False")
        return Hook(self.hooks, hook)

    def retain_grad(self) -> None:
        """Leave the gradient of a computed tensor in `grad` too."""
        if self._node is not None:
            self.register_hook(lambda gradient: self.accumulate(gradient, own=False))

    def accumulate(self, gradient: np.ndarray, own: bool) -> None:
        """Add to `grad`; `own` says that nothing else refers to the gradient's memory."""
        if self.grad is not None:
            gradient, own = total(self.grad, gradient, own), True
        if own and gradient.dtype == self.dtype and is_own(gradient):
            self.grad = gradient
        else:
            self.grad = device.empty(self.shape, self.dtype, self.device)
            device.copy(gradient, self.grad)

    @staticmethod
    def _run(name: str, *args: Any, **params: Any) -> Any:
        return apply(registry[name], *args, **params)


def apply(op: Op, *args: Any, **params: Any) -> Any:
    """Run an op on tensors or arrays, and leave a node on the tape if an input requires a gradient.

    Returns a Tensor, a list of them or a tuple, as the op returns arrays.

    Raises:
        RuntimeError: an input requires a gradient, and the op has none of it.
    """
    count = len(op.arrays)
    inputs = args[:count]
    if len(args) < count:
        inputs += tuple([params.get(a.name) for a in op.arrays[len(args) :]])
    record = is_recording() and not op.discrete and any(map(_requires_grad, inputs))
    given = None
    if record:
        _check_gradients(op, inputs)
        given = [_given(x) for x in args], {name: _given(x) for name, x in params.items()}
    if params:
        params = {name: _plain(value) for name, value in params.items()}
    arrays = [x.data if isinstance(x, Tensor) else _plain(x) for x in args]
    found, saved = op.forward(*arrays, save=record, **params)
    version = inputs[0]._version if op.view and isinstance(inputs[0], Tensor) else None
    if not record:
        return _tensors(found, None, version, itertools.count())
    values = found if type(found) is tuple else (found,)
    differentiable, _, guarded = _plan(op)
    node = Node(op, [_edge(inputs[i]) for i in differentiable], saved, values, given)
    made = _tensors(values, node, version, itertools.count())
    for name, i in guarded:
        kept = inputs[i] if i < count else made[i - count]
        for tensor in kept if isinstance(kept, (list, tuple)) else (kept,):
            if isinstance(tensor, Tensor):
                node.guard(name, tensor._version)
    return made if values is found else made[0]


def _tensors(value: Any, node: Node | None, version: list[int] | None, slots: Iterator[int]) -> Any:
    """An op's outputs as tensors; only those of views share something with an input, its version."""
    if type(value) is list or type(value) is tuple:
        return type(value)([_tensors(v, node, version, slots) for v in value])
    return Tensor._of(value, node, next(slots), [0] if version is None else version)


def _check_gradients(op: Op, inputs: tuple[Any, ...]) -> None:
    if op.backward_name is None:
        raise RuntimeError(
            f"{op.name} has no gradient ({op.no_gradient or 'it is one itself'}), and an input requires one; "
            "run it under no_grad(), or on .detach() of that input"
        )
    for i in _plan(op)[1]:
        if _requires_grad(inputs[i]):
            name = op.arrays[i].name
            raise RuntimeError(f"{op.name} gives no gradient of {name}, which requires one; pass its .detach()")


@lru_cache(None)
def _plan(op: Op) -> tuple[tuple[int, ...], tuple[int, ...], tuple[tuple[str, int], ...]]:
    """Positions of array arguments with a gradient and without; names and positions of these, then outputs, saved."""
    names = [a.name for a in op.arrays]
    with_gradient = tuple(i for i, n in enumerate(names) if n in op.differentiable)
    without = tuple(i for i, n in enumerate(names) if n not in op.differentiable)
    wanted = () if op.backward_name is None else op.wanted
    return with_gradient, without, tuple((n, i) for i, n in enumerate([*names, *op.outputs]) if n in wanted)


def _requires_grad(x: Any) -> bool:
    if isinstance(x, Tensor):
        return x.requires_grad
    return isinstance(x, (list, tuple)) and any([_requires_grad(y) for y in x])


def _edge(x: Any) -> Any:
    if isinstance(x, Tensor):
        return (x if x._node is None else (x._node, x._slot)) if x.requires_grad else None
    return [_edge(y) for y in x] if isinstance(x, (list, tuple)) else None


def _given(x: Any) -> Any:
    """An argument as an array, None where an edge leads to it."""
    if isinstance(x, Tensor):
        return None if x.requires_grad else x.data
    if isinstance(x, (list, tuple)) and any([isinstance(y, Tensor) for y in x]):
        return [_given(y) for y in x]
    return x


def _plain(x: Any) -> Any:
    if isinstance(x, Tensor):
        return x.data
    if isinstance(x, (list, tuple)) and any([isinstance(y, Tensor) for y in x]):
        return [_plain(y) for y in x]
    return x


def _array(data: Any) -> np.ndarray:
    if device.is_array(data):
        return data
    if isinstance(data, np.generic):
        return np.asarray(data)
    array = np.asarray(data)
    dtype = {"f": np.float32, "i": np.int64, "b": np.bool_}.get(array.dtype.kind)
    if dtype is None:
        raise TypeError(f"Tensor: expected an array or numbers, got {type(data).__name__}")
    return array.astype(dtype, copy=False)
