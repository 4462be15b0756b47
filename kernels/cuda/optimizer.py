"""Optimisers: one launch for the whole list. A block has a run of elements of one array, reached by its address.

Addresses and runs stand in tables on the device, which are kept: a training loop asks for the same at each step. What
follows from the step, the learning rate and the scale of gradients, which the host need not know, one thread works
out before; where that scale is infinite or not a number, nothing is changed.
"""

import math
from functools import lru_cache, partial

import numpy as np
from numba import cuda, float64, int32, int64, uint64

from ..device import is_array
from .block import block_sum
from .kernel import Kernel, accumulator, kernel, primitive
from .pointwise import contiguous
from .ptx import VECTOR, load, load_vector, pointer_at, store, store_vector
from .runtime import address, constant, empty
from .threads import aligned

_THREADS = 256
_EACH = 4  # vectors of a thread
_RUN = _THREADS * _EACH * VECTOR
_CONSTANTS = 5


def adamw_(
    params,
    grads,
    exp_avgs,
    exp_avg_sqs,
    step,
    lr,
    beta1=0.9,
    beta2=0.999,
    eps=1e-8,
    weight_decay=0.0,
    grad_scale=1.0,
    copies=None,
):
    constants = beta1, 1 - beta1, beta2, 1 - beta2, eps
    pace = step, lr, grad_scale, weight_decay, beta1, beta2
    _update(_adamw, (params, grads, exp_avgs, exp_avg_sqs), constants, pace, copies)


def sgd_(
    params,
    grads,
    momentum_buffers,
    lr,
    momentum=0.0,
    weight_decay=0.0,
    grad_scale=1.0,
    nesterov=False,
    copies=None,
):
    constants, pace = (weight_decay, momentum, nesterov), (1, lr, grad_scale)
    if momentum:
        _update(_momentum, (params, grads, momentum_buffers), constants, pace, copies)
    else:
        _update(_descent, (params, grads), constants, pace, copies)


def lion_(params, grads, exp_avgs, lr, beta1=0.9, beta2=0.99, weight_decay=0.0, grad_scale=1.0, copies=None):
    constants = beta1, 1 - beta1, beta2, 1 - beta2
    _update(_lion, (params, grads, exp_avgs), constants, (1, lr, grad_scale, weight_decay), copies)


def add_(arrays, others):
    _update(_add, (arrays, others))


def scale_(arrays, factor):
    _update(_scale, (arrays,), (factor,))


def grad_norm(grads):
    """Squares are float64: those of float32 leave its range. The sums of the runs are added in a fixed order."""
    grads = [contiguous(x) for x in grads]
    table, runs, count = _tables(_addresses(grads), _sizes(grads))
    sums, norm = empty(count, np.float64), empty((), np.float64)
    if count:
        _square_kernel(count, sums, grads[0], table, runs)
    _norm_kernel(1, norm, sums, count)
    return norm


def _update(step, lists, constants=(), pace=None, copies=None):
    """Run a formula over lists that are alike, of which all but the gradients, the second one, change in place.

    The dtype of gradients may be another one; `copies` are bfloat16, of the new values of the first list.
    """
    lists = [[contiguous(x) for x in xs] if k == 1 else xs for k, xs in enumerate(lists)]
    half = [] if copies is None else [copies]
    table, runs, count = _tables(tuple(a for xs in [*lists, *half] for a in _addresses(xs)), _sizes(lists[0]))
    if count:
        like, grad = lists[0][0], lists[min(1, len(lists) - 1)][0]
        is_aligned = all(aligned(*xs) for xs in [*lists, *half])
        found = None if pace is None else _paced(like, *pace)
        constants += (0,) * (_CONSTANTS - len(constants))
        run = step(len(lists), pace is not None, "T" if grad.dtype == like.dtype else grad.dtype.str[1:], bool(half))
        run(count, like, grad, None, table, runs, found, len(lists[0]), is_aligned, *constants)


def _paced(like, step, lr, grad_scale, weight_decay=0.0, beta1=0.0, beta2=0.0):
    """1 − lr · weight_decay; lr / (1 − β1^step); 1 / √(1 − β2^step); grad_scale."""
    pace = empty(4, accumulator(like.dtype))
    scalars = step, lr, grad_scale
    is_there = [is_array(x) for x in scalars]
    places = [x if there else None for x, there in zip(scalars, is_there, strict=True)]
    numbers = [0 if there else x for x, there in zip(scalars, is_there, strict=True)]
    _pace_kernel(1, pace, like, *places, *is_there, *numbers, weight_decay, beta1, beta2)
    return pace


def _addresses(xs):
    return tuple(int(address(x)) for x in xs)


def _sizes(xs):
    return tuple(x.size for x in xs)


@lru_cache(16)
def _tables(addresses, sizes):
    """On the device: the addresses of the lists, one list after another, and the runs; and how many these are."""
    runs = _runs(sizes)
    return constant(np.array(addresses, np.uint64)), constant(runs), len(runs)


@lru_cache(64)
def _runs(sizes):
    """(runs, 3): which array, the first element and the end."""
    rows = [(k, i, min(i + _RUN, size)) for k, size in enumerate(sizes) for i in range(0, size, _RUN)]
    return np.array(rows, np.int64).reshape(-1, 3)


def _step(formula):
    """Of the numbers of a call, and an element of each list: the new values of those that change.

    A formula takes four elements and returns three new ones, also where there are fewer lists: what is not stored
    is not computed. Its numbers are those of `_paced`, or four of 0, and the constants.
    """
    return lru_cache(None)(partial(_kernel, formula))


def _kernel(formula, lists, has_pace, of_gradients, has_copies):
    f = primitive(formula)
    last = lists - 1
    first, second, third = min(1, last), min(2, last), min(3, last)

    def update(like, like_gradients, like_copies, table, runs, pace, arrays, is_aligned, c0, c1, c2, c3, c4):
        zero = type(c0)(0)
        n = zero, zero, zero, zero, c0, c1, c2, c3, c4
        if has_pace:
            n = load(pace, 0), load(pace, 1), load(pace, 2), load(pace, 3), c0, c1, c2, c3, c4
            if not math.isfinite(n[3]):
                return
        run = int64(cuda.blockIdx.x) * int64(3)
        k, start, end = load(runs, run), load(runs, run + int64(1)), load(runs, run + int64(2))
        x = pointer_at(load(table, k), like)
        g = pointer_at(load(table, k + arrays * int64(first)), like_gradients)
        m = pointer_at(load(table, k + arrays * int64(second)), like)
        v = pointer_at(load(table, k + arrays * int64(third)), like)
        copy = pointer_at(load(table, k + arrays * int64(lists)) if has_copies else uint64(0), like_copies)
        for e in range(_EACH):
            i = start + int64((int32(e * _THREADS) + int32(cuda.threadIdx.x)) * int32(VECTOR))
            if is_aligned & (i + int64(VECTOR) <= end):
                xs, gs, ms, vs = load_vector(x, i), load_vector(g, i), load_vector(m, i), load_vector(v, i)
                a = f(n, xs[0], gs[0], ms[0], vs[0])
                b = f(n, xs[1], gs[1], ms[1], vs[1])
                c = f(n, xs[2], gs[2], ms[2], vs[2])
                d = f(n, xs[3], gs[3], ms[3], vs[3])
                store_vector(x, i, (a[0], b[0], c[0], d[0]))
                if has_copies:
                    store_vector(copy, i, (a[0], b[0], c[0], d[0]))
                if lists > 2:
                    store_vector(m, i, (a[1], b[1], c[1], d[1]))
                if lists > 3:
                    store_vector(v, i, (a[2], b[2], c[2], d[2]))
            else:
                for j in range(i, min(i + int64(VECTOR), end)):
                    a = f(n, load(x, j), load(g, j), load(m, j), load(v, j))
                    store(x, j, a[0])
                    if has_copies:
                        store(copy, j, a[0])
                    if lists > 2:
                        store(m, j, a[1])
                    if lists > 3:
                        store(v, j, a[2])

    update.__module__ = formula.__module__
    name = f"{formula.__name__}-{lists}-{of_gradients}" + "-copies" * has_copies
    signature = f"<- T* {of_gradients}* u2* u8* i8* A* i8 ?{' A' * _CONSTANTS}"
    return Kernel(update, signature, _THREADS, 0, name)


@_step
def _adamw(n, x, g, m, v):
    keep, rate, correct, grad_scale, beta1, rest1, beta2, rest2, eps = n
    g = g * grad_scale
    m = beta1 * m + rest1 * g
    v = beta2 * v + rest2 * (g * g)
    return x * keep - rate * m / (math.sqrt(v) * correct + eps), m, v


@_step
def _descent(n, x, g, m, v):
    lr, grad_scale, weight_decay = n[1], n[3], n[4]
    return x - lr * (g * grad_scale + weight_decay * x), m, v


@_step
def _momentum(n, x, g, m, v):
    lr, grad_scale, weight_decay, momentum, nesterov = n[1], n[3], n[4], n[5], n[6]
    g = g * grad_scale + weight_decay * x
    m = momentum * m + g
    return x - lr * (g + momentum * m if nesterov != type(x)(0) else m), m, v


@_step
def _lion(n, x, g, m, v):
    keep, lr, _, grad_scale, beta1, rest1, beta2, rest2 = n[:8]
    zero = type(x)(0)
    g = g * grad_scale
    c = beta1 * m + rest1 * g
    c = lr if c > zero else (-lr if c < zero else c * lr)
    return x * keep - c, beta2 * m + rest2 * g, v


@_step
def _add(n, x, g, m, v):
    return x + g, m, v


@_step
def _scale(n, x, g, m, v):
    return x * n[4], m, v


@kernel("A* <- T* i8* f8* f8* ? ? ? i8 f8 f8 f8 f8 f8", threads=32)
def _pace_kernel(
    pace, _, step_at, lr_at, scale_at, reads_step, reads_lr, reads_scale, step, lr, scale, weight_decay, beta1, beta2
):
    """In float64, as the host would: 1 − β^step loses digits where β is near to 1."""
    if cuda.threadIdx.x == 0:
        step = load(step_at, 0) if reads_step else step
        lr = load(lr_at, 0) if reads_lr else lr
        scale = load(scale_at, 0) if reads_scale else scale
        one = float64(1)
        power1, power2 = one, one
        while step > int64(0):
            if step & int64(1):
                power1 *= beta1
                power2 *= beta2
            beta1 *= beta1
            beta2 *= beta2
            step >>= int64(1)
        store(pace, 0, one - lr * weight_decay)
        store(pace, 1, lr / (one - power1))
        store(pace, 2, one / math.sqrt(one - power2))
        store(pace, 3, scale)


@kernel("f8* <- T* u8* i8*", threads=_THREADS)
def _square_kernel(sums, like, table, runs):
    run = int64(cuda.blockIdx.x) * int64(3)
    k, start, end = load(runs, run), load(runs, run + int64(1)), load(runs, run + int64(2))
    x = pointer_at(load(table, k), like)
    total = float64(0)
    for i in range(start + int64(cuda.threadIdx.x), end, int64(_THREADS)):
        wide = float64(load(x, i))
        total += wide * wide
    total = block_sum(total)
    if cuda.threadIdx.x == 0:
        store(sums, int64(cuda.blockIdx.x), total)


@kernel("f8* <- f8* i8", threads=1024)
def _norm_kernel(norm, sums, count):
    total = float64(0)
    for i in range(int64(cuda.threadIdx.x), count, int64(1024)):
        total += load(sums, i)
    total = block_sum(total)
    if cuda.threadIdx.x == 0:
        store(norm, 0, math.sqrt(total))
