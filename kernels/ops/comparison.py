"""Comparisons, choice by a condition, and logic of conditions. NaN is unequal to all, and above and below none."""

import numpy as np

from ..device import is_float
from ..dispatch import op
from ..signature import Bools, Floats, Targets
from .reduce import sum_to

_WHY = "the result is true or false"


def _check_kinds(x: np.ndarray, y: np.ndarray) -> None:
    if is_float(x.dtype) != is_float(y.dtype):
        raise TypeError(f"comparison: expected two arrays of floats or two of integers, got {x.dtype} and {y.dtype}")


@op("..., ... -> ...", no_gradient=_WHY, check=_check_kinds)
def eq(x: Targets, y: Targets) -> Bools:
    """Whether x == y.

    Args:
        x, y: arrays of shapes that broadcast, both of floats or both of integers.

    Source: elementary.

    >>> eq(np.array([1, 2, 3]), np.array(2)).tolist()
    [False, True, False]
    """
    return x == y


@op("..., ... -> ...", no_gradient=_WHY, check=_check_kinds)
def ne(x: Targets, y: Targets) -> Bools:
    """Whether x != y.

    Args:
        x, y: arrays of shapes that broadcast, both of floats or both of integers.

    Source: elementary.

    >>> ne(np.array([1, 2, 3]), np.array(2)).tolist()
    [True, False, True]
    """
    return x != y


@op("..., ... -> ...", no_gradient=_WHY, check=_check_kinds)
def lt(x: Targets, y: Targets) -> Bools:
    """Whether x < y.

    Args:
        x, y: arrays of shapes that broadcast, both of floats or both of integers.

    Source: elementary.

    >>> lt(np.array([1, 2, 3]), np.array(2)).tolist()
    [True, False, False]
    """
    return x < y


@op("..., ... -> ...", no_gradient=_WHY, check=_check_kinds)
def le(x: Targets, y: Targets) -> Bools:
    """Whether x <= y.

    Args:
        x, y: arrays of shapes that broadcast, both of floats or both of integers.

    Source: elementary.

    >>> le(np.array([1, 2, 3]), np.array(2)).tolist()
    [True, True, False]
    """
    return x <= y


@op("..., ... -> ...", no_gradient=_WHY, check=_check_kinds)
def gt(x: Targets, y: Targets) -> Bools:
    """Whether x > y.

    Args:
        x, y: arrays of shapes that broadcast, both of floats or both of integers.

    Source: elementary.

    >>> gt(np.array([1, 2, 3]), np.array(2)).tolist()
    [False, False, True]
    """
    return x > y


@op("..., ... -> ...", no_gradient=_WHY, check=_check_kinds)
def ge(x: Targets, y: Targets) -> Bools:
    """Whether x >= y.

    Args:
        x, y: arrays of shapes that broadcast, both of floats or both of integers.

    Source: elementary.

    >>> ge(np.array([1, 2, 3]), np.array(2)).tolist()
    [False, True, True]
    """
    return x >= y


@op("..., ..., ... -> ...", backward="where_backward")
def where(condition: Bools, x: Floats, y: Floats) -> Floats:
    """x where the condition is true, y elsewhere.

    dx = dout where the condition is true, else 0;  dy = dout − dx, each summed over the axes along which it was
    broadcast

    Args:
        condition, x, y: booleans and two float32, float64 or bfloat16 arrays, of shapes that broadcast.

    Source: elementary.

    >>> where(np.array([True, False]), np.array([1.0, 2.0]), np.array(0.0)).tolist()
    [1.0, 0.0]
    """
    return np.where(condition, x, y)


@op("..., ... -> ..., ...", backward_of="where", outputs="dx dy")
def where_backward(
    dout: Floats, condition: Bools, x_shape: tuple[int, ...], y_shape: tuple[int, ...]
) -> tuple[Floats, Floats]:
    """The gradients of `where`: dout goes to the one that was chosen."""
    zero = dout.dtype.type(0)
    return sum_to(np.where(condition, dout, zero), x_shape), sum_to(np.where(condition, zero, dout), y_shape)


@op("S... -> S...", no_gradient=_WHY)
def logical_not(x: Bools) -> Bools:
    """Whether x is false.

    Args:
        x: booleans of any shape.

    Source: elementary.

    >>> logical_not(np.array([True, False])).tolist()
    [False, True]
    """
    return ~x


@op("..., ... -> ...", no_gradient=_WHY)
def logical_and(x: Bools, y: Bools) -> Bools:
    """Whether both are true.

    Args:
        x, y: booleans of shapes that broadcast.

    Source: elementary.

    >>> logical_and(np.array([True, False]), np.array(True)).tolist()
    [True, False]
    """
    return x & y


@op("..., ... -> ...", no_gradient=_WHY)
def logical_or(x: Bools, y: Bools) -> Bools:
    """Whether one or both are true.

    Args:
        x, y: booleans of shapes that broadcast.

    Source: elementary.

    >>> logical_or(np.array([True, False]), np.array(False)).tolist()
    [True, False]
    """
    return x | y
