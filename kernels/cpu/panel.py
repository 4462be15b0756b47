"""Panels, from which register tiles read their operands: how they are filled from matrices, in LLVM IR.

A panel holds `across` rows of an operand, turned so that what a tile reads lies side by side: element (k, r) at
k across + r. AMX wants its left operand in lines instead: of 16 elements of depth, those of a row side by side, element
(k, r) at (k // 16 across + r) 16 + k % 16. Where a unit multiplies pairs, an element is two neighbours along the depth,
rounded to bf16, in 32 bits.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .kernel import primitive, subroutine
from .maths import bf16_bits, widen
from .simd import I8, I32, I64, BFloatType, llvm_type, load_from, pointer_to, shuffled, splat
from .unit import Unit

LINE = 16  # pairs in a row of an AMX tile
_F32 = ir.FloatType()


class Panel(NamedTuple):
    """How the panels of one operand are made.

    `fill(panel, start, x, first, depth, scale)` writes the one of rows [first, first + across) of x (R, K), of any
    strides: scale x, zeros beyond x, `depth` elements. Where elements are pairs, `fill_rest` writes what rounding
    leaves of them, rounded.
    """

    across: int
    fill: Any
    fill_rest: Any


@primitive
def rest_bits(x):
    """The bits of what rounding leaves of x, rounded."""
    return bf16_bits(x - widen(bf16_bits(x)))


@lru_cache(None)
def panel(unit: Unit, across: int, lines: bool = False) -> Panel:
    """The panels of an operand; `lines` as AMX wants those of its left one."""
    if not unit.pairs:
        return Panel(across, _fill(unit, across, lines, False, _float_at), None)
    fills = (_fill(unit, across, lines, rest, _pair_of(rest_bits if rest else bf16_bits)) for rest in (False, True))
    return Panel(across, *fills)


def _fill(unit: Unit, across: int, lines: bool, rest: bool, element: Any) -> Any:
    per = 2 if unit.pairs else 1
    along, down = 64 // unit.dtype.itemsize, LINE if lines else 1  # elements of depth that a mover moves
    from_rows, from_columns = (_mover(unit, across, lines, rest, rows) for rows in (True, False))

    @primitive
    def place(k, r):
        return (k // LINE * across + r) * LINE + k % LINE if lines else k * across + r

    @subroutine
    def fill(panel, start, x, first, depth, scale):
        rows, whole = min(across, x.shape[0] - first), x.shape[1] // per
        done = 0
        if rows == across and x.strides[1] == x.itemsize:
            while done + along <= whole:
                from_rows(panel, start + done * across, x, first, done * per, scale)
                done += along
        elif rows == across and x.strides[0] == x.itemsize:
            while done + down <= whole:
                from_columns(panel, start + done * across, x, first, done * per, scale)
                done += down
        for k in range(done, depth):
            filled = rows if k * per < x.shape[1] else 0
            for r in range(filled):
                panel[start + place(k, r)] = element(x, first + r, k, scale)
            for r in range(filled, across):
                panel[start + place(k, r)] = 0

    return fill


@primitive
def _float_at(x, i, k, scale):
    return x[i, k] * scale


def _pair_of(bits: Any) -> Any:
    @primitive
    def pair_at(x, i, k, scale):
        low = bits(x[i, 2 * k] * scale)
        high = bits(x[i, 2 * k + 1] * scale) if 2 * k + 1 < x.shape[1] else np.uint16(0)
        return np.uint32(high) << np.uint32(16) | np.uint32(low)

    return pair_at


def _mover(unit: Unit, across: int, lines: bool, rest: bool, rows: bool) -> Any:
    """The intrinsic move(panel, start, x, first, k, scale), from x whose `rows`, or else columns, lie in one piece.

    It writes as many elements of depth as fill 64 bytes, or one from columns where the panel is not in lines.
    """
    size = 64 // unit.dtype.itemsize
    count = size if rows or lines else 1

    @intrinsic
    def move(typing_context, panel, start, x, first, k, scale):
        def codegen(ctx, b, sig, args):
            source = _Source(ctx, b, unit, sig.args[2], args[2], args[5], rest)
            to = pointer_to(ctx, b, sig.args[0], args[0], args[1])
            i, k = args[3:5]
            for r in range(0, across, size):
                width = min(size, across - r)
                at = b.add(i, I64(r))
                if rows:
                    vectors = [source.along(b.add(at, I64(n)), k, count) for n in range(width)]
                else:
                    vectors = [source.down(at, b.add(k, I64(n * source.per)), width) for n in range(count)]
                if rows != lines:
                    vectors = _transposed(b, vectors, count if rows else width)
                for n, vector in enumerate(vectors):
                    offset = (r + n) * size if lines else n * across + r
                    _store(b, vector, b.gep(to, [I64(offset)]))
            return ctx.get_dummy_value()

        return types.void(panel, types.int64, x, types.int64, types.int64, scale), codegen

    return move


class _Source:
    """Elements of panels, loaded from a matrix."""

    def __init__(self, ctx: Any, b: Any, unit: Unit, array_type: types.Array, array: Any, scale: Any, rest: bool):
        struct = ctx.make_array(array_type)(ctx, b, array)
        self.b, self.unit, self.scale, self.rest = b, unit, scale, rest
        self.data, self.steps = struct.data, cgutils.unpack_tuple(b, struct.strides, 2)
        self.scalar = llvm_type(array_type.dtype)
        self.per = 2 if unit.pairs else 1

    def along(self, i: Any, k: Any, count: int) -> Any:
        """`count` elements of row i from number k, which lie in one piece."""
        floats = self._floats(i, k, count * self.per)
        return self._pairs(floats) if self.unit.pairs else floats

    def down(self, i: Any, k: Any, count: int) -> Any:
        """An element of each of `count` rows from row i, whose columns lie in one piece."""
        lines = [self._floats(i, self.b.add(k, I64(n)), count) for n in range(self.per)]
        if not self.unit.pairs:
            return lines[0]
        order = [n // 2 + n % 2 * count for n in range(2 * count)]
        return self._pairs(shuffled(self.b, lines[0], lines[1], order))

    def _floats(self, i: Any, k: Any, count: int) -> Any:
        b = self.b
        offset = b.add(b.mul(i, self.steps[0]), b.mul(k, self.steps[1]))
        cell = b.gep(b.bitcast(self.data, I8.as_pointer()), [offset])
        value = load_from(b, cell, ir.VectorType(self.scalar, count))
        return b.fmul(value, splat(b, self.scale, value.type))

    def _pairs(self, floats: Any) -> Any:
        b, kind = self.b, ir.VectorType(BFloatType(), floats.type.count)
        rounded = b.fptrunc(floats, kind)
        if self.rest:
            rounded = b.fptrunc(b.fsub(floats, b.fpext(rounded, floats.type)), kind)
        return b.bitcast(rounded, ir.VectorType(I32, floats.type.count // 2))


def _store(b: Any, value: Any, pointer: Any) -> None:
    b.store(value, b.bitcast(pointer, value.type.as_pointer()), align=4)


def _transposed(b: Any, rows: list[Any], columns: int) -> list[Any]:
    """The first `columns` columns of as many rows as a vector has elements, or fewer: columns are then shorter.

    In each round, pairs of rows swap the halves of their blocks.
    """
    lanes, height = rows[0].type.count, len(rows)
    rows = rows + [ir.Constant(rows[0].type, ir.Undefined)] * (lanes - height)
    distance = 1
    while distance < lanes:
        even = [lanes + j - distance if j & distance else j for j in range(lanes)]
        odd = [lanes + j if j & distance else j + distance for j in range(lanes)]
        swapped = list(rows)
        for i in range(lanes):
            if not i & distance:
                swapped[i] = shuffled(b, rows[i], rows[i | distance], even)
                swapped[i | distance] = shuffled(b, rows[i], rows[i | distance], odd)
        rows = swapped
        distance *= 2
    kept = list(range(height))
    return [row if height == lanes else shuffled(b, row, row, kept) for row in rows[:columns]]
