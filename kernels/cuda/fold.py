"""Reductions over the rows of (outer, rows, inner): one machinery, of which every one is made.

What is known of some elements is a state, a tuple of one to four numbers: `of` makes that of one element, `join` that
of two parts, `finish` the results. With inner = 1 the elements of a row lie side by side, and a warp or a block has a
row or a piece of it; otherwise a thread has some rows of a column. The states of pieces, whose number depends on the
shape alone, go to arrays, which the same kernels then join: the same bits every run.
"""

from collections.abc import Callable
from functools import lru_cache
from types import FunctionType
from typing import Any, NamedTuple

from numba import cuda
from numba.cuda import int32, int64, types, uint32
from numba.cuda.extending import overload

from .. import layout
from .block import WARP, lane, warp
from .kernel import Kernel, primitive
from .pointwise import contiguous
from .ptx import VECTOR, element, load, load_vector, store
from .runtime import address, empty

_THREADS = 256
_WARPS = _THREADS // WARP
_TINY = 16  # elements of a row that one thread reads
_SHORT = 1024  # that a warp reads
_PIECE = 4096  # that a block reads, where there are few rows
_MANY = 1024  # rows are enough for a block to have a whole one
_COLUMNS = 1 << 17  # threads that are enough where each has a column
_FEWEST, _MOST = 16, 256  # elements of a column that a thread reads
_ALL = uint32(0xFFFFFFFF)


class Fold(NamedTuple):
    """A reduction of x, given as (outer, rows, inner), with numbers p and q for `finish` and a pivot for each column.

    Attributes:
        family: the file it is of.
        name: of its kernels.
        neutral: like -> the state of no elements; `like` is 0 in the type that elements of x are loaded as.
        of: x, row, pivot -> the state of an element.
        join: state, state -> state.
        finish: state, p, q -> a tuple of results.
        states, results: types of the arrays of these, as in the signature of a kernel.
    """

    family: str
    name: str
    neutral: Callable[..., Any]
    of: Callable[..., Any]
    join: Callable[..., Any]
    finish: Callable[..., Any]
    states: str
    results: str

    def __call__(self, x: Any, p: float = 0.0, q: float = 0.0, pivots: Any = None) -> list[Any]:
        """Results (outer, inner) each; the pivot of a column is its first element unless there are `pivots`."""
        outer, rows, inner = x.shape
        pivots, step = (x, rows * inner) if pivots is None else (pivots, inner)
        arrays = [x]
        while True:
            is_first = arrays[0] is x
            vectors = is_first and rows % VECTOR == 0 and int(address(x)) % 16 == 0
            way, most, pieces, grid = _plan(outer, rows, inner, vectors)
            kind = self.results if pieces == 1 else self.states
            outs = [empty((outer, pieces, inner), _dtype(token, x.dtype)) for token in kind.split()]
            if grid:
                run = _kernel(self, is_first, pieces == 1, way)
                run(grid, _grouped(outs), _grouped(arrays), pivots, step, outer, rows, inner, most, pieces, p, q)
            if pieces == 1:
                return [out.reshape(outer, inner) for out in outs]
            arrays, rows = outs, pieces


def as_rows(x: Any, axes: tuple[int, ...]) -> tuple[Any, list[int] | None]:
    """x as (outer, rows, inner), and the order of x's axes in it if it had to be permuted."""
    return layout.as_rows(x, axes, contiguous)


@lru_cache(4096)
def _plan(outer: int, rows: int, inner: int, vectors: bool) -> tuple[str, int, int, int]:
    """Who has a row or a column, the elements of a piece, the pieces of each, and the grid."""
    if inner == 1 and rows > _TINY:
        suffix = "-vectors" if vectors else ""
        if rows <= _SHORT:
            return f"warp{suffix}", rows, 1, -(-outer // _WARPS)
        most = rows if outer >= _MANY else _PIECE
        pieces = -(-rows // most)
        return f"block{suffix}", most, pieces, outer * pieces
    columns = max(1, outer * inner)
    most = min(_MOST, max(_FEWEST, -(-rows * columns // _COLUMNS)))
    pieces = max(1, -(-rows // most))
    return "thread", most, pieces, -(-outer * inner * pieces // _THREADS)


def _primitive(fn: Callable[..., Any]) -> Any:
    return primitive(fn) if isinstance(fn, FunctionType) else fn


def _grouped(arrays: list[Any]) -> Any:
    """An argument: the array, or a tuple of several."""
    return arrays[0] if len(arrays) == 1 else tuple(arrays)


def _dtype(token: str, dtype: Any) -> Any:
    if token in ("T*", "A*"):
        return "f4" if token == "A*" and dtype.itemsize < 4 else dtype
    return token[:-1]


@lru_cache(None)
def _kernel(fold: Fold, is_first: bool, is_last: bool, way: str) -> Kernel:
    """The kernel that reads elements or states, writes states or results, and shares the work in a way."""
    neutral, of, join, finish = map(_primitive, (fold.neutral, fold.of, fold.join, fold.finish))
    ins = "T*" if is_first else fold.states
    outs = fold.results if is_last else fold.states
    one, two, three, four = map(int64, (1, 2, 3, 4))

    @primitive
    def join_element(state, arrays, at, row, pivot):
        return join(state, of(load(arrays, at), row, pivot))

    @primitive
    def join_state(state, arrays, at, row, pivot):
        return join(state, get(arrays, at))

    joined = join_element if is_first else join_state

    @primitive
    def elements(state, arrays, x, begin, mine, end, threads, pivot):
        """A state, and this thread's elements, one of every `threads`, of the row at x."""
        for row in range(begin + mine, end, threads):
            state = joined(state, arrays, x + row, row, pivot)
        return state

    @primitive
    def vectors(state, arrays, x, begin, mine, end, threads, pivot):
        for row in range(begin + four * mine, end, four * threads):
            a, b, c, d = load_vector(arrays, x + row)
            state = join(state, of(a, row, pivot))
            state = join(state, of(b, row + one, pivot))
            state = join(state, of(c, row + two, pivot))
            state = join(state, of(d, row + three, pivot))
        return state

    along = vectors if way.endswith("vectors") else elements

    @primitive
    def put_results(arrays, at, state, p, q):
        put(arrays, at, finish(state, p, q))

    @primitive
    def put_state(arrays, at, state, p, q):
        put(arrays, at, state)

    given = put_results if is_last else put_state

    @primitive
    def of_warp(state):
        state = join(state, exchanged(state, int32(16)))
        state = join(state, exchanged(state, int32(8)))
        state = join(state, exchanged(state, int32(4)))
        state = join(state, exchanged(state, int32(2)))
        return join(state, exchanged(state, int32(1)))

    def thread(outs, ins, pivots, step, outer, rows, inner, most, pieces, p, q):
        i = int64(cuda.blockIdx.x) * int64(_THREADS) + int64(cuda.threadIdx.x)
        if i < outer * pieces * inner:
            width = pieces * inner
            o = i // width
            first = i - o * width
            piece = first // inner
            state = neutral(zero(pivots))
            if rows > int64(0):
                pivot = load(pivots, o * step + first - piece * inner)
                at = o * rows * inner + first
                for row in range(piece, rows, pieces):
                    state = joined(state, ins, at, row, pivot)
                    at += width
            given(outs, i, state, p, q)

    def warps(outs, ins, pivots, step, outer, rows, inner, most, pieces, p, q):
        o = int64(cuda.blockIdx.x) * int64(_WARPS) + int64(warp())
        if o < outer:
            state = neutral(zero(pivots))
            pivot = load(pivots, o * step)
            mine, threads = int64(lane()), int64(WARP)
            state = of_warp(along(state, ins, o * rows, int64(0), mine, rows, threads, pivot))
            if lane() == int32(0):
                given(outs, o, state, p, q)

    def block(outs, ins, pivots, step, outer, rows, inner, most, pieces, p, q):
        i = int64(cuda.blockIdx.x)
        o = i // pieces
        begin = (i - o * pieces) * most
        state = neutral(zero(pivots))
        pivot = load(pivots, o * step)
        mine, threads, end = int64(cuda.threadIdx.x), int64(_THREADS), min(rows, begin + most)
        state = of_warp(along(state, ins, o * rows, begin, mine, end, threads, pivot))
        partial = shared(state)
        if lane() == int32(0):
            keep(partial, warp(), state)
        cuda.syncthreads()
        if mine == int64(0):
            for w in range(int32(1), int32(_WARPS)):
                state = join(state, kept(partial, w))
            given(outs, i, state, p, q)

    body = {"thread": thread, "warp": warps, "block": block}[way.partition("-")[0]]
    body.__module__ = fold.family
    stage = "whole" if is_first and is_last else "pieces" if is_first else "join" if is_last else "join-pieces"
    signature = f"{outs.replace(' ', ',')} <- {ins.replace(' ', ',')} T* i8 i8 i8 i8 i8 i8 A A"
    return Kernel(body, signature, _THREADS, 0, f"{fold.name}-{stage}-{way}")


def zero(pointer):
    """0 in the type that elements of an array are loaded as."""


def get(arrays, at):
    """The state at an index of its arrays."""


def put(arrays, at, numbers):
    """Store a state or results."""


def exchanged(state, distance):
    """The state of the thread of the warp whose number differs by a power of two."""


def shared(state):
    """Shared memory for a state of each warp."""


def keep(partial, at, state):
    """Store a state there."""


def kept(partial, at):
    """Load it."""


@overload(zero, target="cuda")
def _zero(pointer):
    number = element(pointer)
    return lambda pointer: number(0)


@overload(get, target="cuda")
def _get(arrays, at):
    if isinstance(arrays, types.CPointer):
        return lambda arrays, at: (load(arrays, at),)
    return (
        lambda arrays, at: (load(arrays[0], at), load(arrays[1], at)),
        lambda arrays, at: (load(arrays[0], at), load(arrays[1], at), load(arrays[2], at)),
        lambda arrays, at: (load(arrays[0], at), load(arrays[1], at), load(arrays[2], at), load(arrays[3], at)),
    )[len(arrays) - 2]


@overload(put, target="cuda")
def _put(arrays, at, numbers):
    def alone(arrays, at, numbers):
        store(arrays, at, numbers[0])

    def one(arrays, at, numbers):
        store(arrays[0], at, numbers[0])

    def more(arrays, at, numbers):
        store(arrays[0], at, numbers[0])
        put(arrays[1:], at, numbers[1:])

    return alone if isinstance(arrays, types.CPointer) else one if len(arrays) == 1 else more


@overload(exchanged, target="cuda")
def _exchanged(state, distance):
    def one(state, distance):
        return (cuda.shfl_xor_sync(_ALL, state[0], distance),)

    def more(state, distance):
        return (cuda.shfl_xor_sync(_ALL, state[0], distance), *exchanged(state[1:], distance))

    return one if len(state) == 1 else more


@overload(shared, target="cuda")
def _shared(state):
    number = state[0]

    def one(state):
        return (cuda.shared.array(_WARPS, number),)

    def more(state):
        return (cuda.shared.array(_WARPS, number), *shared(state[1:]))

    return one if len(state) == 1 else more


@overload(keep, target="cuda")
def _keep(partial, at, state):
    def one(partial, at, state):
        partial[0][at] = state[0]

    def more(partial, at, state):
        partial[0][at] = state[0]
        keep(partial[1:], at, state[1:])

    return one if len(state) == 1 else more


@overload(kept, target="cuda")
def _kept(partial, at):
    def one(partial, at):
        return (partial[0][at],)

    def more(partial, at):
        return (partial[0][at], *kept(partial[1:], at))

    return one if len(partial) == 1 else more
