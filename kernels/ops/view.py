"""Views of an array, which share its memory."""

from builtins import slice as span
from itertools import accumulate
from math import prod
from operator import mul
from typing import Any

import numpy as np

from ..device import contiguous
from ..dispatch import op
from ..layout import merged
from ..signature import Arrays, Floats
from .reduce import sum_to


@op("S... -> R...", backward="reshape_backward", view=True)
def reshape(x: Arrays, shape: tuple[int, ...]) -> Arrays:
    """The same elements, in C order, in another shape: a view where the strides of x allow one.

    dx = dout in the shape of x

    Args:
        x: any array.
        shape: the new sizes; one of them may be -1, for what remains.

    Raises: ValueError where the sizes do not fit.
    Source: NumPy's reshape.

    >>> reshape(np.arange(4.0), (2, -1)).tolist()
    [[0.0, 1.0], [2.0, 3.0]]
    """
    try:
        return (contiguous(x) if _must_copy(x, shape) else x).reshape(shape)
    except (TypeError, ValueError):
        raise ValueError(
            f"reshape: shape: expected sizes whose product is {prod(x.shape)}, one may be -1, got {shape!r}"
        ) from None


@op("R... -> S...", backward_of="reshape", outputs="dx", view=True)
def reshape_backward(dout: Arrays, x_shape: tuple[int, ...]) -> Arrays:
    """The gradient of `reshape`: dout in the shape of x."""
    return (contiguous(dout) if _must_copy(dout, x_shape) else dout).reshape(x_shape)


def _must_copy(x: Any, shape: Any) -> bool:
    """Whether x has no view of the shape: axes that its strides keep apart would have to be one."""
    if x.flags.c_contiguous or not x.size or not isinstance(x, np.ndarray):
        return False
    shape = shape if isinstance(shape, (tuple, list)) else (shape,)
    filled = [n if n >= 0 else x.size // abs(prod(shape) or 1) for n in shape]
    apart, _ = merged(x.shape, [x.strides])
    return not {*accumulate(apart, mul)} <= {*accumulate(filled, mul)}


@op("S... -> R...", backward="permute_backward", view=True)
def permute(x: Arrays, dims: tuple[int, ...]) -> Arrays:
    """The axes in another order: axis i of the output is axis dims[i] of x.

    dx = dout with the axes back in their order

    Args:
        x: any array.
        dims: each axis of x once.

    Raises: ValueError where an axis is missing, unknown or named twice.
    Source: NumPy's transpose.

    >>> permute(np.ones((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    if not isinstance(dims, (tuple, list)) or axes_of(dims, x.ndim) != list(range(x.ndim)):
        raise ValueError(f"permute: dims: expected each axis of a shape {x.shape} once, got {dims!r}")
    return x.transpose(dims)


@op("R... -> S...", backward_of="permute", outputs="dx", view=True)
def permute_backward(dout: Arrays, dims: tuple[int, ...]) -> Arrays:
    """The gradient of `permute`: its inverse."""
    inverse = [0] * len(dims)
    for i, d in enumerate(dims):
        inverse[d] = i
    return dout.transpose(inverse)


@op("S... -> R...", backward="expand_backward", view=True)
def expand(x: Arrays, shape: tuple[int, ...]) -> Arrays:
    """x repeated along new axes on the left and along axes of size 1, with strides 0: read-only.

    dx = dout summed over those axes

    Args:
        x: any array.
        shape: the new sizes; -1 keeps an axis of x.

    Raises: ValueError where x does not broadcast to the shape.
    Source: PyTorch's expand.

    >>> expand(np.array([[1.0], [2.0]]), (-1, 3)).tolist()
    [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]
    """
    try:
        new = len(shape) - x.ndim
        sizes = tuple(x.shape[i - new] if n == -1 and i >= new else n for i, n in enumerate(shape))
        return np.broadcast_to(x, sizes)
    except (TypeError, ValueError):
        raise ValueError(
            f"expand: shape: expected one to which {x.shape} broadcasts (-1 keeps a size), got {shape!r}"
        ) from None


@op("R... -> S...", backward_of="expand", outputs="dx")
def expand_backward(dout: Floats, x_shape: tuple[int, ...]) -> Floats:
    """The gradient of `expand`: dout summed over the axes along which x was repeated."""
    return sum_to(dout, x_shape)


@op("S... -> R...", backward="slice_backward", view=True)
def slice(x: Arrays, index: Any) -> Arrays:
    """The view x[index], for a basic index.

    dx = dout at the index, 0 elsewhere

    Args:
        x: any array.
        index: an integer, a slice, None, `...`, or a tuple of these.

    Raises: TypeError for any other index, ValueError where it does not fit x.
    Source: NumPy's basic indexing.

    >>> slice(np.array([[1.0, 2.0], [3.0, 4.0]]), (..., 0)).tolist()
    [1.0, 3.0]
    """
    index = index if isinstance(index, tuple) else (index,)
    for i in index:
        if isinstance(i, bool) or not (i is None or i is ... or isinstance(i, (int, np.integer, span))):
            raise TypeError(f"slice: index: expected integers, slices, None or ..., got {type(i).__name__}")
    try:
        return x[index if ... in index else (*index, ...)]
    except (IndexError, TypeError, ValueError) as error:
        raise ValueError(f"slice: index: expected one that fits a shape {x.shape}, got {index}: {error}") from None


@op("R... -> S...", backward_of="slice", outputs="dx")
def slice_backward(dout: Floats, x_shape: tuple[int, ...], index: Any) -> Floats:
    """The gradient of `slice`: dout at the index, 0 elsewhere."""
    dx = np.zeros(x_shape, dout.dtype)
    dx[index] = dout
    return dx


@op("S... -> *P", backward="unbind_backward", view=True)
def unbind(x: Arrays, dim: int = 0) -> list[Arrays]:
    """The views of x at each position along an axis, without that axis.

    dx = the gradients stacked along the axis

    Args:
        x: any array.
        dim: the axis.

    Raises: ValueError for an axis that x does not have.
    Source: PyTorch's unbind.

    >>> [v.tolist() for v in unbind(np.array([[1.0, 2.0], [3.0, 4.0]]), dim=1)]
    [[1.0, 3.0], [2.0, 4.0]]
    """
    axis = axis_of("unbind", dim, x.shape)
    return [x[(span(None),) * axis + (i, ...)] for i in range(x.shape[axis])]


@op("*P -> S...", backward_of="unbind", outputs="dx")
def unbind_backward(dout: list[Floats], dim: int) -> Floats:
    """The gradient of `unbind`: the gradients stacked along the axis."""
    return np.stack(dout, dim)


def _check_split(x: np.ndarray, sizes: Any, dim: int) -> None:
    n = x.shape[axis_of("split", dim, x.shape)]
    if isinstance(sizes, (list, tuple)):
        fits = all(type(size) is int and size >= 0 for size in sizes) and sum(sizes) == n
    else:
        fits = type(sizes) is int and sizes > 0
    if not fits:
        raise ValueError(
            f"split: sizes: expected a positive size, or sizes whose sum is {n}, that of axis {dim}, got {sizes!r}"
        )


@op("S... -> *P", backward="split_backward", view=True, check=_check_split)
def split(x: Arrays, sizes: int | list[int] | tuple[int, ...], dim: int = 0) -> list[Arrays]:
    """Views of x, one after another along an axis.

    dx = the gradients one after another along the axis

    Args:
        x: any array.
        sizes: the size of each along the axis, or of all but the last, which may be smaller.
        dim: the axis.

    Raises: ValueError for an axis that x does not have, or sizes that do not add up to its size.
    Source: PyTorch's split.

    >>> [v.tolist() for v in split(np.arange(5.0), 2)]
    [[0.0, 1.0], [2.0, 3.0], [4.0]]
    """
    axis = dim % x.ndim
    n = x.shape[axis]
    starts = range(0, max(n, 1), sizes) if isinstance(sizes, int) else [*accumulate(sizes[:-1], initial=0)]
    ends = [*starts[1:], n]
    return [x[(span(None),) * axis + (span(a, b),)] for a, b in zip(starts, ends, strict=True)]


@op("*P -> S...", backward_of="split", outputs="dx")
def split_backward(dout: list[Floats], dim: int) -> Floats:
    """The gradient of `split`: the gradients one after another."""
    return np.concatenate(dout, dim)


@op("S... -> S...", backward="flip_backward", view=True)
def flip(x: Arrays, dims: int | tuple[int, ...]) -> Arrays:
    """x with the order along some axes reversed.

    dx = dout, reversed likewise

    Args:
        x: any array.
        dims: an axis, or several.

    Raises: ValueError for an axis that x does not have, or that is named twice.
    Source: NumPy's flip, which is a view; PyTorch's copies.

    >>> flip(np.arange(3.0), 0).tolist()
    [2.0, 1.0, 0.0]
    """
    several = (dims,) if isinstance(dims, int) else dims
    axes = axes_of(several, x.ndim) if isinstance(several, (tuple, list)) else []
    if len(set(axes)) < len(axes) or bool(axes) != (several != () and several != []):
        raise ValueError(f"flip: dims: expected one or several axes of a shape {x.shape}, got {dims!r}")
    return np.flip(x, tuple(axes))


@op("S... -> S...", backward_of="flip", outputs="dx", view=True)
def flip_backward(dout: Arrays, dims: int | tuple[int, ...]) -> Arrays:
    """The gradient of `flip`: dout, reversed."""
    return np.flip(dout, dims)


def axes_of(dims: tuple[int, ...] | list[int], ndim: int) -> list[int]:
    """The axes, in order, counted from the left; none if one does not exist."""
    if not all(type(d) is int and -ndim <= d < ndim for d in dims):
        return []
    return sorted(d % ndim for d in dims)


def axis_of(name: str, dim: Any, shape: tuple[int, ...]) -> int:
    """The axis, counted from the left; ValueError, in the op of that name, if there is none."""
    axes = axes_of((dim,), len(shape))
    if not axes:
        raise ValueError(f"{name}: dim: expected an axis of a shape {shape}, got {dim!r}")
    return axes[0]
