"""Elements and rows by id: taken out, written, or added up."""

from builtins import slice as span
from math import prod
from typing import Any

import numpy as np

from .. import device
from ..device import is_float
from ..dispatch import op
from ..signature import Arrays, Floats, Ints, require_ids
from .view import axis_of


@op(
    "S..., I... -> I...",
    backward="gather_backward",
    check=lambda x, index, dim: _check_along("gather", x.shape, index, dim),
)
def gather(x: Arrays, index: Ints, dim: int) -> Arrays:
    """At each place of `index`, the element of x there, but for one axis, on which the id tells where.

    out_ijk = x_{i index_ijk k} for dim = 1;  dx_ilk = Σ_{j: index_ijk = l} dout_ijk

    Args:
        x: any array.
        index: integers in [0, x.shape[dim]), of as many axes as x, no longer than x on the others.
        dim: the axis.

    Returns: an array of index's shape and x's dtype.
    Raises: ValueError for an id out of range, or shapes that do not fit.
    Numerics: gradients of one element are added in float64, in the order in which they stand.
    Source: PyTorch's gather.

    >>> gather(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1], [0]]), 1).tolist()
    [[2.0], [3.0]]
    """
    require_ids("gather: index", index, x.shape[dim])
    return x.reshape(-1)[positions(index, x.shape, dim)].reshape(index.shape)


@op(
    "I..., I... -> S...",
    backward_of="gather",
    outputs="dx",
    check=lambda dout, index, x_shape, dim: _check_along("gather_backward", x_shape, index, dim),
)
def gather_backward(dout: Floats, index: Ints, x_shape: tuple[int, ...], dim: int) -> Floats:
    """The gradient of `gather`: each element of dout added where it was taken."""
    require_ids("gather_backward: index", index, x_shape[dim])
    return _added(dout.reshape(-1), positions(index, x_shape, dim), prod(x_shape)).reshape(x_shape)


def _check_scatter(x: np.ndarray, index: np.ndarray, src: np.ndarray, dim: int) -> None:
    _check_along("scatter", x.shape, index, dim)
    if src.dtype != x.dtype and not (is_float(src.dtype) and is_float(x.dtype)):
        raise TypeError(f"scatter: src: expected {x.dtype} as x, got {src.dtype}")


@op("S..., I..., I... -> S...", backward="scatter_backward", check=_check_scatter)
def scatter(x: Arrays, index: Ints, src: Arrays, dim: int) -> Arrays:
    """x, with elements of `src` written where `gather` would take them; of several for one place the last one stays.

    out_{i index_ijk k} = src_ijk for dim = 1, out = x elsewhere
    dx = dout where nothing was written, else 0;  dsrc_ijk = dout_{i index_ijk k} if it is what stayed there, else 0

    Args:
        x: any array.
        index: integers in [0, x.shape[dim]), of as many axes as x, no longer than x on the others.
        src: of index's shape and x's dtype.
        dim: the axis.

    Raises: ValueError for an id out of range, or shapes that do not fit; TypeError for other dtypes than floats that
        differ.
    Source: PyTorch's scatter, which leaves open who wins.

    >>> scatter(np.zeros(3), np.array([2, 2]), np.array([5.0, 6.0]), 0).tolist()
    [0.0, 0.0, 6.0]
    """
    require_ids("scatter: index", index, x.shape[dim])
    out = x.flatten()
    out[positions(index, x.shape, dim)] = src.reshape(-1)
    return out.reshape(x.shape)


@op(
    "S..., I... -> S..., I...",
    backward_of="scatter",
    outputs="dx dsrc",
    check=lambda dout, index, dim: _check_along("scatter_backward", dout.shape, index, dim),
)
def scatter_backward(dout: Floats, index: Ints, dim: int) -> tuple[Floats, Floats]:
    """The gradients of `scatter`: dout where x stayed, and where each element of src did."""
    require_ids("scatter_backward: index", index, dout.shape[dim])
    at = positions(index, dout.shape, dim)
    order = np.arange(at.size)
    last = np.empty(dout.size, np.int64)
    last[at] = order
    dx = dout.flatten()
    dsrc = np.where(last[at] == order, dx[at], 0)
    dx[at] = 0
    return dx.reshape(dout.shape), dsrc.reshape(index.shape)


@op(
    "S..., I..., I... -> S...",
    backward="scatter_add_backward",
    check=lambda x, index, src, dim: _check_along("scatter_add", x.shape, index, dim),
)
def scatter_add(x: Floats, index: Ints, src: Floats, dim: int) -> Floats:
    """x, with elements of `src` added where `gather` would take them.

    out_ilk = x_ilk + Σ_{j: index_ijk = l} src_ijk for dim = 1;  dx = dout, dsrc = gather(dout, index, dim)

    Args:
        x: float32, float64 or bfloat16.
        index: integers in [0, x.shape[dim]), of as many axes as x, no longer than x on the others.
        src: of index's shape.
        dim: the axis.

    Raises: ValueError for an id out of range, or shapes that do not fit.
    Numerics: elements for one place are added in float64, in the order in which they stand, then to x.
    Source: PyTorch's scatter_add.

    >>> scatter_add(np.ones(3), np.array([2, 2]), np.array([5.0, 6.0]), 0).tolist()
    [1.0, 1.0, 12.0]
    """
    require_ids("scatter_add: index", index, x.shape[dim])
    return x + _added(src.reshape(-1), positions(index, x.shape, dim), x.size).reshape(x.shape)


@op(
    "S..., I... -> S..., I...",
    backward_of="scatter_add",
    outputs="dx dsrc",
    check=lambda dout, index, dim: _check_along("scatter_add_backward", dout.shape, index, dim),
)
def scatter_add_backward(dout: Floats, index: Ints, dim: int) -> tuple[Floats, Floats]:
    """The gradients of `scatter_add`: dout itself, and what `gather` takes of it."""
    return dout, gather.reference(dout, index, dim)


@op("S..., I... -> I...", backward="take_backward")
def take(x: Arrays, index: Ints) -> Arrays:
    """Elements of the flattened x by their ids.

    out_i = x_{index_i};  dx_j = Σ_{i: index_i = j} dout_i

    Args:
        x: any array.
        index: integers in [-x.size, x.size), of any shape; negative ones count from the end.

    Returns: an array of index's shape and x's dtype.
    Raises: ValueError for an id out of range.
    Numerics: as `gather`.
    Source: PyTorch's take.

    >>> take(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0, -1])).tolist()
    [1.0, 4.0]
    """
    return x.reshape(-1)[wrapped("take: index", index, x.size)]


@op("I..., I... -> S...", backward_of="take", outputs="dx")
def take_backward(dout: Floats, index: Ints, x_shape: tuple[int, ...]) -> Floats:
    """The gradient of `take`: each element of dout added where it was taken."""
    at = wrapped("take_backward: index", index, prod(x_shape))
    return _added(dout.reshape(-1), at.reshape(-1), prod(x_shape)).reshape(x_shape)


def _check_index(x: np.ndarray, indices: Any) -> None:
    _entries(x.shape, indices)


@op("S... -> R...", backward="index_backward", check=_check_index)
def index(x: Arrays, indices: Any) -> Arrays:
    """x[indices], by arrays of ids and masks, which may stand among integers, slices, None and `...`: a copy.

    dx = Σ dout at the places from which each element was taken

    Args:
        x: any array.
        indices: one index, or a tuple of them. Integer arrays broadcast with each other, and negative ids count from
            the end; a boolean array has the shape of the axes that it stands for.

    Raises: ValueError for what does not fit x, TypeError for other indices, or where none is an array (see `slice`).
    Numerics: as `gather`.
    Source: NumPy's advanced indexing.

    >>> index(np.array([[1.0, 2.0], [3.0, 4.0]]), (np.array([1, 0]), slice(None, 1))).tolist()
    [[3.0], [1.0]]
    """
    return x[spread(x.shape, indices)]


@op("R... -> S...", backward_of="index", outputs="dx")
def index_backward(dout: Floats, x_shape: tuple[int, ...], indices: Any) -> Floats:
    """The gradient of `index`: each element of dout added where it was taken."""
    dx = np.zeros(x_shape, dout.dtype)
    np.add.at(dx, spread(x_shape, indices), dout)
    return dx


def positions(index: np.ndarray, shape: tuple[int, ...], dim: int) -> np.ndarray:
    """Where, in an array of a shape, flattened, the elements lie that `gather` takes: flat, in index's order."""
    at = np.multiply(index, prod(shape[dim % len(shape) + 1 :]), dtype=np.int64, casting="unsafe")
    for axis, n in enumerate(index.shape):
        if axis != dim % len(shape) and n > 1:
            beyond = (1,) * (len(shape) - axis - 1)
            at += (np.arange(n) * prod(shape[axis + 1 :])).reshape(n, *beyond)
    return at.reshape(-1)


def wrapped(name: str, ids: np.ndarray, size: int) -> np.ndarray:
    """Ids in [0, size), int64, from those in [-size, size): others raise ValueError; `name` is "op: argument"."""
    require_ids(name, ids, size, low=-size)
    ids = ids.astype(np.int64)
    return np.where(ids < 0, ids + size, ids)


def spread(shape: tuple[int, ...], indices: Any) -> tuple[Any, ...]:
    """Indices one for each axis or new axis: `...` written out, masks as ids, and ids in [0, size).

    A `...` that stands for no axis stays: for NumPy it separates the arrays at its sides. Ids on a GPU stay as they
    are; a mask there is read, as the shape of the result depends on it.
    Raises ValueError for ids out of range, or arrays that do not broadcast.
    """
    found: list[Any] = []
    axis = 0
    for entry in _entries(shape, indices):
        if device.is_array(entry) and entry.dtype == bool:
            found += np.nonzero(device.to(entry, "cpu"))
            axis += entry.ndim
            continue
        if isinstance(entry, np.ndarray):
            entry = wrapped(f"index: indices: axis {axis}", entry, shape[axis])
        found.append(entry)
        axis += _axes_taken(entry)
    arrays = [entry for entry in found if device.is_array(entry)]
    try:
        np.broadcast_shapes(*(a.shape for a in arrays))
    except ValueError:
        raise ValueError(
            f"index: indices: expected arrays that broadcast, got shapes {', '.join(str(a.shape) for a in arrays)}"
        ) from None
    return tuple(found)


def _entries(shape: tuple[int, ...], indices: Any) -> list[Any]:
    """Indices one for each axis or new axis, masks for several: `...` written out, and what metadata show checked."""
    given = indices if isinstance(indices, tuple) else (indices,)
    for i in given:
        if device.is_array(i):
            known = i.dtype.kind in "iu" or (i.dtype == bool and i.ndim)
        else:
            known = i is None or i is ... or (isinstance(i, (int, np.integer, span)) and not isinstance(i, bool))
        if not known:
            kind = f"a {i.dtype} array of shape {i.shape}" if device.is_array(i) else type(i).__name__
            raise TypeError(f"index: indices: expected arrays of integers or booleans, integers, slices, …, got {kind}")
    if not any(device.is_array(i) for i in given):
        raise TypeError("index: indices: expected at least one array; slice takes the others")
    dots = [k for k, i in enumerate(given) if i is ...]
    used = sum(_axes_taken(i) for i in given)
    if used > len(shape) or len(dots) > 1:
        raise ValueError(
            f"index: indices: expected at most one ... and indices of {len(shape)} axes, those of x {shape}, "
            f"got {len(dots)} and {used}"
        )
    at = dots[0] if dots else len(given)
    between: list[Any] = [span(None)] * (len(shape) - used)
    found = [*given[:at], *(between or [...]), *given[at + 1 :]]
    axis = 0
    for i in found:
        taken = _axes_taken(i)
        own = shape[axis : axis + taken]
        if device.is_array(i) and i.dtype == bool and i.shape != own:
            raise ValueError(f"index: indices: expected a mask of shape {own} at axis {axis}, got {i.shape}")
        if isinstance(i, (int, np.integer)) and not -own[0] <= i < own[0]:
            raise ValueError(f"index: indices: expected {-own[0]} <= id < {own[0]} at axis {axis}, got {i}")
        axis += taken
    return found


def _axes_taken(i: Any) -> int:
    if device.is_array(i) and i.dtype == bool:
        return i.ndim
    return i is not None and i is not ...


def _added(values: np.ndarray, at: np.ndarray, size: int) -> np.ndarray:
    out = np.zeros(size, values.dtype)
    np.add.at(out, at, values)
    return out


def _check_along(name: str, shape: tuple[int, ...], index: np.ndarray, dim: int) -> None:
    axis = axis_of(name, dim, shape)
    if index.ndim != len(shape) or any(index.shape[a] > n for a, n in enumerate(shape) if a != axis):
        raise ValueError(f"{name}: index: expected no longer axes than x {shape}, but for {axis}, got {index.shape}")
