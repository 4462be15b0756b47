"""`@elementwise`: a scalar formula as a function on arrays of any strides.

What is compiled for a formula is one plain loop over contiguous memory. What surrounds it is compiled once for all:
a task is a block of consecutive elements of the output, cut into pieces of a row; where an operand does not lie
side by side there, because it is broadcast or strided, it is copied to a buffer in the first cache. Axes that lie
in memory as one are merged; short rows are walked several at a time.
"""

import inspect
import math
from collections.abc import Callable
from functools import lru_cache, partial, wraps
from typing import Any

import numpy as np
from numba import carray, prange

from ..device import contiguous, empty
from ..layout import broadcast, merged, steps_along
from .kernel import CFunction, kernel, primitive, subroutine
from .simd import call, data_of, load, pointer, stack, store

_BLOCK = 16384  # elements of a task: fewer do not pay for waking a thread
_MOST_TASKS = 1024
_AXES = 4
_PIECE = 512  # elements in a buffer
_BUFFER = _PIECE * 8
_ARRAYS = 5  # at most, with the output
_BUFFERS = _ARRAYS * _BUFFER
_TABLE = _ARRAYS * 8
_SHORT = 64  # rows of fewer elements are walked several at a time
# Rows of the layout, with columns for axes or arrays: sizes, steps in bytes of each array (from 1 on), item sizes, ways
# to the elements; elements in all, of a task, of a row that pieces end with, of a piece.
_SIZES, _ITEM, _WAY, _CUT, _ROWS = 0, 6, 7, 8, 9
_DIRECT, _GATHERED, _FIXED = 0, 1, 2  # ways: where it lies; by buffer; one element, by a buffer that is filled once


def elementwise(formula: Callable[..., Any] | None = None, *, returns: Any = None) -> Callable[..., Any]:
    """Make a formula of one to four numbers a function on arrays or numbers, which broadcast.

    The result has the dtype `returns`, or that of the first array that is not of booleans, which numbers take too;
    `out=` is an array to fill.
    """
    if formula is None:
        return partial(elementwise, returns=returns)
    function = CFunction(_loop(formula), 1, formula.__name__)

    @wraps(formula)
    def apply(x: Any, y: Any = None, z: Any = None, w: Any = None, *, out: np.ndarray | None = None) -> np.ndarray:
        x = x if isinstance(x, np.ndarray) else np.asarray(x)  # its memory is read where an array's lies
        dtype = x.dtype if x.dtype.kind != "b" or y is None else y.dtype
        shape = x.shape
        if y is not None:
            y = y if isinstance(y, np.ndarray) else np.asarray(y, dtype)
            shape = shape if shape == y.shape else broadcast(shape, y.shape)
        if z is not None:
            z = z if isinstance(z, np.ndarray) else np.asarray(z, dtype)
            shape = shape if shape == z.shape else broadcast(shape, z.shape)
        if w is not None:
            w = w if isinstance(w, np.ndarray) else np.asarray(w, dtype)
            shape = shape if shape == w.shape else broadcast(shape, w.shape)
        if out is None:
            out = empty(shape, returns or dtype)
        if out.size == 0:
            return out
        key: tuple[Any, ...] = out.shape, out.strides, out.dtype, x.shape, x.strides, x.dtype
        if y is not None:
            key += y.shape, y.strides, y.dtype
        if z is not None:
            key += z.shape, z.strides, z.dtype
        if w is not None:
            key += w.shape, w.strides, w.dtype
        plan = _plan(function, *key)
        if plan is not None:
            function.launched += 1
            own = id(x)  # for an operand that the formula has not
            rest = own if y is None else id(y), own if z is None else id(z), own if w is None else id(w)
            _launch(*plan, id(out), own, *rest)
        else:
            flat = [contiguous(np.broadcast_to(a, shape)).reshape(-1) for a in (x, y, z, w) if a is not None]
            np.copyto(out, apply(*flat).reshape(shape))
        return out

    return apply


def _loop(formula: Callable[..., Any]) -> Callable[..., None]:
    f = primitive(formula)

    def unary(out, x, y, z, w, count):
        for i in range(count):
            store(out, i, f(load(x, i)))

    def binary(out, x, y, z, w, count):
        for i in range(count):
            store(out, i, f(load(x, i), load(y, i)))

    def ternary(out, x, y, z, w, count):
        for i in range(count):
            store(out, i, f(load(x, i), load(y, i), load(z, i)))

    def quaternary(out, x, y, z, w, count):
        for i in range(count):
            store(out, i, f(load(x, i), load(y, i), load(z, i), load(w, i)))

    loop = (unary, binary, ternary, quaternary)[len(inspect.signature(formula).parameters) - 1]
    loop.__module__ = formula.__module__
    return loop


@lru_cache(4096)
def _plan(function, shape, *arrays):
    """(machine code, that of `_walk`, layout, tasks) for arrays given as shape, strides and dtype, the output first;

    None where four axes do not do.
    """
    operands = list(zip(*[iter((shape, *arrays))] * 3, strict=True))
    items = [dtype.itemsize for _, _, dtype in operands]
    sizes, steps = merged(shape, [steps_along(shape, own, strides) for own, strides, _ in operands])
    if len(sizes) > _AXES:
        return None
    count = math.prod(sizes)
    row = sizes[-1] if sizes and sizes[-1] >= _SHORT else count
    layout = np.zeros((_ROWS, _ARRAYS), np.int64)
    layout[_SIZES, : _AXES - len(sizes)] = 1
    layout[_SIZES, _AXES - len(sizes) : _AXES] = sizes
    for o, item in enumerate(items):
        own = [step[o] for step in steps]
        layout[1 + o, _AXES - len(own) : _AXES] = own
        layout[_ITEM, o] = item
        if row == count:
            is_direct = own == [item * math.prod(sizes[a + 1 :]) for a in range(len(own))]
        else:
            is_direct = own[-1] == item
        layout[_WAY, o] = _DIRECT if is_direct else _GATHERED if any(own) else _FIXED
    block = max(_BLOCK, -(-count // (_MOST_TASKS * 64)) * 64)
    layout[_CUT, :4] = count, block, row, _PIECE if layout[_WAY].any() else count
    dtypes = [dtype for _, _, dtype in operands]
    code = function.address(*dtypes, *dtypes[-1:] * (_ARRAYS - len(dtypes)))
    return code, _walk.address(), layout, -(-count // block)


@kernel("<- i8 i8 i8[2] i8 i8 i8 i8 i8 i8")
def _launch(code, walk, layout, tasks, out, x, y, z, w):
    arrays = data_of(out), data_of(x), data_of(y), data_of(z), data_of(w)
    count, block = layout[_CUT, 0], layout[_CUT, 1]
    if tasks == 1:
        call(walk, (code, layout.ctypes.data, *arrays, 0, count))
    else:
        for task in prange(tasks):
            start = task * block
            call(walk, (code, layout.ctypes.data, *arrays, start, min(start + block, count)))


def _block(code, layout, out, x, y, z, w, start, end):
    """Elements [start, end) in the order of the output."""
    layout = carray(pointer(layout, np.int64(0)), (_ROWS, _ARRAYS))
    row, piece = layout[_CUT, 2], layout[_CUT, 3]
    arrays, places = pointer(stack(_TABLE), np.int64(0)), pointer(stack(_TABLE), np.int64(0))
    room = stack(_BUFFERS)
    store(arrays, 0, out)
    store(arrays, 1, x)
    store(arrays, 2, y)
    store(arrays, 3, z)
    store(arrays, 4, w)
    at = start
    while at < end:
        i, j, k, m = _coordinates(layout, at)
        n = min(end - at, row - m if row == layout[_SIZES, 3] else end - at, piece)
        for o in range(_ARRAYS):
            way, item, step = layout[_WAY, o], layout[_ITEM, o], layout[1 + o]
            buffer = room + o * _BUFFER
            if way == _DIRECT:
                first = i * step[0] + j * step[1] + k * step[2] + m * step[3]
                store(places, o, load(arrays, o) + first)
            else:
                store(places, o, buffer)
                if o > 0 and (way == _GATHERED or at == start):
                    filled = n if way == _GATHERED else piece
                    _copy(buffer, load(arrays, o), item, layout[_SIZES], step, (i, j, k, m), filled, True)
        call(code, (load(places, 0), load(places, 1), load(places, 2), load(places, 3), load(places, 4), n))
        if layout[_WAY, 0] == _GATHERED:
            _copy(room, out, layout[_ITEM, 0], layout[_SIZES], layout[1], (i, j, k, m), n, False)
        at += n


_walk = CFunction(_block, 9)


@primitive
def _coordinates(layout, at):
    inner, middle = layout[_SIZES, 3], layout[_SIZES, 2]
    if at < inner:
        return np.int64(0), np.int64(0), np.int64(0), at
    rest = at // inner
    m = at - rest * inner
    if rest < middle:
        return np.int64(0), np.int64(0), rest, m
    at, rest = rest, rest // middle
    i = rest // layout[_SIZES, 1]
    return i, rest - i * layout[_SIZES, 1], at - rest * middle, m


@subroutine
def _copy(buffer, array, item, sizes, step, place, count, gather):
    """Copy `count` elements from a place of an array on to a buffer, or back; steps are in bytes."""
    i, j, k, m = place
    while count > 0:
        n = min(sizes[3] - m, count)
        at = array + i * step[0] + j * step[1] + k * step[2] + m * step[3]
        to, by, source, source_by = (buffer, item, at, step[3]) if gather else (at, step[3], buffer, item)
        if item == 4:
            _copy_row(to, by, source, source_by, n, np.uint32(0))
        elif item == 8:
            _copy_row(to, by, source, source_by, n, np.uint64(0))
        elif item == 2:
            _copy_row(to, by, source, source_by, n, np.uint16(0))
        else:
            _copy_row(to, by, source, source_by, n, np.uint8(0))
        buffer += n * item
        count -= n
        m = 0
        k += 1
        if k == sizes[2]:
            k = 0
            j += 1
        if j == sizes[1]:
            j = 0
            i += 1


@subroutine
def _copy_row(to, by, source, source_by, count, like):
    if source_by == 0:
        value, first = load(pointer(source, like), 0), pointer(to, like)
        for e in range(count):
            store(first, e, value)
        return
    for _ in range(count):  # not as vectors: LLVM is slow to make those of steps
        store(pointer(to, like), 0, load(pointer(source, like), 0))
        to += by
        source += source_by
