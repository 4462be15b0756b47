"""Convolution of images: their windows as rows of a matrix, and the products of linear layers."""

from math import prod

import numpy as np

from ..device import cast
from ..ops.convolution import conv2d_shape
from .copies import assign, fill
from .matmul import linear, product
from .pointwise import contiguous, empty
from .reduce import sum as reduce_sum
from .windows import add_windows, windows

MOST = 1 << 24  # elements of windows at once, unless one image has more


def conv2d(x, weight, bias=None, stride=1, padding=0):
    shape = conv2d_shape(x, weight, stride, padding)
    out, matrix = empty(shape, x.dtype), _matrix(weight)
    for part in parts(shape, matrix):
        rows, _ = linear(windows(contiguous(x[part]), weight.shape, shape, stride, padding), matrix, bias)
        assign(out[part], rows.reshape(-1, *shape[2:], shape[1]).transpose(0, 3, 1, 2))
    return out


def conv2d_backward(dout, x, weight, bias, stride, padding):
    wide = np.result_type(x.dtype, np.float32)  # what sums of bfloat16, which are uint16 here, are made in
    matrix = _matrix(weight)
    dx, dmatrix = empty(x.shape, x.dtype), empty(matrix.shape, wide)
    if not len(x):
        fill(dmatrix, 0)
    for part in parts(dout.shape, matrix):
        rows = windows(contiguous(x[part]), weight.shape, dout.shape, stride, padding)
        drows = contiguous(dout[part].transpose(0, 2, 3, 1)).reshape(-1, len(weight))
        product(dmatrix[None], drows.T[None], rows[None], accumulate=part.start > 0)
        dwindows = empty(rows.shape, wide)
        product(dwindows[None], drows[None], matrix[None])
        add_windows(dx[part], dwindows, weight.shape, dout.shape, stride, padding)
    dbias = None if bias is None else reduce_sum(dout, (0, 2, 3), False)
    return dx, cast(dmatrix, weight.dtype).reshape(weight.shape), dbias


def _matrix(weight):
    return contiguous(weight).reshape(len(weight), -1)


def parts(shape, matrix):
    """Slices of the images: of so many as `MOST` allows."""
    count = max(1, MOST // (prod(shape[2:]) * matrix.shape[1]))
    return [slice(i, min(i + count, shape[0])) for i in range(0, shape[0], count)]
