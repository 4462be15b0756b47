"""Backward passes of activations that give more than one gradient, in one sweep."""

from numba import cuda
from numba.cuda import int64

from . import gates
from .kernel import kernel
from .pointwise import aligned, cast, contiguous
from .ptx import VECTOR, load, load_vector, store, store_vector
from .reduce import add, sum_to, value
from .runtime import empty

_THREADS = 256
_FEWEST, _MOST = 16, 256  # rows of a thread of bias_gelu's backward pass
_ENOUGH = 1 << 17  # threads


def swiglu_backward(dout, gate, up):
    dgate, dup = empty(gate.shape, gate.dtype), empty(gate.shape, gate.dtype)
    if gate.size:
        grid = -(-gate.size // (VECTOR * _THREADS))
        _swiglu_backward_kernel(grid, dgate, dup, *map(aligned, (dout, gate, up)), gate.size)
    return dgate, dup


@kernel("T* T* <- T* T* T* i8", threads=_THREADS)
def _swiglu_backward_kernel(dgate, dup, dout, gate, up, count):
    i = (int64(cuda.blockIdx.x) * int64(_THREADS) + int64(cuda.threadIdx.x)) * int64(VECTOR)
    if i + int64(VECTOR) <= count:
        d, g, u = load_vector(dout, i), load_vector(gate, i), load_vector(up, i)
        a, b, c, e = gates.silu(g[0]), gates.silu(g[1]), gates.silu(g[2]), gates.silu(g[3])
        store_vector(dup, i, (d[0] * a, d[1] * b, d[2] * c, d[3] * e))
        a, b = gates.silu_derivative(g[0]), gates.silu_derivative(g[1])
        c, e = gates.silu_derivative(g[2]), gates.silu_derivative(g[3])
        store_vector(dgate, i, (d[0] * u[0] * a, d[1] * u[1] * b, d[2] * u[2] * c, d[3] * u[3] * e))
    else:
        for k in range(i, count):
            d, g = load(dout, k), load(gate, k)
            store(dgate, k, d * load(up, k) * gates.silu_derivative(g))
            store(dup, k, d * gates.silu(g))


def bias_gelu_backward(dout, x, bias, approximate):
    dx = empty(x.shape, x.dtype)
    columns = bias.size
    rows = x.size // columns if columns else 0
    most = min(_MOST, max(_FEWEST, -(-x.size // _ENOUGH)))
    sums = empty((-(-rows // most), columns), "f8" if x.dtype.itemsize == 8 else "f4")
    if x.size:
        grid = -(-sums.size // _THREADS)
        run = _bias_gelu_backward_kernel if approximate == "none" else _bias_gelu_tanh_backward_kernel
        run(grid, dx, sums, contiguous(dout), contiguous(x), contiguous(bias), rows, columns, most)
    dbias = sum_to(sums, bias.shape)
    return dx, dbias if dbias.dtype == bias.dtype else cast(dbias, bias.dtype)


def _bias_gelu_backward(derivative, name):
    @kernel("T* A* <- T* T* T* i8 i8 i8", threads=_THREADS, name=name)
    def run(dx, sums, dout, x, bias, rows, columns, most):
        """A thread has some rows of a column: dx, and their sum."""
        i = int64(cuda.blockIdx.x) * int64(_THREADS) + int64(cuda.threadIdx.x)
        piece = i // columns
        column = i - piece * columns
        begin = piece * most
        if begin < rows:
            b = load(bias, column)
            total = type(b)(0), type(b)(0)
            for at in range(begin * columns + column, min(begin + most, rows) * columns, columns):
                d = load(dout, at) * derivative(load(x, at) + b)
                store(dx, at, d)
                total = add(total, (d, type(b)(0)))
            store(sums, i, value(total))

    return run


_bias_gelu_backward_kernel = _bias_gelu_backward(gates.gelu_derivative, "_bias_gelu_backward_kernel")
_bias_gelu_tanh_backward_kernel = _bias_gelu_backward(gates.gelu_tanh_derivative, "_bias_gelu_tanh_backward_kernel")
