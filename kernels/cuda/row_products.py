"""Products of rows with rows, for the backward pass of attention."""

from functools import lru_cache
from typing import Any

from numba import cuda
from numba.cuda import int64

from .block import WARP, add, lane, warp, warp_join
from .kernel import accumulator, kernel
from .ptx import load, store
from .runtime import empty

WARPS = 8


def row_products(x: Any, y: Any) -> Any:
    """Σ_d x_bthd y_bthd as (B, H, T), of arrays in C order; x may be bfloat16."""
    batch, time, heads, width = x.shape
    out = empty((batch, heads, time), accumulator(y.dtype))
    run = _kernel("T" if x.dtype == y.dtype else "u2")
    run(-(-out.size // WARPS), out, x, y, time, heads, width, out.size)
    return out


@lru_cache(None)
def _kernel(code):
    @kernel(f"A* <- {code}* T* i4 i4 i4 i8", threads=WARP * WARPS, name=f"of-{code}")
    def multiply(out, x, y, time, heads, width, rows):
        row = int64(cuda.blockIdx.x) * int64(WARPS) + int64(warp())
        if row < rows:
            total = type(load(y, row * width))(0)
            for d in range(lane(), width, WARP):
                total += load(x, row * width + d) * load(y, row * width + d)
            total = warp_join(total, add)
            if lane() == 0:
                b, t, h = row // (int64(time) * heads), row // heads % time, row % heads
                store(out, (b * heads + h) * time + t, total)

    return multiply
