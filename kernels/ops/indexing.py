"""Copies: arrays joined, padded, rolled, or masked."""

from builtins import slice as span
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import numpy as np

from ..device import is_float
from ..dispatch import op
from ..signature import Arrays, Bools, Floats, Interval
from .reduce import sum_to
from .view import axes_of, axis_of

Diagonal = Annotated[int, Interval()]


def _check_cat(xs: list[np.ndarray], dim: int) -> None:
    if not xs:
        raise ValueError("cat: xs: expected at least one array, got none")
    axis = axis_of("cat", dim, xs[0].shape)
    for i, x in enumerate(xs):
        if x.ndim != xs[0].ndim or any(
            n != m for a, (n, m) in enumerate(zip(x.shape, xs[0].shape, strict=True)) if a != axis
        ):
            raise ValueError(f"cat: xs[{i}]: expected the shape {xs[0].shape}, but for axis {axis}, got {x.shape}")


@op("*P -> R...", backward="cat_backward", check=_check_cat)
def cat(xs: list[Arrays], dim: int = 0) -> Arrays:
    """The arrays one after another along an axis.

    dxs = the views of dout at the place of each

    Args:
        xs: at least one array, of equal shapes but for that axis, of any dtypes.
        dim: the axis.

    Returns: an array of the dtype that holds all of theirs.
    Raises: ValueError for shapes that do not fit.
    Source: NumPy's concatenate.

    >>> cat([np.array([1.0]), np.array([2.0, 3.0])]).tolist()
    [1.0, 2.0, 3.0]
    """
    return np.concatenate(xs, dim)


@op("R... -> *P", backward_of="cat", outputs="dxs", view=True)
def cat_backward(dout: Floats, xs_shape: list[tuple[int, ...]], dim: int) -> list[Floats]:
    """The gradient of `cat`: the views of dout at the place of each array."""
    before = (span(None),) * (dim % dout.ndim)
    pieces, start = [], 0
    for shape in xs_shape:
        place = (*before, span(start, start + shape[dim]))
        pieces.append(dout[place])
        start += shape[dim]
    return pieces


def _check_stack(xs: list[np.ndarray], dim: int) -> None:
    if not xs:
        raise ValueError("stack: xs: expected at least one array, got none")
    axis_of("stack", dim, (len(xs), *xs[0].shape))
    for i, x in enumerate(xs):
        if x.shape != xs[0].shape:
            raise ValueError(f"stack: xs[{i}]: expected the shape {xs[0].shape}, got {x.shape}")


@op("*P -> R...", backward="stack_backward", check=_check_stack)
def stack(xs: list[Arrays], dim: int = 0) -> Arrays:
    """The arrays beside one another, along a new axis.

    dxs = the views of dout at each position along that axis

    Args:
        xs: at least one array, all of one shape, of any dtypes.
        dim: the axis of the output.

    Returns: an array of the dtype that holds all of theirs.
    Raises: ValueError for shapes that do not fit.
    Source: NumPy's stack.

    >>> stack([np.array([1.0, 2.0]), np.array([3.0, 4.0])], dim=1).tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    return np.stack(xs, dim)


@op("R... -> *P", backward_of="stack", outputs="dxs", view=True)
def stack_backward(dout: Floats, dim: int) -> list[Floats]:
    """The gradient of `stack`: the views of dout at each position."""
    return list(np.moveaxis(dout, dim, 0))


def _check_value(name: str, x: np.ndarray, value: Any) -> None:
    if not isinstance(value, (bool, int, float, np.generic)):
        raise TypeError(f"{name}: value: expected a number, got {type(value).__name__}")
    try:
        fits = is_float(x.dtype) or x.dtype.type(value) == value
    except (OverflowError, ValueError):
        fits = False
    if not fits:
        raise ValueError(f"{name}: value: expected one that {x.dtype} holds, got {value!r}")


def _check_pad(x: np.ndarray, pad: Any, value: Any) -> None:
    fits = isinstance(pad, (tuple, list)) and all(type(n) is int and n >= 0 for n in pad)
    if not fits or len(pad) % 2 or len(pad) > 2 * x.ndim:
        raise ValueError(
            f"pad: pad: expected (before, after) of the last axis, then of the one before it, at most {2 * x.ndim} "
            f"numbers from 0, got {pad!r}"
        )
    _check_value("pad", x, value)


@op("S... -> R...", backward="pad_backward", check=_check_pad)
def pad(x: Arrays, pad: tuple[int, ...], value: float = 0.0) -> Arrays:
    """x with a border of a constant.

    dx = the view of dout inside the border

    Args:
        x: any array.
        pad: how many elements to put before and after, along the last axis, then along the one before it, and so on.
        value: what to put there.

    Raises: ValueError for other than pairs of sizes from 0, or a value that x's dtype does not hold.
    Source: PyTorch's torch.nn.functional.pad, mode "constant".

    >>> pad(np.array([[1.0, 2.0]]), (1, 0, 0, 1)).tolist()
    [[0.0, 1.0, 2.0], [0.0, 0.0, 0.0]]
    """
    shape, inside = bordered(x.shape, pad)
    out = np.full(shape, value, x.dtype)
    out[inside] = x
    return out


@op("R... -> S...", backward_of="pad", outputs="dx", view=True)
def pad_backward(dout: Floats, x_shape: tuple[int, ...], pad: tuple[int, ...]) -> Floats:
    """The gradient of `pad`: the view of dout inside the border."""
    return dout[bordered(x_shape, pad)[1]]


def bordered(shape: tuple[int, ...], pad: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[Any, ...]]:
    """The shape of a padded array, and where in it the array lies."""
    pairs = list(zip(pad[::2], pad[1::2], strict=True))
    pairs = [(0, 0)] * (len(shape) - len(pairs)) + pairs[::-1]
    around = tuple(before + n + after for n, (before, after) in zip(shape, pairs, strict=True))
    return around, (*(span(before, before + n) for n, (before, _) in zip(shape, pairs, strict=True)), ...)


def _check_roll(x: np.ndarray, shifts: Any, dims: Any) -> None:
    if dims is None:
        if type(shifts) is not int:
            raise ValueError(f"roll: shifts: expected an integer where dims is None, got {shifts!r}")
        return
    several, steps = listed(dims), listed(shifts)
    if not axes_of(several, x.ndim):
        raise ValueError(f"roll: dims: expected None, or one or several axes of a shape {x.shape}, got {dims!r}")
    if len(steps) != len(several) or not all(type(s) is int for s in steps):
        raise ValueError(f"roll: shifts: expected an integer for each of dims {dims!r}, got {shifts!r}")


@op("S... -> S...", backward="roll_backward", check=_check_roll)
def roll(x: Arrays, shifts: int | tuple[int, ...], dims: int | tuple[int, ...] | None = None) -> Arrays:
    """x moved along some axes; what leaves at the end comes back at the start.

    out_i = x_{(i − shift) mod n};  dx = dout, moved back

    Args:
        x: any array.
        shifts: by how much, for each of `dims`; negative ones move towards the start.
        dims: an axis, or several; None rolls the flattened array.

    Raises: ValueError for an axis that x does not have, or not as many shifts as axes.
    Source: NumPy's roll.

    >>> roll(np.arange(4.0), 1).tolist()
    [3.0, 0.0, 1.0, 2.0]
    """
    return np.roll(x, shifts, dims)


@op("S... -> S...", backward_of="roll", outputs="dx")
def roll_backward(dout: Floats, shifts: int | tuple[int, ...], dims: int | tuple[int, ...] | None) -> Floats:
    """The gradient of `roll`: dout, moved back."""
    return np.roll(dout, back(shifts), dims)


def listed(x: Any) -> Any:
    """One value as a tuple; several as they are."""
    return x if isinstance(x, (tuple, list)) else (x,)


def pieces(xs: Sequence[Any], dim: int) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Each array, and where it lies among all of them joined along an axis."""
    start = 0
    for x in xs:
        end = start + x.shape[dim]
        yield x, (span(None),) * dim + (span(start, end),)
        start = end


def back(shifts: int | tuple[int, ...]) -> int | tuple[int, ...]:
    """The shifts that undo these."""
    return -shifts if isinstance(shifts, int) else tuple(-s for s in shifts)


@op("S... M N -> S... M N", backward="tril_backward")
def tril(x: Arrays, diagonal: Diagonal = 0) -> Arrays:
    """The lower triangle of matrices; 0 above it, even where x is NaN.

    out_ij = x_ij where j − i ≤ diagonal, else 0;  dx = dout there, else 0

    Args:
        x: (..., M, N), of any dtype.
        diagonal: the last diagonal that is kept, 0 for the main one.

    Source: NumPy's tril.

    >>> tril(np.ones((2, 2))).tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    return np.tril(x, diagonal)


@op("S... M N -> S... M N", backward_of="tril", outputs="dx")
def tril_backward(dout: Floats, diagonal: int) -> Floats:
    """The gradient of `tril`: dout's lower triangle."""
    return np.tril(dout, diagonal)


@op("S... M N -> S... M N", backward="triu_backward")
def triu(x: Arrays, diagonal: Diagonal = 0) -> Arrays:
    """The upper triangle of matrices; 0 below it, even where x is NaN.

    out_ij = x_ij where j − i ≥ diagonal, else 0;  dx = dout there, else 0

    Args:
        x: (..., M, N), of any dtype.
        diagonal: the first diagonal that is kept, 0 for the main one.

    Source: NumPy's triu.

    >>> triu(np.ones((2, 2)), 1).tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    return np.triu(x, diagonal)


@op("S... M N -> S... M N", backward_of="triu", outputs="dx")
def triu_backward(dout: Floats, diagonal: int) -> Floats:
    """The gradient of `triu`: dout's upper triangle."""
    return np.triu(dout, diagonal)


@op(
    "..., ... -> ...",
    backward="masked_fill_backward",
    check=lambda x, mask, value: _check_value("masked_fill", x, value),
)
def masked_fill(x: Arrays, mask: Bools, value: float) -> Arrays:
    """x, with a number wherever the mask is true.

    out = value where mask, else x;  dx = 0 where mask, else dout, summed over the axes along which x was broadcast

    Args:
        x: an array of any dtype.
        mask: booleans, of a shape that broadcasts with x's.
        value: a number that x's dtype holds; may be infinite or NaN for floats.

    Source: PyTorch's masked_fill.

    >>> masked_fill(np.array([1.0, 2.0]), np.array([False, True]), -np.inf).tolist()
    [1.0, -inf]
    """
    return np.where(mask, x.dtype.type(value), x)


@op("..., ... -> ...", backward_of="masked_fill", outputs="dx")
def masked_fill_backward(dout: Floats, mask: Bools, x_shape: tuple[int, ...]) -> Floats:
    """The gradient of `masked_fill`: dout, 0 where the mask is true."""
    return sum_to(np.where(mask, dout.dtype.type(0), dout), x_shape)
