"""`octavo info`: what Octavo runs on, and what is wrong with it."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from .options import GroupedCommand, option

__all__ = ["info", "kernel_cache"]

_LIBRARIES = ("numpy", "numba", "llvmlite", "safetensors", "matplotlib")
_VECTORS = {16: "AVX-512", 8: "AVX2", 4: "128 bits", 1: "none"}


@click.command(cls=GroupedCommand, short_help="Show what Octavo runs on, and what is wrong with it.")
@option("--threads", type=click.IntRange(1), group="Machine", help="Processor threads. [all]")
def info(threads: int | None) -> None:
    """Show versions, processor, threads, GPU, cache and memory, and how to mend what is wrong."""
    from .. import __version__
    from ..kernels import device
    from .status import compilation_shown

    faults: list[str] = []
    _show("octavo", f"{__version__}, in {Path(__file__).parents[1]}")
    _show("python", f"{platform.python_version()} ({sys.executable}), {platform.platform()}")
    _show("libraries", ", ".join(f"{name} {_version(name, faults)}" for name in _LIBRARIES))
    _show("processor", _processor())
    _show("vectors", _vectors())
    with compilation_shown():
        _show("threads", _threads(device.threads(threads), faults))
    _show("GPU", f"none: {why}" if (why := device.why_no_gpu()) else device.name())
    _show("cache", _cache(faults))
    _show("memory", _memory(faults))
    click.echo()
    for fault in faults or ["Nothing is wrong."]:
        click.echo(fault)
    if faults:
        click.get_current_context().exit(1)


def _show(name: str, value: str) -> None:
    click.echo(f"{name:<10} {value}")


def _version(name: str, faults: list[str]) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        faults.append(f"{name} is not installed: pip install {name}")
        return "missing"


def _processor() -> str:
    import psutil

    cores = psutil.cpu_count(logical=False) or 1
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {cores} cores, {psutil.cpu_count()} threads"


def _vectors() -> str:
    from numba.core.registry import cpu_target

    from ..kernels.cpu import simd

    _, target, features = cpu_target.target_context.codegen().magic_tuple()
    wanted = ("avx2", "fma", "avx512f", "avx512bf16", "amx-bf16", "neon", "sve")
    has = [name for name in wanted if f"+{name}" in features]
    width = simd.width()
    return f"{_VECTORS[width]}, {width} float32 at once; target {target} with {', '.join(has) or 'no extensions'}"


def _threads(count: int, faults: list[str]) -> str:
    """Runs a kernel, which starts Numba's threads."""
    import numba
    import numpy as np

    from ..kernels import softmax

    try:
        sums = softmax(np.zeros((2, 3), np.float32)).sum(1)
    except Exception as error:
        faults.append(f"Kernels do not run ({error}): reinstall numba and llvmlite, then try again.")
        return f"{count}"
    if not np.allclose(sums, 1):
        faults.append("A kernel gave a wrong result: remove the cache folder above and reinstall numba.")
    layer = numba.threading_layer()
    return f"{count} of {os.cpu_count()}, threading layer {layer}; kernels run"


def _cache(faults: list[str]) -> str:
    folder, files, kept = kernel_cache()
    if not kept:
        faults.append("The cache folder cannot be written, so kernels compile anew each time: set OCTAVO_CACHE.")
    size = sum(path.stat().st_size for path in files)
    return f"{folder}, {len(files)} kernels, {size / 1e6:.1f} MB, {'writable' if kept else 'temporary'}"


def kernel_cache(place: str = "cpu") -> tuple[Path, list[Path], bool]:
    """The folder of a device's compiled kernels, those that are in it, and whether it stays."""
    from ..kernels.device import cache_folder

    folder = cache_folder(place)
    return folder, [*folder.iterdir()], not folder.name.startswith("octavo-kernels-")


def _memory(faults: list[str]) -> str:
    import psutil

    memory = psutil.virtual_memory()
    if memory.available < 1e9:
        faults.append("Less than 1 GB of memory is free: close other programs, or train a smaller model.")
    return f"{memory.total / 1e9:.1f} GB, {memory.available / 1e9:.1f} GB free"
