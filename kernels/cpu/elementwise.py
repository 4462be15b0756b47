"""Elementwise: `@elementwise` makes a parallel kernel of a scalar formula, for operands of any strides.

A task is a block of consecutive elements of the output. Axes that lie in memory as one are merged, so that
equal shapes become a single long axis and (N, C) with (C,) two; the innermost has a vector loop for each way
in which operands advance: both, or one of them standing still.
"""

import inspect
import math
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

import numpy as np
from numba import prange
from numpy.lib.stride_tricks import as_strided

from ..device import contiguous, empty
from . import maths
from .kernel import Kernel, kernel, primitive
from .reduce import sum_to

_BLOCK = 16384  # elements of a task: fewer do not pay for waking a thread
_MOST_TASKS = 1024
_AXES = 4


def elementwise(formula: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """Make a formula f(x) or f(x, y) a function on arrays, which broadcast; `out=` is an array to fill."""
    run = _make_kernel(formula, unary=len(inspect.signature(formula).parameters) == 1)

    @wraps(formula)
    def apply(x: np.ndarray, y: np.ndarray | None = None, *, out: np.ndarray | None = None) -> np.ndarray:
        y = x if y is None else y
        if out is None:
            out = empty(x.shape if x.shape == y.shape else _broadcast(x.shape, y.shape), x.dtype)
        if out.size == 0:
            return out
        plan = _plan(out.shape, out.strides, x.shape, x.strides, y.shape, y.strides, x.itemsize)
        if plan is not None:
            run(_memory(out), _memory(x), _memory(y), *plan)
        else:
            flat = [contiguous(np.broadcast_to(a, out.shape)).reshape(-1) for a in (x, y)]
            np.copyto(out, apply(*flat).reshape(out.shape))
        return out

    return apply


_broadcast = lru_cache(1024)(np.broadcast_shapes)


def _memory(x: np.ndarray) -> np.ndarray:
    """The elements from the first of x to its last, as they lie in memory."""
    if x.flags.c_contiguous:
        return x.reshape(-1)
    last = sum((n - 1) * step for n, step in zip(x.shape, x.strides, strict=True))
    return as_strided(x, (last // x.itemsize + 1,), (x.itemsize,))


@lru_cache(4096)
def _plan(shape, out_strides, x_shape, x_strides, y_shape, y_strides, itemsize):
    """(first index of each task, sizes and strides of the merged axes); None where four axes do not do."""
    steps = zip(out_strides, _steps(shape, x_shape, x_strides), _steps(shape, y_shape, y_strides), strict=True)
    sizes: list[int] = []
    strides: list[tuple[int, ...]] = []
    for n, step in zip(shape, steps, strict=True):
        if n == 1:
            continue
        if any(s < 0 or s % itemsize for s in step):
            return None
        if sizes and all(outer == n * s for outer, s in zip(strides[-1], step, strict=True)):
            sizes[-1] *= n
            strides[-1] = step
        else:
            sizes.append(n)
            strides.append(step)
    missing = _AXES - len(sizes)
    if missing < 0:
        return None
    sizes, strides = [1] * missing + sizes, [(0, 0, 0)] * missing + strides
    axes = np.array([sizes, *zip(*strides, strict=True)], np.int64)
    axes[1:] //= itemsize
    count = math.prod(sizes)
    block = max(_BLOCK, -(-count // (_MOST_TASKS * 64)) * 64)
    starts = np.unravel_index(np.arange(0, count, block), sizes)
    return np.stack(starts, 1).astype(np.int64), axes, block, count


def _steps(shape: tuple[int, ...], own: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of an operand along the output's axes: 0 where it is broadcast."""
    return (0,) * (len(shape) - len(own)) + tuple(0 if n == 1 else s for n, s in zip(own, strides, strict=True))


def _make_kernel(formula: Callable[..., Any], unary: bool) -> Kernel:
    g = primitive(formula)
    f = primitive(lambda x, y: g(x)) if unary else g

    @primitive
    def block(out, x, y, starts, task, axes, size, count):
        count = min(size, count - task * size)
        i, j, k, m = starts[task, 0], starts[task, 1], starts[task, 2], starts[task, 3]
        out_step, x_step, y_step = axes[1, 3], axes[2, 3], axes[3, 3]
        while count > 0:
            n = min(axes[0, 3] - m, count)
            to = out[i * axes[1, 0] + j * axes[1, 1] + k * axes[1, 2] + m * out_step :]
            a = x[i * axes[2, 0] + j * axes[2, 1] + k * axes[2, 2] + m * x_step :]
            b = y[i * axes[3, 0] + j * axes[3, 1] + k * axes[3, 2] + m * y_step :]
            if out_step == 1 and x_step == 1 and y_step == 1:
                for e in range(n):
                    to[e] = f(a[e], b[e])
            elif not unary and out_step == 1 and x_step == 1 and y_step == 0:
                fixed = b[0]
                for e in range(n):
                    to[e] = f(a[e], fixed)
            elif not unary and out_step == 1 and x_step == 0 and y_step == 1:
                fixed = a[0]
                for e in range(n):
                    to[e] = f(fixed, b[e])
            else:
                for e in range(n):
                    to[e * out_step] = f(a[e * x_step], b[e * y_step])
            count -= n
            m = 0
            k += 1
            if k == axes[0, 2]:
                k = 0
                j += 1
            if j == axes[0, 1]:
                j = 0
                i += 1

    def run(out, x, y, starts, axes, size, count):
        if count <= size:
            block(out, x, y, starts, np.int64(0), axes, size, count)
        else:
            for task in prange(starts.shape[0]):
                block(out, x, y, starts, np.int64(task), axes, size, count)

    run.__module__ = formula.__module__
    return kernel("T[1] <- T[1] T[1] i8[2] i8[2] i8 i8", name=formula.__name__)(run)


@elementwise
def add(x, y):
    return x + y


@elementwise
def sub(x, y):
    return x - y


@elementwise
def mul(x, y):
    return x * y


@elementwise
def div(x, y):
    return x / y


def add_backward(dout, x_shape, y_shape):
    return sum_to(dout, x_shape), sum_to(dout, y_shape)


def sub_backward(dout, x_shape, y_shape):
    return sum_to(dout, x_shape), neg(sum_to(dout, y_shape))


def mul_backward(dout, x, y):
    return sum_to(mul(dout, y), x.shape), sum_to(mul(dout, x), y.shape)


def div_backward(dout, y, out, x_shape):
    dx = div(dout, y)
    return sum_to(dx, x_shape), sum_to(_negative_product(dx, out), y.shape)


@elementwise
def _negative_product(x, y):
    return -(x * y)


@elementwise
def neg(x):
    return -x


def neg_backward(dout):
    return neg(dout)


@elementwise
def exp(x):
    return maths.exp(x)


def exp_backward(dout, out):
    return mul(dout, out)


@elementwise
def log(x):
    return maths.log(x)


def log_backward(dout, x):
    return div(dout, x)


@elementwise
def sqrt(x):
    return math.sqrt(x)


@elementwise
def sqrt_backward(dout, out):
    return dout / (out + out)


@elementwise
def tanh(x):
    return maths.tanh(x)


@elementwise
def tanh_backward(dout, out):
    return dout * (type(out)(1) - out * out)


@elementwise
def sigmoid(x):
    return maths.sigmoid(x)


@elementwise
def sigmoid_backward(dout, out):
    return dout * out * (type(out)(1) - out)
