"""Debug GPU kernels on a laptop: runs the PTX that numba.cuda compiles on the CPU, with no GPU.

`Program(ptx)` is a kernel; `memory` is the device's memory; `program.launch(grid, block, arguments)` runs it on all
threads at once, as NumPy arrays. A kernel that would crash, hang or compute garbage on a GPU raises `Fault`, with the
block, the thread and the instruction: out of bounds, misaligned, never written, a race between warps with no barrier,
a barrier that not all threads reach, an incomplete warp. It needs NumPy alone.

It does not emulate time, wgmma and TMA, or races in global memory. vprintf prints nothing; fma of float64 rounds twice.
"""

from .array import Array, empty, put
from .blas import gemm_strided_batched_ex
from .fault import Fault
from .graph import Graph, outside, refuse, run
from .memory import Memory, memory
from .program import Program

__all__ = [
    "Array",
    "Fault",
    "Graph",
    "Memory",
    "Program",
    "empty",
    "gemm_strided_batched_ex",
    "memory",
    "outside",
    "put",
    "refuse",
    "run",
]
