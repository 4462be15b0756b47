"""Maxima and minima, and where they are, on the machinery of fold.py."""

import math

import numpy as np
from numba.cuda import int32, int64

from ..layout import axes_of, kept
from .fold import Fold, as_rows
from .kernel import primitive
from .pointwise import cast, contiguous, elementwise


def max(x, dim, keepdim):
    return _reduced(_MAX, x, dim, keepdim)


def min(x, dim, keepdim):
    return _reduced(_MIN, x, dim, keepdim)


def argmax(x, dim, keepdim):
    return _reduced(_ARGMAX, _numbers(x), dim, keepdim)


def argmin(x, dim, keepdim):
    return _reduced(_ARGMIN, _numbers(x), dim, keepdim)


def _numbers(x):
    """Threads of a warp exchange numbers of four or eight bytes."""
    return cast(x, np.int32) if x.dtype.itemsize == 1 else x


def _reduced(fold, x, dim, keepdim):
    axes = axes_of(x.ndim, dim)
    return fold(as_rows(x, axes)[0])[0].reshape(kept(x.shape, axes, keepdim))


def max_backward(dout, x, out, dim, keepdim):
    axes = axes_of(x.ndim, dim)
    shape = kept(x.shape, axes, True)
    (ties,) = _TIES(as_rows(x, axes)[0], pivots=contiguous(out))
    return _among_ties(dout.reshape(shape), x, out.reshape(shape), ties.reshape(shape))


min_backward = max_backward


@elementwise
def _among_ties(dout, x, out, ties):
    return dout / ties if x == out else type(x)(0)


def _lowest(like):
    return (type(like)(-math.inf),)


def _highest(like):
    return (type(like)(math.inf),)


def _value(x, row, pivot):
    return (x,)


def _larger(a, b):
    return (b[0] if (b[0] > a[0]) | (b[0] != b[0]) else a[0],)


def _smaller(a, b):
    return (b[0] if (b[0] < a[0]) | (b[0] != b[0]) else a[0],)


def _nowhere(like):
    return like, int64(-1)


def _place(x, row, pivot):
    return x, row


def _first_larger(a, b):
    is_chosen = _comes_first(a, b, b[0] > a[0])
    return (b[0] if is_chosen else a[0]), (b[1] if is_chosen else a[1])


def _first_smaller(a, b):
    is_chosen = _comes_first(a, b, b[0] < a[0])
    return (b[0] if is_chosen else a[0]), (b[1] if is_chosen else a[1])


@primitive
def _comes_first(a, b, is_better):
    """Whether to take b: it is somewhere, and better, or as good in an earlier row; NaN is better than numbers."""
    a_is_nan, b_is_nan = a[0] != a[0], b[0] != b[0]
    is_tie = (a[0] == b[0]) | (a_is_nan & b_is_nan)
    is_better = (is_better | (b_is_nan & (not a_is_nan))) | (is_tie & (b[1] < a[1]))
    return (b[1] >= int64(0)) & (is_better | (a[1] < int64(0)))


def _no_ties(like):
    return (int32(0),)


def _is_tie(x, row, pivot):
    return (int32(1) if x == pivot else int32(0),)


def _plus(a, b):
    return (a[0] + b[0],)


def _itself(state, p, q):
    return (state[0],)


def _row(state, p, q):
    return (state[1],)


def _count(state, p, q):
    return (type(p)(state[0]),)


_MAX = Fold(__name__, "_max", _lowest, _value, _larger, _itself, "T*", "T*")
_MIN = Fold(__name__, "_min", _highest, _value, _smaller, _itself, "T*", "T*")
_ARGMAX = Fold(__name__, "_argmax", _nowhere, _place, _first_larger, _row, "T* i8*", "i8*")
_ARGMIN = Fold(__name__, "_argmin", _nowhere, _place, _first_smaller, _row, "T* i8*", "i8*")
_TIES = Fold(__name__, "_ties", _no_ties, _is_tie, _plus, _count, "i4*", "A*")
