"""Attention on the CPU beyond what every op is tested for: work cut into shares, and products of bf16."""

import numpy as np
import pytest

import octavo
from octavo.kernels import attention, attention_backward, device
from octavo.kernels.cpu import attention as cpu
from octavo.kernels.cpu.unit import bf16


@pytest.fixture
def precision():
    yield octavo.precision
    device._precision = "highest"


def both_passes(q, k, v, dout, causal):
    out, lse = cpu.attention(q, k, v, causal, save=True)
    return out, *cpu.attention_backward(dout, q, k, v, out, lse, causal, None)


def inputs(queries, keys, heads, groups, width, dtype=np.float32):
    rng = np.random.default_rng(queries)
    shapes = (queries, heads), (keys, groups), (keys, groups), (queries, heads)
    return [rng.standard_normal((1, time, count, width)).astype(dtype) for time, count in shapes]


def expected(arrays, causal):
    q, k, v, dout = (x.astype(np.float64) for x in arrays)
    out, lse = attention.reference(q, k, v, causal)
    return out, *attention_backward.reference(dout, q, k, v, out, lse, causal, None)


@pytest.mark.parametrize("causal", [True, False])
def test_shares_add_up_and_do_not_depend_on_threads(causal, monkeypatch):
    monkeypatch.setattr(cpu, "LEAST", (32, 32))
    arrays = inputs(300, 310, 2, 1, 20)
    most, results = octavo.threads(), []
    for count in (1, most):
        octavo.threads(count)
        results.append(both_passes(*arrays, causal))
    for one, two, right in zip(*results, expected(arrays, causal), strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_allclose(one, right, atol=5e-6)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("sizes", [(9, 9, 1, 1, 1), (66, 71, 4, 2, 17), (130, 257, 2, 2, 64)])
def test_medium(sizes, causal, precision):
    """Errors are those of operands rounded to bf16, 2^-9 each, that add up by chance; not of sums."""
    precision("medium")
    arrays = inputs(*sizes)
    for result, right in zip(both_passes(*arrays, causal), expected(arrays, causal), strict=True):
        assert np.linalg.norm(result - right) <= 2**-7 * max(np.linalg.norm(right), 1)
        if bf16():
            assert not np.allclose(result, right, atol=1e-5) or not right.any()
