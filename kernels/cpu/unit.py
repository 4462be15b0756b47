"""What a matrix product runs on: the unit of this processor for a precision."""

import ctypes
import platform
import sys
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba.core.registry import cpu_target

from . import simd


class Unit(NamedTuple):
    """What multiplies: `kind` "vector", "bf16" (AVX-512's) or "amx", for results of an element type."""

    kind: str
    result: str  # f4 or f8
    lanes: int  # results in a vector

    @property
    def pairs(self) -> bool:
        """Whether elements of a panel are pairs of bf16."""
        return self.kind != "vector"

    @property
    def name(self) -> str:
        """What tells apart the kernels of units."""
        return self.kind if self.pairs else f"{self.lanes}"

    @property
    def code(self) -> str:
        """The element type of panels in a kernel's signature."""
        return "u4" if self.pairs else "T"

    @property
    def dtype(self) -> np.dtype:
        """The element type of panels."""
        return np.dtype("u4" if self.pairs else self.result)


def unit(dtype: np.dtype, precision: str) -> Unit:
    """The unit for products of a dtype in a precision, which this process has."""
    if dtype.itemsize == 8:
        return Unit("vector", "f8", max(1, simd.width() // 2))
    return Unit("vector", "f4", simd.width()) if precision == "highest" else Unit(bf16(), "f4", 16)


@lru_cache(None)
def bf16() -> str:
    """The unit of this process that multiplies bf16: "amx", "bf16", or "" for none.

    AMX is used with leave of the kernel only: without it the first instruction kills the process.
    """
    features = cpu_target.target_context.codegen().magic_tuple()[2].split(",")
    if simd.width() < 16 or "+avx512bf16" not in features:
        return ""
    return "amx" if {"+amx-tile", "+amx-bf16"} <= set(features) and _amx_granted() else "bf16"


def _amx_granted() -> bool:
    """Ask for the tile registers: arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA), once a process."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    return ctypes.CDLL(None, use_errno=True).syscall(158, 0x1023, 18) == 0
