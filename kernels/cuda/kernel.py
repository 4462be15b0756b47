"""`@kernel`: the only way in which Octavo compiles for CUDA.

A kernel declares its signature, outputs left of the arrow, and how many threads a block has:
`@kernel("T* <- T* i8* i4 A", threads=256)`. A call has the grid, then the arguments: `_softmax_kernel(rows, out, x)`.
Types are NumPy's codes. `f4*` is a pointer to the elements of a contiguous array; `T` stands for the dtype of the first
`T*` (float32, float64, or bfloat16's bits in uint16), `A` for the numbers in which sums of it are made: float32, or
float64 for float64. `T~3` is an array of any strides, passed as (array, steps): a pointer and a tuple of three steps in
elements; `n8` is a tuple of eight int64, `m8` of uint32; `f4*,i8*` is a tuple of two arrays. `shared` is the size in
bytes of what `cuda.shared.array(0, …)` gives.

Numbers written in a kernel are float64 and would make arithmetic in it: write `type(x)(1)` or `float32(1)`.
"""

import re
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import cuda
from numba.cuda import types

from . import runtime

_TYPES = {np.dtype(t.name): t for t in (types.float32, types.float64, types.int32, types.int64, types.uint32)}
_TYPES |= {np.dtype(t.name): t for t in (types.uint8, types.int8, types.uint16, types.int16, types.uint64)}
_TYPES[np.dtype(np.bool_)] = types.boolean
_lock = threading.RLock()
kernels: list["Kernel"] = []


def primitive(fn: Callable[..., Any]) -> Any:
    """A helper of kernels, inlined."""
    return cuda.jit(device=True, forceinline=True)(fn)


def kernel(signature: str, *, threads: int = 256, shared: int = 0, name: str = "") -> Callable[..., "Kernel"]:
    """Make a kernel of a function (see the module's docstring). `name` tells apart those of one factory."""
    return lambda fn: Kernel(fn, signature, threads, shared, name)


class Kernel:
    """A function compiled for the element types it is called with."""

    def __init__(self, fn: Callable[..., None], signature: str, threads: int, shared: int, name: str):
        self.fn = fn
        self.threads, self.shared = threads, shared
        self.name = f"{fn.__module__.rpartition('.')[2]}.{name or fn.__name__}"
        outputs, arrow, inputs = signature.partition("<-")
        if not arrow:
            raise TypeError(f"kernel {self.name}: expected a signature with '<-', got {signature!r}")
        self._tokens = [*outputs.split(), *inputs.split()]
        self._generic = next((i for i, t in enumerate(self._tokens) if t == "T*"), -1)
        self._compiled: dict[np.dtype | None, Any] = {}
        kernels.append(self)

    def __repr__(self) -> str:
        return f"<kernel {self.name}>"

    def __call__(self, grid: int | tuple[int, int, int], *args: Any) -> None:
        dtype = args[self._generic].dtype if self._generic >= 0 else None
        run, convert = self._compiled.get(dtype) or self.load(dtype)
        words: list[Any] = []
        for make, x in zip(convert, args, strict=True):
            make(words, x)
        run(grid if type(grid) is tuple else (grid, 1, 1), (self.threads, 1, 1), words, self.shared)

    def load(self, dtype: np.dtype | None) -> Any:
        """What launches the machine code for a dtype, and what makes its arguments."""
        with _lock:
            if dtype not in self._compiled:
                code = runtime.target().load(self.named(dtype), lambda: self.types(dtype), self)
                self._compiled[dtype] = code, [_converter(t, dtype) for t in self._tokens]
            return self._compiled[dtype]

    def named(self, dtype: np.dtype | None) -> str:
        """The name of the machine code for a dtype."""
        return self.name if dtype is None else f"{self.name}-{dtype}"

    def types(self, dtype: np.dtype | None) -> tuple[Any, ...]:
        """The types of the arguments."""
        return tuple(_type(t, dtype) for t in self._tokens)


def accumulator(dtype: Any) -> np.dtype:
    """The dtype in which sums of a dtype are made: `A` of a signature."""
    return np.dtype(np.float64 if np.dtype(dtype).itemsize == 8 else np.float32)


def _split(token: str) -> tuple[str, str]:
    code, form = re.fullmatch(r"(\?|[a-zA-Z]\d*)(\*|~\d+|)", token).groups()  # type: ignore[union-attr]
    return code, form


def _dtype(code: str, dtype: np.dtype | None) -> np.dtype:
    if dtype is None or code not in "TA":
        return np.dtype(code)
    return dtype if code == "T" else accumulator(dtype)


def _type(token: str, dtype: np.dtype | None) -> Any:
    if "," in token:
        return types.Tuple(tuple(_type(t, dtype) for t in token.split(",")))
    code, form = _split(token)
    if code[0] in "nm":
        return types.UniTuple(types.int64 if code[0] == "n" else types.uint32, int(code[1:]))
    found = _TYPES[_dtype(code, dtype)]
    if form[:1] == "~":
        return types.Tuple((types.CPointer(found), types.UniTuple(types.int64, int(form[1:]))))
    return types.CPointer(found) if form else found


def _converter(token: str, dtype: np.dtype | None) -> Callable[[list[Any], Any], Any]:
    """Appends the words of an argument to a list."""
    if "," in token:
        each = [_converter(t, dtype) for t in token.split(",")]
        return lambda words, xs: [make(words, x) for make, x in zip(each, xs, strict=True)]
    code, form = _split(token)
    if code[0] in "nm":
        word = np.int64 if code[0] == "n" else np.uint32
        return lambda words, x: words.extend(map(word, x))
    number = _dtype(code, dtype).type
    if form[:1] == "~":
        return lambda words, x: words.extend((runtime.address(x[0]), *map(np.int64, x[1])))
    if form:
        return lambda words, x: words.append(runtime.address(x))
    return lambda words, x: words.append(number(x))
