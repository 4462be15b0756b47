"""`@kernel`: the only way in which Octavo compiles for the CPU.

A kernel declares its signature, outputs left of the arrow: `@kernel("T[2] T[1] <- T[2] i8 f8")`. `T` stands for
float32 or float64, whichever the first array is (in kernels that only copy, for an unsigned integer of as many bytes:
`rows.bits`); other types are NumPy's codes; `[n]` makes a C-contiguous array of n axes, `[ns]` one of any strides.
Inputs may be read-only and unaligned at no extra compilation. It is compiled at its first call and kept on disk, in a
folder named by everything that its machine code depends on: all kernel sources, Numba's version and the instruction
set. (Numba's own cache does not see an edit in a helper's file, and never hits for functions made in a factory.)

Rules for what runs inside a prange loop, each paid for once: no raise (the loop turns serial), no integer division
(errors vanish), no reduction over it (the result would change with the number of threads), no call of another
parallel kernel. Tasks are cut by shape alone.
"""

import logging
import os
import pickle
import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba import types
from numba.core.ccallback import CFunc
from numba.core.compiler import CompileResult
from numba.core.registry import cpu_target
from numba.core.runtime import rtsys
from numba.core.serialize import dumps
from numba.np.numpy_support import from_dtype

from .. import cache
from ..files import atomic_write
from .library import made_once

log = logging.getLogger("octavo.kernels")

FASTMATH = {
    "nsz",
    "arcp",
    "contract",
    "afn",
    "reassoc",
}  # not nnan, ninf: masks and overflow need -inf and NaN
_TYPES = {"i8": types.int64, "i4": types.int32, "u8": types.uint64, "u4": types.uint32, "u1": types.uint8}
_TYPES |= {"i1": types.int8, "u2": types.uint16, "f8": types.float64, "f4": types.float32, "b1": types.boolean}
_ELEMENTS: dict[Any, Any] = {np.dtype(t): numba.from_dtype(np.dtype(t)) for t in ("f4", "f8", "u1", "u2", "u4", "u8")}
_OPTIONS: Any = {"error_model": "numpy", "nogil": True, "no_cfunc_wrapper": True}
_HELPER: Any = _OPTIONS | {"no_cpython_wrapper": True}
_forked = False
_one_at_a_time: bool | None = None
_lock = threading.RLock()
kernels: list["Kernel | CFunction"] = []


def primitive(fn: Callable[..., Any]) -> Any:
    """Compile a helper of kernels, inlined so that loops over it become vectors: its arithmetic keeps its order."""
    return numba.njit(fastmath={"contract"}, **_HELPER, forceinline=True)(fn)


def subroutine(fn: Callable[..., Any]) -> Any:
    """Compile a helper that is called, not inlined: one that holds the loops, so that kernels compile sooner."""
    return numba.njit(fastmath=FASTMATH, **_HELPER)(fn)


def kernel(signature: str, *, parallel: bool = True, name: str = "") -> Callable[[Callable[..., None]], "Kernel"]:
    """Make a kernel of a function (see the module's docstring). `name` tells apart those of one factory."""
    return lambda fn: Kernel(fn, signature, parallel, name)


class Kernel:
    """A function compiled for the element types it is called with."""

    def __init__(self, fn: Callable[..., None], signature: str, parallel: bool, name: str):
        self.fn = fn
        self.parallel = parallel
        self.name = _name(fn, name)
        self.launched = 0
        outputs, arrow, inputs = signature.partition("<-")
        if not arrow:
            raise TypeError(f"kernel {self.name}: expected a signature with '<-', got {signature!r}")
        self._tokens = [(t, False) for t in outputs.split()] + [(t, True) for t in inputs.split()]
        self._generic = next((i for i, (t, _) in enumerate(self._tokens) if t.startswith("T[")), -1)
        self._compiled: dict[np.dtype | None, Callable[..., None]] = {}
        kernels.append(self)

    def __repr__(self) -> str:
        return f"<kernel {self.name}>"

    def __call__(self, *args: Any) -> None:
        dtype = args[self._generic].dtype if self._generic >= 0 else None
        run = self._compiled.get(dtype) or self.compile(dtype)
        self.launched += 1
        if self.parallel:
            if _forked:
                raise RuntimeError(
                    "octavo: kernels cannot run in a process forked after kernels had run (its threads are gone); "
                    "start workers with multiprocessing.get_context('spawn')"
                )
            if _one_at_a_time is not False and _serialise_launches():
                with _lock:
                    run(*args)
                return
        run(*args)

    def compile(self, dtype: np.dtype | None) -> Callable[..., None]:
        """The machine code for an element type, from the cache where it is there."""
        with _lock:
            if dtype in self._compiled:
                return self._compiled[dtype]
            signature = types.void(*(_type(t, dtype, is_input) for t, is_input in self._tokens))
            dispatcher = numba.njit(parallel=self.parallel, fastmath=FASTMATH, **_OPTIONS)(self.fn)
            kept = dispatcher._cache = _Cache(f"{self.name}-{dtype}")  # type: ignore[attr-defined]
            start = time.perf_counter()
            with made_once(self.fn):
                dispatcher.compile(signature)
            dispatcher.disable_compile()
            if not kept.hit:
                log.info("compiled %s for %s in %.1f s", self.name, dtype, time.perf_counter() - start)
            self._compiled[dtype] = dispatcher
            return dispatcher


class CFunction:
    """A function of pointers, then `integers` int64, that returns nothing and is called by its address.

    So a part that differs is compiled alone, and what calls it once for all. It is serial.
    """

    parallel = False

    def __init__(self, fn: Callable[..., None], integers: int, name: str = ""):
        self.fn = fn
        self.integers = integers
        self.name = _name(fn, name)
        self.launched = 0
        self._compiled: dict[tuple[np.dtype, ...], Any] = {}
        kernels.append(self)

    def __repr__(self) -> str:
        return f"<function {self.name}>"

    def address(self, *dtypes: np.dtype) -> int:
        """Where the machine code is for these dtypes behind the pointers."""
        self.launched += 1
        found = self._compiled.get(dtypes) or self.compile(dtypes)
        return found.address

    def compile(self, dtypes: tuple[np.dtype, ...]) -> Any:
        """The machine code, from the cache where it is there."""
        with _lock:
            arguments = [types.CPointer(from_dtype(t)) for t in dtypes] + [types.int64] * self.integers
            made: Any = CFunc(
                self.fn, (tuple(arguments), types.void), {}, {"fastmath": FASTMATH, "error_model": "numpy"}
            )
            kept = made._cache = _Cache("-".join([self.name, *map(str, dtypes)]))
            start = time.perf_counter()
            with made_once(self.fn):
                made.compile()
            if not kept.hit:
                log.info("compiled %s in %.2f s", kept.path.stem, time.perf_counter() - start)
            self._compiled[dtypes] = made
            return made


class _Cache:
    """What Numba's dispatcher asks of a cache: one file a kernel and element type."""

    def __init__(self, name: str):
        self.path = cache_folder() / f"{name}.bin"
        self.hit = False

    def load_overload(self, signature: Any, target_context: Any) -> CompileResult | None:
        rtsys.initialize(
            target_context
        )  # what machine code calls; refresh() would set up typing too, for half a second
        try:
            payload = pickle.loads(self.path.read_bytes())
            result = CompileResult._rebuild(target_context, *payload)
        except FileNotFoundError:
            log.info("compiling %s (first use on this machine; kept in %s)", self.path.stem, self.path.parent)
            return None
        except Exception as error:
            log.warning("kernel cache: %s is unreadable (%s) and is made anew", self.path, error)
            return None
        self.hit = True
        return result

    def save_overload(self, signature: Any, result: CompileResult) -> None:
        try:
            with atomic_write(self.path) as file:
                file.write(dumps(result._reduce()))
        except OSError as error:
            log.warning("kernel cache: %s", error)


def cache_folder() -> Path:
    """Where machine code is kept."""
    target = cpu_target.target_context.codegen().magic_tuple()
    return cache.folder("cpu", f"{sys.implementation.cache_tag} {numba.__version__} {target}")


def _type(token: str, dtype: np.dtype | None, is_input: bool) -> Any:
    code, axes, strided = re.fullmatch(r"(\w+?)(?:\[(\d)(s?)\])?", token).groups()  # type: ignore[union-attr]
    scalar = _ELEMENTS[dtype] if code == "T" else _TYPES[code]
    if axes is None:
        return scalar
    return types.Array(scalar, int(axes), "A" if strided else "C", readonly=is_input, aligned=not is_input)


def _name(fn: Callable[..., None], name: str) -> str:
    return f"{fn.__module__.rpartition('.')[2]}.{name or fn.__name__}"


def _serialise_launches() -> bool:
    """Whether Numba's threading layer aborts the process when two Python threads enter it at once."""
    global _one_at_a_time
    if _one_at_a_time is None:
        with _lock:
            _start.compile(None)(np.empty(1, np.int64))  # the layer is not known before a launch
            _one_at_a_time = numba.threading_layer() == "workqueue"
    return _one_at_a_time


def _mark_forked() -> None:
    global _forked
    _forked = any(k.launched for k in kernels if k.parallel)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark_forked)


@kernel("i8[1] <-")
def _start(out):
    for i in numba.prange(out.size):
        out[i] = i
