"""What limits an op on this machine: how fast memory is copied, and numbers are multiplied and added in registers."""

import ctypes
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from llvmlite import binding, ir

from ..device import threads
from . import simd

__all__ = ["arithmetic", "bandwidth"]

CHAINS = 12  # of dependent multiply-adds: enough for the latency of two units, few enough for 16 registers
STEPS = 1 << 20
COPIED = 1 << 27  # bytes: far more than caches hold
TRIES = 10  # of which the best counts


def bandwidth() -> float:
    """Bytes read and written a second where all threads copy parts of a large array."""
    source, target = np.ones((2, threads(), COPIED // threads()), np.uint8)
    return 2 * source.size / _seconds(lambda thread: np.copyto(target[thread], source[thread]))


def arithmetic() -> float:
    """float32 multiplications and additions a second of all threads, in registers alone."""
    lanes, engine = simd.width(), _engine(simd.width())
    chains = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)(engine.get_function_address("chains"))
    sums = np.empty((threads(), lanes), np.float32)
    seconds = _seconds(lambda thread: chains(STEPS, sums[thread].ctypes.data))
    return 2 * lanes * CHAINS * STEPS * threads() / seconds


def _engine(lanes: int) -> Any:
    """Machine code of `chains(steps, out)`: x ← x / 2 + 1, so many times, for vectors that stay in registers."""
    vector, i64 = ir.VectorType(ir.FloatType(), lanes), ir.IntType(64)
    module = ir.Module()
    fma = ir.Function(module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{lanes}f32")
    chains = ir.Function(module, ir.FunctionType(ir.VoidType(), [i64, vector.as_pointer()]), "chains")
    entry, loop, done = (chains.append_basic_block() for _ in range(3))
    half, one = (ir.Constant(vector, [value] * lanes) for value in (0.5, 1.0))
    ir.IRBuilder(entry).branch(loop)
    b = ir.IRBuilder(loop)
    step, sums = b.phi(i64), [b.phi(vector) for _ in range(CHAINS)]
    later = [b.add(step, i64(1)), *(b.call(fma, [x, half, one]) for x in sums)]
    for phi, start, new in zip((step, *sums), (i64(0), *[one] * CHAINS), later, strict=True):
        phi.add_incoming(start, entry)
        phi.add_incoming(new, loop)
    b.cbranch(b.icmp_signed("<", later[0], chains.args[0]), loop, done)
    b = ir.IRBuilder(done)
    total = later[1]
    for x in later[2:]:
        total = b.fadd(total, x)
    b.store(total, chains.args[1], align=4)
    b.ret_void()
    features = binding.get_host_cpu_features().flatten()
    machine = binding.Target.from_default_triple().create_target_machine(binding.get_host_cpu_name(), features)
    engine = binding.create_mcjit_compiler(binding.parse_assembly(str(module)), machine)
    engine.finalize_object()
    return engine


def _seconds(work: Callable[[int], Any]) -> float:
    """The least that all threads took together for their parts of the work."""
    workers = range(threads())
    with ThreadPoolExecutor(len(workers)) as pool:
        tries = []
        for _ in range(TRIES):
            start = time.perf_counter()
            list(pool.map(work, workers))
            tries.append(time.perf_counter() - start)
    return min(tries)
