"""Products on device arrays: what reaches cuBLAS, and the one written out for tensor cores."""

import numpy as np
import pytest
from numba import cuda
from numba.cuda import float32, types

from octavo.kernels import device, from_bf16, to_bf16
from octavo.kernels.cuda import runtime, tensor_core
from octavo.kernels.cuda.block import lane
from octavo.kernels.cuda.kernel import kernel
from octavo.kernels.cuda.matmul import product
from octavo.kernels.cuda.ptx import load, multiply_tf32, store_pair, to_tf32
from octavo.kernels.ops.activation import gelu

pytestmark = pytest.mark.cuda


def _random(*shape, dtype=np.float32):
    return np.random.default_rng([7, *shape]).standard_normal(shape).astype(dtype)


def _rounded(x):
    return from_bf16.reference(to_bf16.reference(x)).astype(np.float64)


def _plain(x):
    return device.to(x, "cuda")


def _turned(x):
    return np.swapaxes(device.to(np.ascontiguousarray(np.swapaxes(x, -1, -2)), "cuda"), -1, -2)


def _sparse(x):
    wide = np.zeros((*x.shape[:-2], 2 * x.shape[-2], 3 * x.shape[-1]), x.dtype)
    wide[..., ::2, 1::3] = x
    return device.to(wide, "cuda")[..., ::2, 1::3]


def _part(x):
    """With gaps between the rows, and an odd distance."""
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1] + 1), x.dtype)
    wide[..., 1 : x.shape[-1] + 1] = x
    return device.to(wide, "cuda")[..., 1 : x.shape[-1] + 1]


LAYOUTS = _plain, _turned, _sparse, _part
STACKS = (((), (), ()), ((3,), (3,), (3,)), ((3,), (3,), ()), ((2, 3), (1, 3), (2, 1)), ((2, 3), (3,), (2, 3)))


@pytest.fixture
def precision(request, monkeypatch):
    monkeypatch.setattr(device, "_precision", request.param)
    return request.param


@pytest.mark.parametrize("stack", STACKS, ids=str)
@pytest.mark.parametrize("precision", device.PRECISIONS, indirect=True)
@pytest.mark.parametrize("dtype", (np.float32, np.float64))
def test_layouts(precision, stack, dtype):
    # Each operand loses up to half a unit in its last place: 2^-8 of it in bf16; TF32 cuts 13 bits off, 2^-10.
    loss = {"highest": 2**-22, "high": 2.0**-10, "medium": 2.0**-8}[precision] if dtype == np.float32 else 2.0**-50
    for m, k, n in ((5, 7, 3), (1, 4, 1), (4, 1, 6), (1, 1, 1), (6, 5, 1), (3, 0, 2)):
        a, b = _random(*stack[1], m, k, dtype=dtype), _random(*stack[2], k, n, dtype=dtype)
        before = _random(*stack[0], m, n, dtype=dtype)
        bound = (2.01 * loss) * (np.abs(a) @ np.abs(b) + np.abs(before))
        for layout in LAYOUTS:
            for accumulate in (False, True):
                out = device.to(before, "cuda")
                product(out, layout(a), layout(b), accumulate)
                expected = a.astype(np.float64) @ b + accumulate * before
                assert (np.abs(device.to(out, "cpu") - expected) <= bound).all(), (layout.__name__, m, k, n)


@pytest.mark.parametrize("layouts", [(a, b) for a in LAYOUTS[:2] for b in LAYOUTS[:2]] + [(_sparse, _part)])
def test_tensor_core(monkeypatch, layouts):
    monkeypatch.setattr(runtime.target(), "schedule", "run-ahead", raising=False)  # shows missing barriers
    for m, n, k in ((130, 136, 72), (3, 129, 33), (17, 8, 1), (5, 7, 0)):
        a, b = _random(m, k), _random(k, n)
        out = device.empty((m, n), np.float32, "cuda")
        tensor_core.product(out, layouts[0](a), layouts[1](b))
        _compare(out, a, b)


@pytest.mark.parametrize("dtype", (np.float32, np.uint16))
@pytest.mark.parametrize("activation", ("none", "relu", "gelu", "gelu_tanh"))
def test_tensor_core_epilogue(activation, dtype):
    a, b, bias = _random(20, 40), _random(40, 24), _random(24)
    out = device.empty((20, 24), dtype, "cuda")
    operands = (device.to(to_bf16.reference(x), "cuda") for x in (a, b))
    tensor_core.product(out, *operands, device.to(bias, "cuda"), activation)
    _compare(out, a, b, bias, activation)


def _compare(out, a, b, bias=0.0, activation="none"):
    """Products of bf16 are exact in float32; each of the k sums may round off half a unit of what was summed."""
    a, b = _rounded(a), _rounded(b)
    expected = a @ b + bias
    # Steps of the activations are at most 1.13; their own error is of a few units.
    bound = 1.13 * (len(b) + 8) * 2.0**-24 * (np.abs(a) @ np.abs(b) + np.abs(bias))
    if activation == "relu":
        expected = np.maximum(expected, 0)
    elif activation != "none":
        expected = gelu.reference(expected, "none" if activation == "gelu" else "tanh")
    got = device.to(out, "cpu")
    if got.dtype == np.uint16:
        got = from_bf16.reference(got)
        bound = bound + 2.0**-8 * np.abs(expected)
    assert (np.abs(got - expected) <= bound).all()


@kernel("f4* <- f4* f4*", threads=32)
def _tf32_kernel(out, a, b):
    """out (16, 8) += a (16, 8) b (8, 8) by one warp."""
    sums = cuda.local.array(4, types.float32)
    row, column = lane() // 4, lane() % 4
    for i in range(4):
        sums[i] = float32(1)
    left = (
        to_tf32(load(a, row * 8 + column)),
        to_tf32(load(a, (row + 8) * 8 + column)),
        to_tf32(load(a, row * 8 + column + 4)),
        to_tf32(load(a, (row + 8) * 8 + column + 4)),
    )
    multiply_tf32(sums, 0, left, to_tf32(load(b, column * 8 + row)), to_tf32(load(b, (column + 4) * 8 + row)))
    store_pair(out, row * 8 + column * 2, sums[0], sums[1])
    store_pair(out, (row + 8) * 8 + column * 2, sums[2], sums[3])


def test_tf32():
    a, b = _random(16, 8), _random(8, 8)
    out = device.empty((16, 8), np.float32, "cuda")
    _tf32_kernel(1, out, device.to(a, "cuda"), device.to(b, "cuda"))
    # TF32 has ten bits after the point, and rounds: 2^-11 of each factor.
    assert (np.abs(device.to(out, "cpu") - (1 + a @ b)) <= 2.01 * 2.0**-11 * (1 + np.abs(a) @ np.abs(b))).all()
