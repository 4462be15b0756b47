"""Comparisons, choice and logic: formulas, whose results are booleans."""

import numpy as np

from .pointwise import elementwise
from .reduce import sum_to

_condition = elementwise(returns=np.bool_)


@_condition
def eq(x, y):
    return x == y


@_condition
def ne(x, y):
    return x != y


@_condition
def lt(x, y):
    return x < y


@_condition
def le(x, y):
    return x <= y


@_condition
def gt(x, y):
    return x > y


@_condition
def ge(x, y):
    return x >= y


@elementwise
def where(condition, x, y):
    return x if condition else y


def where_backward(dout, condition, x_shape, y_shape):
    return sum_to(where(condition, dout, 0.0), x_shape), sum_to(_otherwise(condition, dout), y_shape)


@elementwise
def _otherwise(condition, x):
    return type(x)(0) if condition else x


@_condition
def logical_not(x):
    return not x


@_condition
def logical_and(x, y):
    return x & y


@_condition
def logical_or(x, y):
    return x | y
