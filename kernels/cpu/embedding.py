"""Embedding: a task copies one row; in the backward pass a task owns rows of the table and adds what is theirs."""

import numpy as np
from numba import prange

from ..device import contiguous, empty
from .ids import checked
from .kernel import kernel

_TASKS = 256  # of the backward pass, dealt out in turn: frequent ids lie side by side


def embedding(ids, weight):
    rows, _ = checked("embedding: ids", ids, len(weight))
    out = empty((*ids.shape, weight.shape[1]), weight.dtype)
    _gather_kernel(out.reshape(rows.size, weight.shape[1]), rows, contiguous(weight))
    return out


def embedding_backward(dout, ids, weight_shape):
    vocabulary, channels = weight_shape
    rows, _ = checked("embedding_backward: ids", ids, vocabulary)
    start, order = empty(vocabulary + 2, np.int64), empty(rows.size, np.int64)
    _sort_kernel(start, order, rows)
    dweight = empty((vocabulary, channels), dout.dtype)
    _scatter_kernel(dweight, contiguous(dout).reshape(rows.size, channels), start, order)
    return dweight


@kernel("T[2] <- i8[1] T[2]")
def _gather_kernel(out, ids, weight):
    for i in prange(ids.size):
        row = weight[ids[i]]
        for j in range(row.size):
            out[i, j] = row[j]


@kernel("i8[1] i8[1] <- i8[1]", parallel=False)
def _sort_kernel(start, order, ids):
    """Counting sort: order[start[v] : start[v + 1]] are the positions of id v, rising."""
    start[:] = 0
    for i in range(ids.size):
        start[ids[i] + 2] += 1
    for v in range(2, start.size):
        start[v] += start[v - 1]
    for i in range(ids.size):
        order[start[ids[i] + 1]] = i
        start[ids[i] + 1] += 1


@kernel("T[2] <- T[2] i8[1] i8[1]")
def _scatter_kernel(dweight, dout, start, order):
    vocabulary, channels = dweight.shape
    for task in prange(min(vocabulary, _TASKS)):
        total = np.zeros(channels)
        for v in range(task, vocabulary, _TASKS):
            row = dweight[v]
            if start[v] == start[v + 1]:
                row[:] = 0
                continue
            total[:] = 0
            for k in range(start[v], start[v + 1]):
                given = dout[order[k]]
                for j in range(channels):
                    total[j] += given[j]
            for j in range(channels):
                row[j] = total[j]
