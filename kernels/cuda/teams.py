"""Rows of a matrix: a team of threads, a warp or a block, has one; a thread has vectors of it, a team's width apart.

A row that fits is held in registers; a longer one is streamed, as often as it is needed.
"""

from typing import Any

from numba import cuda
from numba.cuda import int64
from numba.cuda.extending import overload

from .block import WARP, add, block_max, block_sum, larger, warp_join
from .kernel import primitive
from .ptx import VECTOR, element, load, load_vector, store, store_vector
from .threads import aligned as begins_aligned

THREADS = 256  # of a block
_HELD = (WARP, 1), (WARP, 4), (THREADS, 1), (THREADS, 4), (THREADS, 8)


def team_of(columns: int, most: int = 8) -> tuple[int, int]:
    """Threads of a row's team, and how many vectors each holds: at most `most`, 0 where the row is streamed."""
    fitting = (shape for shape in _HELD if shape[1] <= most and columns <= VECTOR * shape[0] * shape[1])
    return next(fitting, (THREADS, 0))


def grid(rows: int, team: int) -> int:
    """Blocks for so many rows."""
    return -(-rows // (THREADS // team))


def is_aligned(columns: int, *arrays: Any) -> bool:
    """Whether vectors of all rows lie on multiples of their size; None stands for no array."""
    return columns % VECTOR == 0 and begins_aligned(*(x for x in arrays if x is not None))


def joins(team: int) -> tuple[Any, Any]:
    """What gives a sum and a maximum over a team."""
    return (_warp_sum, _warp_max) if team == WARP else (block_sum, block_max)


@primitive
def _warp_sum(x):
    return warp_join(x, add)


@primitive
def _warp_max(x):
    return warp_join(x, larger)


@primitive
def row_of(team):
    """The row of this thread, perhaps beyond the last one if the team is a warp."""
    return int64(cuda.blockIdx.x) * int64(THREADS // team) + int64(cuda.threadIdx.x) // int64(team)


@primitive
def begin(team, k):
    """The column at which vector k of this thread begins."""
    return int64(VECTOR) * (int64(k) * int64(team) + int64(cuda.threadIdx.x) % int64(team))


def number(pointer, value):
    """A constant of the type that `load` gives of a pointer."""


@overload(number, target="cuda")
def _number(pointer, value):
    number = element(pointer)
    return lambda pointer, value: number(value)


@primitive
def read(x, at, j, columns, aligned, filler):
    """Four elements from column j on of the row that begins at `at`; the filler beyond its end."""
    if aligned and j + 3 < columns:
        return load_vector(x, at + j)
    return (
        load(x, at + j) if j < columns else filler,
        load(x, at + j + 1) if j + 1 < columns else filler,
        load(x, at + j + 2) if j + 2 < columns else filler,
        load(x, at + j + 3) if j + 3 < columns else filler,
    )


@primitive
def write(out, at, j, columns, aligned, values):
    """The converse of `read`."""
    if aligned:
        if j < columns:
            store_vector(out, at + j, values)
    else:
        if j < columns:
            store(out, at + j, values[0])
        if j + 1 < columns:
            store(out, at + j + 1, values[1])
        if j + 2 < columns:
            store(out, at + j + 2, values[2])
        if j + 3 < columns:
            store(out, at + j + 3, values[3])


@primitive
def within(v, j, columns, filler):
    """Four numbers from column j on; the filler beyond the end."""
    return (
        v[0] if j < columns else filler,
        v[1] if j + 1 < columns else filler,
        v[2] if j + 2 < columns else filler,
        v[3] if j + 3 < columns else filler,
    )


@primitive
def top_of(v):
    """The largest of four numbers; NaN if one is."""
    return larger(larger(v[0], v[1]), larger(v[2], v[3]))


@primitive
def sum_of(v):
    """The sum of four numbers."""
    return (v[0] + v[1]) + (v[2] + v[3])


@primitive
def constant(x):
    """Four times the same number."""
    return x, x, x, x


@primitive
def plus(v, w):
    """The sum of vectors."""
    return v[0] + w[0], v[1] + w[1], v[2] + w[2], v[3] + w[3]


@primitive
def minus(v, w):
    """The difference of vectors."""
    return v[0] - w[0], v[1] - w[1], v[2] - w[2], v[3] - w[3]


@primitive
def times(v, w):
    """The product of vectors, element by element."""
    return v[0] * w[0], v[1] * w[1], v[2] * w[2], v[3] * w[3]


@primitive
def steps(columns, team, vectors):
    """How many vectors a thread has: a constant if they are held."""
    return vectors if vectors else (columns + VECTOR * team - 1) // (VECTOR * team)


@primitive
def hold(held, k, v):
    """Keep four numbers as vector k in registers."""
    held[4 * k], held[4 * k + 1], held[4 * k + 2], held[4 * k + 3] = v


@primitive
def vector_of(held, k):
    """What `hold` has kept."""
    return held[4 * k], held[4 * k + 1], held[4 * k + 2], held[4 * k + 3]
