"""Attention on device arrays at sizes of several tiles: in float32, and rounded to bfloat16 for tensor cores."""

import numpy as np
import pytest

from octavo.kernels import attention, attention_backward, device, from_bf16, to_bf16
from octavo.kernels.cuda import attention as cuda
from octavo.kernels.cuda import runtime

pytestmark = pytest.mark.cuda
# B T S H G D, causal; rows and tiles that end early, heads in groups, new queries after a cache
SHAPES = (
    ((1, 70, 75, 4, 2, 64), True),
    ((2, 9, 130, 2, 2, 64), False),
    ((1, 130, 130, 1, 1, 128), True),
    ((1, 9, 65, 2, 1, 128), True),
)


def _random(*shapes):
    """Normal numbers that bfloat16 can hold."""
    rng = np.random.default_rng(5)
    return [from_bf16.reference(to_bf16.reference(rng.standard_normal(shape))) for shape in shapes]


def _inputs(shape):
    b, t, s, h, g, d = shape
    return _random((b, t, h, d), (b, t, h, d), (b, s, g, d), (b, s, g, d))


def _moved(*arrays):
    return [device.to(np.ascontiguousarray(x, np.float32), "cuda") for x in arrays]


def _doubled(*arrays):
    return [x.astype(np.float64) for x in arrays]


@pytest.fixture
def medium(monkeypatch):
    monkeypatch.setattr(device, "_precision", "medium")


@pytest.mark.parametrize("shape, causal", SHAPES, ids=str)
def test_tensor_cores(medium, monkeypatch, shape, causal):
    """What is rounded to bfloat16 within loses 2^-8 of itself; float32 loses a hundredth of that."""
    monkeypatch.setattr(runtime.target(), "schedule", "run-ahead", raising=False)  # shows missing barriers
    dout, q, k, v = _inputs(shape)
    loss = 1.01 * 2.0**-8
    out, lse = attention.reference(*_doubled(q, k, v), causal, None, True)
    sizes, _ = attention.reference(*_doubled(q, k), abs(v).astype(np.float64), causal, None, True)
    got, got_lse = cuda.attention(*_moved(q, k, v), causal, None, True)
    assert (abs(device.to(got, "cpu") - out) <= loss * sizes).all()
    assert (abs(device.to(got_lse, "cpu") - lse) <= 2.0**-20 * abs(lse) + 2.0**-20).all()

    expected = attention_backward.reference(*_doubled(dout, q, k, v), out, lse, causal, None)
    bounds = _summed_sizes(*_doubled(dout, q, k, v), out, lse, causal)
    got = [cuda.attention_backward(*_moved(dout, q, k, v, out, lse), causal, None) for _ in range(2)]
    for once, again, exact, bound in zip(*got, expected, bounds, strict=True):
        once, again = device.to(once, "cpu"), device.to(again, "cpu")
        assert (abs(once - exact) <= loss * bound + 2.0**-20 * abs(exact).max()).all()
        assert once.tobytes() == again.tobytes()


def _summed_sizes(dout, q, k, v, out, lse, causal):
    """The sums of dq, dk and dv with all terms positive; terms of probabilities and of the gradient of the scores."""
    group, scale = q.shape[2] // k.shape[2], q.shape[3] ** -0.5
    k_all, v_all = (np.repeat(x, group, 2) for x in (k, v))
    scores = scale * np.einsum("bthd,bshd->bhts", q, k_all)
    t, s = scores.shape[2:]
    if causal:
        scores = np.where(np.arange(s) <= s - t + np.arange(t)[:, None], scores, -np.inf)
    p = np.exp(scores - lse[..., None])
    dp = np.einsum("bthd,bshd->bhts", dout, v_all) - (dout * out).sum(-1).swapaxes(1, 2)[..., None]
    ds = scale * abs(p * dp)
    over_group = (k.shape[0], s, k.shape[2], group, k.shape[3])
    return (
        np.einsum("bhts,bshd->bthd", ds, abs(k_all)),
        np.einsum("bhts,bthd->bshd", ds, abs(q)).reshape(over_group).sum(3),
        np.einsum("bhts,bthd->bshd", p, abs(dout)).reshape(over_group).sum(3),
    )


def test_views_of_one_array(medium):
    """Queries, keys and values that lie interleaved, as one linear layer leaves them."""
    (qkv,) = _random((1, 10, 3, 2, 64))
    moved = device.to(qkv, "cuda")
    got = cuda.attention(*(moved[:, :, i] for i in range(3)))[0]
    plain = cuda.attention(*_moved(*(qkv[:, :, i] for i in range(3))))[0]
    assert device.to(got, "cpu").tobytes() == device.to(plain, "cpu").tobytes()


@pytest.mark.parametrize(
    "shape, causal",
    (((1, 34, 40, 2, 1, 40), True), ((1, 3, 70, 2, 1, 33), True), ((2, 2, 40, 2, 2, 5), False)),
    ids=str,
)
def test_float32(monkeypatch, shape, causal):
    """Several tiles, or shares of keys where queries are few, within what the op's case allows."""
    monkeypatch.setattr(runtime.target(), "schedule", "run-ahead", raising=False)
    dout, q, k, v = _inputs(shape)
    out, lse = attention.reference(*_doubled(q, k, v), causal, None, True)
    expected = out, lse, *attention_backward.reference(*_doubled(dout, q, k, v), out, lse, causal, None)
    got = (
        *cuda.attention(*_moved(q, k, v), causal, None, True),
        *cuda.attention_backward(*_moved(dout, q, k, v, out, lse), causal, None),
    )
    for x, exact in zip(got, expected, strict=True):
        assert (abs(device.to(x, "cpu") - exact) <= 16 * np.finfo(np.float32).eps * abs(exact).max()).all()
