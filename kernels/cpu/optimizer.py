"""Optimisers: one launch for the whole list. A task is a block of elements of one array, reached by its address.

Nothing that was stored is read again: LLVM would load it, and wait for the store.
"""

import math
from functools import lru_cache

import numpy as np
from numba import prange

from ..device import contiguous, empty
from .kernel import kernel, subroutine
from .maths import bf16_bits
from .simd import array_at

_BLOCK = 16384  # elements of a task


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
    rate, root = lr / (1 - beta1**step), math.sqrt(1 - beta2**step)
    numbers = np.array([1 - lr * weight_decay, rate, beta1, 1 - beta1, beta2, 1 - beta2, 1 / root, eps, grad_scale])
    _launch(_adamw_kernel, (params, _contiguous(grads), exp_avgs, exp_avg_sqs), numbers, copies)


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
    grads = _contiguous(grads)
    lists = (params, grads, momentum_buffers) if momentum else (params, grads)
    _launch(_sgd_kernel, lists, np.array([lr, momentum, weight_decay, grad_scale, nesterov]), copies)


def lion_(params, grads, exp_avgs, lr, beta1=0.9, beta2=0.99, weight_decay=0.0, grad_scale=1.0, copies=None):
    numbers = np.array([1 - lr * weight_decay, lr, beta1, 1 - beta1, beta2, 1 - beta2, grad_scale])
    _launch(_lion_kernel, (params, _contiguous(grads), exp_avgs), numbers, copies)


def grad_norm(grads):
    grads = _contiguous(grads)
    partial = np.zeros(len(_tasks(tuple(x.size for x in grads))))
    _launch(_square_kernel, (grads,), partial)
    norm = empty((), np.float64)
    norm[...] = math.sqrt(partial.sum())
    return norm


def add_(arrays, others):
    _launch(_add_kernel, (arrays, _contiguous(others)), np.empty(0))


def scale_(arrays, factor):
    _launch(_scale_kernel, (arrays,), np.array([factor], np.float64))


def _launch(run, lists, numbers, copies=None):
    """Run a kernel over lists that are alike; they hold the arrays alive while it reads their addresses.

    `copies` come last among the addresses.
    """
    first = lists[0]
    lists = lists if copies is None else (*lists, copies)
    tasks = _tasks(tuple(x.size for x in first))
    if len(tasks):
        addresses = np.array([[x.__array_interface__["data"][0] for x in xs] for xs in lists], np.uint64)
        run(numbers, first[0].reshape(-1), addresses, tasks)


@lru_cache(64)
def _tasks(sizes):
    """(tasks, 3): which array, the first element, how many."""
    rows = [(k, i, min(_BLOCK, size - i)) for k, size in enumerate(sizes) for i in range(0, size, _BLOCK)]
    return np.array(rows, np.int64).reshape(-1, 3)


def _contiguous(xs):
    return [contiguous(x) for x in xs]


@kernel("<- f8[1] T[1] u8[2] i8[2]")
def _adamw_kernel(numbers, like, addresses, tasks):
    number = like.dtype.type
    keep, rate = number(numbers[0]), number(numbers[1])
    beta1, rest1 = number(numbers[2]), number(numbers[3])
    beta2, rest2 = number(numbers[4]), number(numbers[5])
    correct, eps, grad_scale = number(numbers[6]), number(numbers[7]), number(numbers[8])
    for task in prange(len(tasks)):
        k, start, size = tasks[task, 0], tasks[task, 1], tasks[task, 2]
        p = array_at(addresses[0, k], start, size, like)
        grad = array_at(addresses[1, k], start, size, like)
        m = array_at(addresses[2, k], start, size, like)
        v = array_at(addresses[3, k], start, size, like)
        for i in range(size):
            g = grad[i] * grad_scale
            first = beta1 * m[i] + rest1 * g
            second = beta2 * v[i] + rest2 * (g * g)
            m[i], v[i] = first, second
            p[i] = p[i] * keep - rate * first / (math.sqrt(second) * correct + eps)
        if len(addresses) > 4:
            _round(addresses[4, k], start, p)


@kernel("<- f8[1] T[1] u8[2] i8[2]")
def _sgd_kernel(numbers, like, addresses, tasks):
    number = like.dtype.type
    lr, momentum = number(numbers[0]), number(numbers[1])
    weight_decay, grad_scale = number(numbers[2]), number(numbers[3])
    nesterov = numbers[4] != 0
    has_buffer = momentum != 0
    for task in prange(len(tasks)):
        k, start, size = tasks[task, 0], tasks[task, 1], tasks[task, 2]
        p = array_at(addresses[0, k], start, size, like)
        grad = array_at(addresses[1, k], start, size, like)
        if has_buffer:
            b = array_at(addresses[2, k], start, size, like)
            for i in range(size):
                g = grad[i] * grad_scale + weight_decay * p[i]
                velocity = momentum * b[i] + g
                b[i] = velocity
                p[i] -= lr * (g + momentum * velocity if nesterov else velocity)
        else:
            for i in range(size):
                p[i] -= lr * (grad[i] * grad_scale + weight_decay * p[i])
        if len(addresses) > 2 + has_buffer:
            _round(addresses[-1, k], start, p)


@kernel("<- f8[1] T[1] u8[2] i8[2]")
def _lion_kernel(numbers, like, addresses, tasks):
    number = like.dtype.type
    keep, lr = number(numbers[0]), number(numbers[1])
    beta1, rest1 = number(numbers[2]), number(numbers[3])
    beta2, rest2 = number(numbers[4]), number(numbers[5])
    grad_scale, zero = number(numbers[6]), number(0)
    for task in prange(len(tasks)):
        k, start, size = tasks[task, 0], tasks[task, 1], tasks[task, 2]
        p = array_at(addresses[0, k], start, size, like)
        grad = array_at(addresses[1, k], start, size, like)
        m = array_at(addresses[2, k], start, size, like)
        for i in range(size):
            g = grad[i] * grad_scale
            c = beta1 * m[i] + rest1 * g
            c = lr if c > zero else (-lr if c < zero else c * lr)
            p[i] = p[i] * keep - c
            m[i] = beta2 * m[i] + rest2 * g
        if len(addresses) > 3:
            _round(addresses[3, k], start, p)


@subroutine
def _round(address, start, p):
    """The run of a copy in bfloat16 that begins at `start`."""
    copy = array_at(address, start, p.size, np.empty(0, np.uint16))
    for i in range(p.size):
        copy[i] = bf16_bits(np.float32(p[i]))


@kernel("f8[1] <- T[1] u8[2] i8[2]")
def _square_kernel(partial, like, addresses, tasks):
    for task in prange(len(tasks)):
        x = array_at(addresses[0, tasks[task, 0]], tasks[task, 1], tasks[task, 2], like)
        total = 0.0
        for i in range(x.size):
            wide = np.float64(x[i])
            total += wide * wide
        partial[task] = total


@kernel("<- f8[1] T[1] u8[2] i8[2]")
def _add_kernel(_, like, addresses, tasks):
    if len(tasks) == 1:  # does not pay for waking a thread
        _add(like, addresses, tasks[0])
    else:
        for task in prange(len(tasks)):
            _add(like, addresses, tasks[task])


@subroutine
def _add(like, addresses, task):
    x = array_at(addresses[0, task[0]], task[1], task[2], like)
    y = array_at(addresses[1, task[0]], task[1], task[2], like)
    for i in range(x.size):
        x[i] += y[i]


@kernel("<- f8[1] T[1] u8[2] i8[2]")
def _scale_kernel(numbers, like, addresses, tasks):
    factor = like.dtype.type(numbers[0])
    for task in prange(len(tasks)):
        x = array_at(addresses[0, tasks[task, 0]], tasks[task, 1], tasks[task, 2], like)
        for i in range(x.size):
            x[i] *= factor
