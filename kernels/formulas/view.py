"""Gradients of views, where they copy."""

from .copies import assign
from .indexing import cat, stack, surround
from .pointwise import empty
from .reduce import sum_to


def expand_backward(dout, x_shape):
    return sum_to(dout, x_shape)


def slice_backward(dout, x_shape, index):
    dx = empty(x_shape, dout.dtype)
    index = index if isinstance(index, tuple) else (index,)
    index = index if ... in index else (*index, ...)
    surround(dx, index, 0)
    assign(dx[index], dout)
    return dx


def unbind_backward(dout, dim):
    return stack(dout, dim)


def split_backward(dout, dim):
    return cat(dout, dim)
