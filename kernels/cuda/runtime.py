"""From a Python function with explicit types to a kernel that runs: on a GPU, or with no GPU in the emulator.

Numba makes LTO-IR of it and nvJitLink a cubin, which is kept on disk; CuPy owns memory and streams, and launches it
with raw pointers on its current stream. OCTAVO_CUDA=emulate puts the emulator in the place of both.
"""

import logging
import re
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numba_cuda
import numpy as np
from numba import cuda
from numba.cuda import dispatcher

from .. import cache, device
from ..files import atomic_write
from .graph import Graph

log = logging.getLogger("octavo.kernels")


class Image(NamedTuple):
    """Machine code of one kernel: what an architecture runs, and what nvJitLink says of it."""

    cubin: bytes
    log: str


def ptx(fn: Callable[..., None], types: tuple[Any, ...], threads: int, cc: tuple[int, int]) -> str:
    """The PTX of a kernel for a compute capability."""
    with _pretending(cc):
        return cuda.compile(fn, types, cc=cc, device=False, abi="numba", launch_bounds=threads)[0]


def image(fn: Callable[..., None], types: tuple[Any, ...], threads: int, cc: tuple[int, int]) -> Image:
    """The machine code of a kernel for a compute capability; needs no GPU."""
    from cuda.core import Linker, LinkerOptions, ObjectCode

    with _pretending(cc):
        bounds = threads, 1  # blocks: with no such number ptxas would rather spill than have fewer than some
        code, _ = cuda.compile(fn, types, cc=cc, device=False, abi="numba", output="ltoir", launch_bounds=bounds)
    options = LinkerOptions(arch=f"sm_{cc[0]}{cc[1]}", link_time_optimization=True, ptxas_options=["-v"])
    linker = Linker(ObjectCode.from_ltoir(code), options=options)
    return Image(bytes(linker.link("cubin").code), linker.get_info_log())


@contextmanager
def _pretending(cc: tuple[int, int]) -> Iterator[None]:
    """Helpers of kernels are compiled for the device that is current: this one, whether or not it is there."""

    class Device:
        compute_capability = cc

    before = dispatcher.get_current_device
    dispatcher.get_current_device = lambda: Device
    try:
        yield
    finally:
        dispatcher.get_current_device = before


@lru_cache(None)
def target() -> Any:
    """What kernels run on: the GPU, or the emulator."""
    made = _Emulated() if device.EMULATED else _Gpu()
    device.BACKENDS[made.array] = "cuda"
    return made


class _Gpu:
    """The current GPU, through CuPy."""

    def __init__(self) -> None:
        import cupy
        from cupy_backends.cuda.libs import cublas

        self.cupy, self.blas = cupy, cublas
        self.array = cupy.ndarray
        self.pools: weakref.WeakSet[_Pool] = weakref.WeakSet()
        capability = cupy.cuda.Device().compute_capability
        self.cc = int(capability[:-1]), int(capability[-1])
        self.name = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()

    def load(self, name: str, types: Callable[[], tuple[Any, ...]], kernel: Any) -> Callable[..., None]:
        """What launches a kernel: of a grid, a block, words and bytes of shared memory."""

        def module(path: Path) -> Any:
            entry = re.search(rb"\.text\.(_ZN[\w$]+)", path.read_bytes())
            return self.cupy.RawModule(path=str(path)).get_function(entry[1].decode())  # type: ignore[index]

        path = self.cache_folder() / f"{name}.cubin"
        launch = _kept(path, lambda: image(kernel.fn, types(), kernel.threads, self.cc).cubin, module)
        if kernel.shared:  # else it gets 48 KB, of which static arrays are a part
            launch.max_dynamic_shared_size_bytes = kernel.shared
        return lambda grid, block, words, shared: launch(grid, block, words, shared_mem=shared)

    def cache_folder(self) -> Path:
        """Where cubins are kept."""
        return cache.folder("cuda", f"{numba_cuda.__version__} {self.cc}")

    def use(self, number: int) -> None:
        """Make a GPU the current one. Raises RuntimeError where there are not so many."""
        count = self.cupy.cuda.runtime.getDeviceCount()
        if number >= count:
            raise RuntimeError(f"device 'cuda:{number}': this machine has {count}, counted from 0")
        self.cupy.cuda.Device(number).use()

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        return self.cupy.empty(shape, dtype)

    def lasting(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """As `empty`, but not of the pool of a graph, which writes its memory again at each launch."""
        with self.cupy.cuda.using_allocator(self.cupy.get_default_memory_pool().malloc):
            return self.empty(shape, dtype)

    def put(self, x: np.ndarray) -> Any:
        return self.cupy.asarray(x)

    def get(self, x: Any) -> np.ndarray:
        return self.cupy.asnumpy(x)

    def synchronize(self) -> None:
        self.cupy.cuda.get_current_stream().synchronize()

    def page_locked(self, shape: int, dtype: Any) -> np.ndarray:
        """Memory of the host that the GPU reads and writes while the host goes on."""
        import cupyx

        return cupyx.empty_pinned(shape, dtype)

    def write(self, x: np.ndarray, out: Any) -> None:
        """Start to copy page-locked memory to an array, both contiguous."""
        out.data.copy_from_host_async(x.ctypes.data, x.nbytes)

    def fetch(self, x: Any) -> Callable[[], np.ndarray]:
        """Start to copy a contiguous array; what returns it, once it is there."""
        out = self.page_locked(x.shape, x.dtype)
        x.data.copy_to_host_async(out.ctypes.data, x.nbytes)
        event = self.cupy.cuda.get_current_stream().record()

        def wait() -> np.ndarray:
            event.synchronize()
            return out

        return wait

    def capture(self, body: Callable[[], None], graph: Graph) -> None:
        pool, cuda = _Pool(self.cupy), self.cupy.cuda

        def allocate(nbytes: int) -> Any:
            memory = pool.memory.malloc(nbytes)
            graph.allocated(memory.ptr, nbytes)
            return memory

        self.cupy.get_default_memory_pool().free_all_blocks()  # what the same work has left that was not captured
        stream = cuda.Stream(non_blocking=True)  # the default one cannot be captured
        with stream, cuda.using_allocator(allocate):
            stream.begin_capture()
            try:
                body()
            except BaseException:
                with suppress(Exception):
                    stream.end_capture()
                raise
            graph.launch = stream.end_capture().launch
        graph.pool = pool
        self.pools.add(pool)

    def memory(self) -> tuple[int, int]:
        """Bytes in use, and kept for reuse."""
        pools = [self.cupy.get_default_memory_pool(), *(pool.memory for pool in self.pools)]
        return sum(pool.used_bytes() for pool in pools), sum(pool.free_bytes() for pool in pools)

    def gemm(self, *args: Any) -> None:
        self.blas.gemmStridedBatchedEx(self.cupy.cuda.Device().cublas_handle, *args)


class _Pool:
    """CuPy's pool of a graph, as something that a weak reference can be had of."""

    def __init__(self, cupy: Any):
        self.memory = cupy.cuda.MemoryPool()


class _Emulated:
    """Compiled kernels on the CPU: see emulator/."""

    name = "the emulator of compute capability 8.0"
    cc = (8, 0)

    def __init__(self) -> None:
        from . import emulator

        self.emulator = emulator
        self.array = emulator.Array
        self.schedule = "lockstep"

    def load(self, name: str, types: Callable[[], tuple[Any, ...]], kernel: Any) -> Callable[..., None]:
        path = self.cache_folder() / f"{name}.ptx"
        program = _kept(
            path,
            lambda: ptx(kernel.fn, types(), kernel.threads, self.cc).encode(),
            lambda path: self.emulator.Program(path.read_text(encoding="utf-8")),
        )

        def launch(*given: Any) -> None:
            self.emulator.run(lambda: program.launch(*given, self.schedule))

        return launch

    def cache_folder(self) -> Path:
        return cache.folder("cuda", f"{numba_cuda.__version__} ptx")

    def use(self, number: int) -> None:
        if number:
            raise RuntimeError(f"device 'cuda:{number}': the emulator is one device, 'cuda'")

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        return self.emulator.empty(shape, dtype)

    def lasting(self, shape: tuple[int, ...], dtype: Any) -> Any:
        with self.emulator.outside():
            return self.empty(shape, dtype)

    def put(self, x: np.ndarray) -> Any:
        return self.emulator.put(x)

    def get(self, x: Any) -> np.ndarray:
        return x.get()

    def synchronize(self) -> None:
        self.emulator.refuse("wait for the device")

    def page_locked(self, shape: int, dtype: Any) -> np.ndarray:
        return np.empty(shape, dtype)

    def write(self, x: np.ndarray, out: Any) -> None:
        out.set(x)

    def fetch(self, x: Any) -> Callable[[], np.ndarray]:
        found = x.get()
        return lambda: found

    def capture(self, body: Callable[[], None], graph: Graph) -> None:
        graph.pool = made = self.emulator.Graph(graph.allocated)
        with made:
            body()
        graph.launch = made.launch

    def memory(self) -> tuple[int, int]:
        return self.emulator.memory.used, 0

    def gemm(self, *args: Any) -> None:
        self.emulator.run(lambda: self.emulator.gemm_strided_batched_ex(*args))


def _kept(path: Path, make: Callable[[], bytes], load: Callable[[Path], Any]) -> Any:
    """What `load` makes of a file in the cache; one that is missing or unreadable is made."""
    if path.exists():
        try:
            return load(path)
        except Exception as error:
            log.warning("kernel cache: %s is unreadable (%s) and is made anew", path, error)
    log.info("compiling %s (first use on this machine; kept in %s)", path.stem, path.parent)
    start = time.perf_counter()
    with atomic_write(path) as file:
        file.write(make())
    log.info("compiled %s in %.2f s", path.stem, time.perf_counter() - start)
    return load(path)


def empty(shape: int | tuple[int, ...], dtype: Any) -> Any:
    """An uninitialised C-contiguous array on the device."""
    return target().empty((shape,) if isinstance(shape, int) else shape, np.dtype(dtype))


def address(x: Any) -> np.uint64:
    """Where an array's elements begin; 0 for None."""
    if x is None:
        return np.uint64(0)
    if Graph.captured is not None:
        Graph.captured.uses(x)
    return np.uint64(x.data.ptr)


def constant(x: np.ndarray) -> Any:
    """A device array with the numbers of x, not to be changed; also while a graph is captured."""
    if Graph.captured is None:
        return target().put(x)
    made = target().lasting(x.shape, x.dtype)
    Graph.captured.constants.append((made, x))
    return made


def capture(body: Callable[[], None]) -> Graph:
    """A graph of what a function launches, which is called once; what it launches is not done before the graph is."""
    graph = Graph()
    try:
        with graph:
            target().capture(body, graph)
    finally:  # others may keep them
        for made, x in graph.constants:
            target().write(np.ascontiguousarray(x), made)
    return graph
