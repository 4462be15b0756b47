"""Where arrays live: the one allocator, threads, and which device an array belongs to."""

import logging
import math
import mmap
import os
import weakref
from collections import defaultdict
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

log = logging.getLogger("octavo.kernels")

ALIGNMENT = 64  # bytes: one cache line, one AVX-512 vector
_PAGE = mmap.PAGESIZE
_HUGE_PAGE = 1 << 21
_LARGE = 1 << 24  # bytes of a block from which its memory is worth page faults
_OWN: dict[str, Any] = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_ANONYMOUS") else {}


BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
"""Eight bits of a float32's precision, its range, and half its memory. NumPy counts it among its dtypes "V"."""


def is_float(dtype: np.dtype) -> bool:
    """Whether a dtype is one of real numbers."""
    return dtype.kind == "f" or dtype == BFLOAT16


class Memory(NamedTuple):
    """Bytes handed out by the allocator: now, at most since `reset_peak_memory`, and kept for reuse."""

    current: int
    peak: int
    reserved: int


class _Lease(weakref.ref):
    """Watches an array that was handed out, and knows its block."""

    __slots__ = ("block", "size")
    block: mmap.mmap
    size: int


class _Pool:
    """Blocks of whole pages, handed out again once the array that held one has died.

    A block is as large as the request rounded up to an eighth of its power of two, so that sizes which differ a
    little share blocks. Reuse spares the page faults that a fresh mapping pays for in every step. A request that none
    of its own size is left for takes one of up to twice the size; then free blocks give way to the new one, so that
    the pool grows hardly beyond the most that was in use at once.
    """

    def __init__(self) -> None:
        self.free: defaultdict[int, list[mmap.mmap]] = defaultdict(list)
        self.leases: dict[int, _Lease] = {}
        self.current = self.peak = self.reserved = 0
        self.poisoned = False

    def take(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        size = _rounded(math.prod(shape) * dtype.itemsize)
        block = self._reuse(size)
        if block is None:
            size, block = self._another(size)
        array = np.ndarray(shape, dtype, block)
        lease = _Lease(array, self._give_back)
        lease.block, lease.size = block, size
        self.leases[id(lease)] = lease
        self.current += size
        if self.current > self.peak:
            self.peak = self.current
        return array

    def _give_back(self, lease: Any) -> None:
        del self.leases[id(lease)]
        self.current -= lease.size
        self.reserved += lease.size
        self.free[lease.size].append(lease.block)

    def _reuse(self, size: int) -> mmap.mmap | None:
        """A free block of exactly this size, if there is one; other threads may take it in between."""
        try:
            block = self.free[size].pop()
        except IndexError:
            return None
        self.reserved -= size
        return block

    def _another(self, size: int) -> tuple[int, mmap.mmap]:
        """A free block of up to twice the size, or a new one, and its size."""
        for larger in sorted(s for s in list(self.free) if size < s <= 2 * size):
            if block := self._reuse(larger):
                return larger, block
        if size >= _LARGE:
            self._shrink(size)
        return size, self._map(size)

    def _shrink(self, size: int) -> None:
        """Return as much as `size` to the system, of free blocks, the largest first."""
        for s in sorted(list(self.free), reverse=True):
            while size > 0 and self._reuse(s):
                size -= s

    def _map(self, size: int) -> mmap.mmap:
        try:
            return _mapped(size)
        except (OSError, ValueError, OverflowError):
            self.release()
        try:
            return _mapped(size)
        except (OSError, ValueError, OverflowError) as error:
            raise MemoryError(
                f"octavo could not get {size / 1e6:,.0f} MB for an array ({self.current / 1e6:,.0f} MB in use): "
                "use a smaller batch, context or model"
            ) from error

    def release(self) -> None:
        self.free.clear()
        self.reserved = 0


def _mapped(size: int) -> mmap.mmap:
    """Fresh memory; in huge pages where it fills some, or every few kilobytes wait for an address to be looked up."""
    block = mmap.mmap(-1, size, **_OWN)
    if size >= _HUGE_PAGE and hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # of a system without them
            block.madvise(mmap.MADV_HUGEPAGE)
    return block


@lru_cache(4096)
def _rounded(size: int) -> int:
    step = max(_PAGE, 1 << max(0, size.bit_length() - 4))
    return max(step, -(-size // step) * step)


_pool = _Pool()


def empty(shape: int | tuple[int, ...], dtype: Any, device: str = "cpu") -> Any:
    """An uninitialised C-contiguous array: from the pool, on a 64-byte boundary; on a GPU from CuPy's pool."""
    shape = (shape,) if isinstance(shape, int) else shape
    if device != "cpu":
        return _cuda().empty(shape, dtype)
    array = _pool.take(shape, np.dtype(dtype))
    if _pool.poisoned:
        array.reshape(-1).view(np.uint8)[...] = 0xFF  # every float a NaN, every signed integer -1
    return array


def zeros(shape: int | tuple[int, ...], dtype: Any, device: str = "cpu") -> Any:
    """`empty`, filled with zeros."""
    array = empty(shape, dtype, device)
    array.fill(0)
    return array


def zeros_like(x: Any) -> Any:
    """An array of zeros of x's shape and dtype, where x is."""
    return zeros(x.shape, x.dtype, of(x))


def contiguous(x: np.ndarray) -> np.ndarray:
    """`x` itself if its elements lie in C order without gaps, else such a copy."""
    if x.flags.c_contiguous:
        return x
    copy = empty(x.shape, x.dtype)
    np.copyto(copy, x)
    return copy


def poison(on: bool) -> None:
    """Fill what `empty` returns with NaN, to show whoever reads before writing."""
    _pool.poisoned = on


def memory(device: str = "cpu") -> Memory:
    """Bytes in arrays from the allocator: current, peak, and reserved for reuse.

    Of a GPU the peak is what CuPy's pool holds, which gives nothing back by itself.
    """
    if device == "cpu":
        return Memory(_pool.current, _pool.peak, _pool.reserved)
    used, kept = _cuda().memory()
    return Memory(used, used + kept, kept)


def reset_peak_memory() -> None:
    """Start the peak of `memory` anew from what is in use now."""
    _pool.peak = _pool.current


def release() -> None:
    """Give what is kept for reuse back to the system."""
    _pool.release()


def threads(count: int | None = None) -> int:
    """The number of threads that kernels use, after setting it to `count` if one is given.

    Results do not depend on it. Raises ValueError outside 1 to the number of processors given to the process
    (environment variable NUMBA_NUM_THREADS at start-up).
    """
    import numba

    most = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    if count is not None:
        if not 1 <= count <= most:
            raise ValueError(f"threads: expected 1 to {most} (the processors of this process), got {count}")
        numba.set_num_threads(count)
    return numba.get_num_threads()


PRECISIONS = ("highest", "high", "medium")
_precision = "highest"


def precision(mode: str | None = None) -> str:
    """How float32 operands are multiplied, after setting it to `mode` if one is given.

    "highest": in float32. "high": in three products of bf16, with errors of at most 2^-14 of the sum of absolute
    products, of 4e-6 mostly; on a GPU in TF32, 2^-10. "medium": in one product of bf16, 2^-7 and 2e-3. All add in
    float32. A processor without the unit for a mode uses the next better one, which is then returned, and says so.

    Raises ValueError for another word.
    """
    global _precision
    if mode is not None:
        _precision = usable_precision(mode)
        if _precision != mode:
            log.info("precision %r: this processor has no unit that makes it faster; using %r", mode, _precision)
    return _precision


def usable_precision(mode: str) -> str:
    """The mode of `precision`, or the next better one, for which this processor, or a GPU in use, has the unit."""
    if mode not in PRECISIONS:
        raise ValueError(f"precision: expected one of {', '.join(PRECISIONS)}, got {mode!r}")
    if mode == "highest" or "cuda" in BACKENDS.values():
        return mode
    unit = import_module(".cpu.unit", __package__).bf16()  # a backend, which those who import this file do not know
    worth = {"highest": True, "high": unit == "amx", "medium": unit != ""}
    return next(m for m in PRECISIONS[PRECISIONS.index(mode) :: -1] if worth[m])


BACKENDS: dict[type, str] = {np.ndarray: "cpu"}
"""The backend of each class of arrays; one that is loaded enters its own."""


def of(x: Any) -> str:
    """The backend of an array: "cpu" for a NumPy array, "cuda" for one on a GPU. Raises TypeError for anything else."""
    found = BACKENDS.get(type(x)) or next((BACKENDS[k] for k in type(x).__mro__ if k in BACKENDS), None)
    if found is not None:
        return found
    raise TypeError(f"expected a NumPy array, got {type(x).__name__}; np.asarray makes one of lists and numbers")


def choose(device: str = "auto") -> str:
    """The device that a name stands for: "auto" is a GPU if one works, else the CPU, and says which.

    Raises ValueError for a name that is not "auto", "cpu", "cuda" or "cuda:<n>", RuntimeError with the cause and the
    cure for a device that cannot be had.
    """
    if device == "cpu":
        return device
    if device == "auto":
        found = "cpu" if EMULATED or why_no_gpu() else "cuda"
        log.info("device: %s", found if found == "cuda" else f"cpu ({why_no_gpu() or 'the emulator is for tests'})")
        return found
    name, _, number = device.partition(":")
    if name != "cuda" or ((number or device.endswith(":")) and not number.isdigit()):
        raise ValueError(f"device: expected 'auto', 'cpu', 'cuda' or 'cuda:<number>', got {device!r}")
    if why := why_no_gpu():
        raise RuntimeError(f"device {device!r}: {why}; or use device='cpu'")
    _cuda().use(int(number or 0))
    return device


EMULATED = os.environ.get("OCTAVO_CUDA", "") == "emulate"
_EXTRA = "pip install 'octavo[emulate]'" if EMULATED else "pip install 'octavo[cu13]' (cu12 for a driver of CUDA 12)"


@lru_cache(None)
def why_no_gpu() -> str:
    """The reason why kernels do not run on a GPU, and the cure; empty where they do."""
    missing = [m for m in ("numba_cuda", *(() if EMULATED else ("cupy",))) if find_spec(m) is None]
    if missing:
        return f"{' and '.join(missing)} missing: {_EXTRA}"
    try:
        _cuda()
    except ImportError as error:
        return f"the CUDA libraries do not load ({error}): {_EXTRA} in a new environment"
    except Exception as error:
        return f"CUDA does not start ({error}): check that nvidia-smi shows a GPU and a driver of CUDA 12 or later"
    return ""


def _cuda() -> Any:
    """What CUDA kernels run on; loaded when it is first asked for."""
    return import_module(".cuda.runtime", __package__).target()


def is_array(x: Any) -> bool:
    """Whether x is an array of some device."""
    return type(x) in BACKENDS or isinstance(x, np.ndarray)


def to(x: Any, device: str) -> Any:
    """`x` on a device; itself if it is there.

    Raises ValueError on the way from a GPU where an op there was given a bad id since the last such copy.
    """
    if of(x) == device.partition(":")[0]:
        return x
    if device != "cpu":
        return _cuda().put(np.ascontiguousarray(x).reshape(x.shape))
    found = _cuda().get(x)
    _raise_faults()
    return found


def copy(x: Any, out: Any) -> None:
    """Write the elements of x, which is broadcast and may be on another device, to `out`."""
    device = of(out)
    x = to(x, device)
    if device == "cpu":
        np.copyto(out, x, casting="unsafe" if BFLOAT16 in (x.dtype, out.dtype) else "same_kind")
    else:
        import_module(".cuda.pointwise", __package__).copy(bits(x), bits(out))


@lru_cache(256)
def number(value: float, dtype: np.dtype, device: str) -> Any:
    """An array of no axes with a value, not to be changed."""
    return to(np.asarray(value, dtype), device)


def cast(x: Any, dtype: np.dtype) -> Any:
    """`x` with elements of a float dtype; itself if they are."""
    if x.dtype == dtype:
        return x
    if of(x) == "cpu":
        return x.astype(dtype)
    found = import_module(".cuda.pointwise", __package__).cast(bits(x), np.uint16 if dtype == BFLOAT16 else dtype)
    return found.view(BFLOAT16) if dtype == BFLOAT16 else found


def bits(x: Any) -> Any:
    """What kernels take for an array: one of bfloat16 as uint16, any other as it is."""
    return x.view(np.uint16) if x.dtype == BFLOAT16 else x


def cache_folder(device: str = "cpu") -> Path:
    """Where the machine code of a device's kernels is kept."""
    return (import_module(".cpu.kernel", __package__) if device == "cpu" else _cuda()).cache_folder()


def name() -> str:
    """What the GPU calls itself."""
    return _cuda().name


def synchronize() -> None:
    """Wait until the GPU has done what it was given. Raises ValueError where an op there was given a bad id."""
    if "cuda" in BACKENDS.values():
        _cuda().synchronize()
        _raise_faults()


def _raise_faults() -> None:
    import_module(".cuda.faults", __package__).fetch()()


REFERENCE_ONLY = os.environ.get("OCTAVO_REFERENCE", "") not in ("", "0")
"""Whether the environment asked, at start-up, for the NumPy bodies instead of the kernels (OCTAVO_REFERENCE=1)."""
