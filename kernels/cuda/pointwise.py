"""`@elementwise`: a scalar formula as a function on arrays of any strides.

A thread has four elements that lie side by side in the output. An operand is a type: a pointer where it lies as the
output does, a pointer with steps where it does not (it is broadcast, strided or badly aligned), or a number. So one
body for each count of operands serves all, and what an operand does not need is not compiled.
"""

import inspect
import math
from collections.abc import Callable
from functools import lru_cache, partial, wraps
from typing import Any

import numpy as np
from numba.cuda import types, uint32
from numba.cuda.extending import overload

from ..layout import broadcast, merged, steps_along
from .kernel import Kernel, primitive
from .ptx import VECTOR, load, load_vector, store, store_vector
from .runtime import address, empty
from .threads import THREADS, thread

_MOST = 1 << 31  # elements of a launch: indices are uint32


def elementwise(formula: Callable[..., Any] | None = None, *, returns: Any = None) -> Callable[..., Any]:
    """Make a formula of one to four numbers a function on arrays or numbers, which broadcast.

    The result has the dtype `returns`, or that of the first array that is not of booleans, which numbers take too;
    `out=` is an array to fill.
    """
    if formula is None:
        return partial(elementwise, returns=returns)
    body = lru_cache(None)(partial(_kernel, formula))

    @wraps(formula)
    def apply(*operands: Any, out: Any = None) -> Any:
        arrays = [x for x in operands if not isinstance(x, (int, float))]
        dtype = next((x.dtype for x in arrays if x.dtype.kind != "b"), arrays[0].dtype)
        if out is None:
            out = empty(broadcast(*(x.shape for x in arrays)), returns or dtype)
        if out.size >= _MOST:
            for part in _halves(out.shape):
                some = (x if isinstance(x, (int, float)) else np.broadcast_to(x, out.shape)[part] for x in operands)
                apply(*some, out=out[part])
        elif out.size:
            key = [_described(x, dtype) for x in (out, *operands)]
            tokens, grid, sizes, steps = _plan(out.shape, *key)
            given = [x if s is None else (x, s) for x, s in zip((out, *operands), steps, strict=True)]
            body(tokens)(grid, given[0], out.size, sizes, *given[1:])
        return out

    return apply


def _halves(shape: tuple[int, ...]) -> list[tuple[slice, ...]]:
    """What takes an array apart along its longest axis."""
    longest = int(np.argmax(shape))
    before, middle = (slice(None),) * longest, shape[longest] // 2
    return [(*before, slice(None, middle)), (*before, slice(middle, None))]


def contiguous(x: Any) -> Any:
    """`x` itself if its elements lie in C order without gaps, else such a copy."""
    return x if x.flags.c_contiguous else _same(x)


def aligned(x: Any) -> Any:
    """`contiguous`, and on a boundary from which whole vectors can be read."""
    return x if x.flags.c_contiguous and int(address(x)) % 16 == 0 else cast(x, x.dtype)


def cast(x: Any, dtype: Any) -> Any:
    """A copy with elements of another dtype."""
    return _same(x, out=empty(x.shape, dtype))


def copy(x: Any, out: Any) -> None:
    """Write the elements of x, which is broadcast, to `out`."""
    _same(x, out=out)


def _described(x: Any, dtype: np.dtype) -> Any:
    """What a plan depends on: a number takes the dtype in which sums are made."""
    if isinstance(x, (int, float)):
        return dtype if dtype != np.uint16 else np.dtype(np.float32)
    return x.shape, x.strides, x.dtype, int(address(x)) % 16 == 0


@lru_cache(4096)
def _plan(shape: tuple[int, ...], *operands: Any) -> Any:
    """Tokens of the signature, the grid, sizes of the inner axes, and the steps of each operand; the output first."""
    arrays = [x for x in operands if isinstance(x, tuple)]
    sizes, steps = merged(shape, [steps_along(shape, own, strides) for own, strides, _, _ in arrays])
    axes = max(1, len(sizes))
    whole = [math.prod(sizes[a + 1 :]) for a in range(len(sizes))]
    tokens: list[str] = []
    found: list[tuple[int, ...] | None] = []
    own = iter(range(len(arrays)))
    for x in operands:
        if not isinstance(x, tuple):
            tokens.append(x.str[1:])
            found.append(None)
            continue
        a, item, code = next(own), x[2].itemsize, x[2].str[1:].replace("b1", "?")
        along = [step[a] // item for step in steps]
        is_direct = along == whole and x[3]
        tokens.append(f"{code}*" if is_direct else f"{code}~{axes}")
        found.append(None if is_direct else tuple(along or [0]))
    tokens.insert(1, f"m{axes}")
    return tuple(tokens), -(-math.prod(sizes) // (VECTOR * THREADS)), tuple(sizes or [1]), found


def _kernel(formula: Callable[..., Any], tokens: tuple[str, ...]) -> Kernel:
    f = primitive(formula)

    def unary(out, count, sizes, x):
        i = first()
        if i + uint32(VECTOR) <= count:
            a = vector(x, i, sizes)
            put_vector(out, i, sizes, (f(a[0]), f(a[1]), f(a[2]), f(a[3])))
        else:
            for k in range(i, count):
                put(out, uint32(k), sizes, f(value(x, uint32(k), sizes)))

    def binary(out, count, sizes, x, y):
        i = first()
        if i + uint32(VECTOR) <= count:
            a, b = vector(x, i, sizes), vector(y, i, sizes)
            put_vector(out, i, sizes, (f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])))
        else:
            for k in range(i, count):
                k = uint32(k)
                put(out, k, sizes, f(value(x, k, sizes), value(y, k, sizes)))

    def ternary(out, count, sizes, x, y, z):
        i = first()
        if i + uint32(VECTOR) <= count:
            a, b, c = vector(x, i, sizes), vector(y, i, sizes), vector(z, i, sizes)
            found = f(a[0], b[0], c[0]), f(a[1], b[1], c[1]), f(a[2], b[2], c[2]), f(a[3], b[3], c[3])
            put_vector(out, i, sizes, found)
        else:
            for k in range(i, count):
                k = uint32(k)
                put(out, k, sizes, f(value(x, k, sizes), value(y, k, sizes), value(z, k, sizes)))

    def quaternary(out, count, sizes, x, y, z, w):
        i = first()
        if i + uint32(VECTOR) <= count:
            a, b, c, d = vector(x, i, sizes), vector(y, i, sizes), vector(z, i, sizes), vector(w, i, sizes)
            one, two = f(a[0], b[0], c[0], d[0]), f(a[1], b[1], c[1], d[1])
            three, four = f(a[2], b[2], c[2], d[2]), f(a[3], b[3], c[3], d[3])
            put_vector(out, i, sizes, (one, two, three, four))
        else:
            for k in range(i, count):
                k = uint32(k)
                put(out, k, sizes, f(value(x, k, sizes), value(y, k, sizes), value(z, k, sizes), value(w, k, sizes)))

    body = (unary, binary, ternary, quaternary)[len(inspect.signature(formula).parameters) - 1]
    body.__module__ = formula.__module__
    signature = f"{tokens[0]} <- u4 {' '.join(tokens[1:])}"
    name = "-".join([formula.__name__, *tokens]).translate({ord("*"): "p", ord("~"): "s", ord("?"): "b1"})
    return Kernel(body, signature, THREADS, 0, name)


@elementwise
def _same(x):
    return x


@primitive
def first():
    """The first element of this thread."""
    return uint32(thread() * uint32(VECTOR))


def offset(i, sizes, steps):
    """Where element i of the output, which has `sizes`, is in an array with `steps` along the axes."""


@overload(offset, target="cuda")
def _offset(i, sizes, steps):
    if len(steps) == 1:
        return lambda i, sizes, steps: i * steps[0]

    def along_axes(i, sizes, steps):
        rest = i // sizes[-1]
        return (i - rest * sizes[-1]) * steps[-1] + offset(rest, sizes[:-1], steps[:-1])

    return along_axes


def value(operand, i, sizes):
    """An operand's number at element i of the output."""


def vector(operand, i, sizes):
    """Those at four elements from i on."""


def put(out, i, sizes, x):
    """Store at element i of the output."""


def put_vector(out, i, sizes, xs):
    """Store at four elements from i on."""


@overload(value, target="cuda")
def _value(operand, i, sizes):
    if isinstance(operand, types.CPointer):
        return lambda operand, i, sizes: load(operand, i)
    if isinstance(operand, types.BaseTuple):
        return lambda operand, i, sizes: load(operand[0], offset(i, sizes, operand[1]))
    return lambda operand, i, sizes: operand


@overload(vector, target="cuda")
def _vector(operand, i, sizes):
    if isinstance(operand, types.CPointer):
        return lambda operand, i, sizes: load_vector(operand, i)
    one, two, three = uint32(1), uint32(2), uint32(3)
    return lambda operand, i, sizes: (
        value(operand, i, sizes),
        value(operand, i + one, sizes),
        value(operand, i + two, sizes),
        value(operand, i + three, sizes),
    )


@overload(put, target="cuda")
def _put(out, i, sizes, x):
    if isinstance(out, types.CPointer):
        return lambda out, i, sizes, x: store(out, i, x)
    return lambda out, i, sizes, x: store(out[0], offset(i, sizes, out[1]), x)


@overload(put_vector, target="cuda")
def _put_vector(out, i, sizes, xs):
    if isinstance(out, types.CPointer):
        return lambda out, i, sizes, xs: store_vector(out, i, xs)
    one, two, three = uint32(1), uint32(2), uint32(3)

    def each(out, i, sizes, xs):
        put(out, i, sizes, xs[0])
        put(out, i + one, sizes, xs[1])
        put(out, i + two, sizes, xs[2])
        put(out, i + three, sizes, xs[3])

    return each
