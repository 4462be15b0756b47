"""Layers against their definitions, written out."""

import numpy as np
import pytest

from octavo.nn import CausalConv1d, RMSNorm, Tensor

RNG = np.random.default_rng(11)


@pytest.mark.parametrize("inputs, outputs, groups", [(4, 4, 4), (6, 4, 2), (3, 5, 1)])
def test_a_causal_convolution_sees_its_group_and_the_past(inputs: int, outputs: int, groups: int) -> None:
    layer = CausalConv1d(inputs, outputs, 3, groups).to(np.float64)
    layer.bias.copy_(RNG.standard_normal(outputs))
    x = RNG.standard_normal((2, 7, inputs))
    weight, each = layer.weight.data, inputs // groups
    expected = np.empty((2, 7, outputs))
    for b, t, o in np.ndindex(*expected.shape):
        first = o // (outputs // groups) * each
        expected[b, t, o] = layer.bias.data[o] + sum(
            weight[o, j, k] * x[b, t - 2 + k, first + j] for j in range(each) for k in range(3) if t - 2 + k >= 0
        )
    np.testing.assert_allclose(layer(Tensor(x)).data, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("time", [1, 3, 8])
def test_a_dilated_convolution_skips_positions(time: int) -> None:
    wide, layer = CausalConv1d(4, 6, 5, 2).to(np.float64), CausalConv1d(4, 6, 3, 2, dilation=2).to(np.float64)
    weight = np.zeros(wide.weight.shape)
    weight[..., ::2] = layer.weight.data
    wide.weight.copy_(weight)
    x = Tensor(RNG.standard_normal((2, time, 4)))
    np.testing.assert_allclose(layer(x).data, wide(x).data, rtol=1e-12, atol=1e-12)
    assert repr(layer) == "CausalConv1d(4, 6, taps=3, groups=2, dilation=2)"


def test_layers_say_what_they_are() -> None:
    assert repr(CausalConv1d(8, 8, 4, groups=8, bias=False)) == "CausalConv1d(8, 8, taps=4, groups=8, bias=False)"
    assert repr(RMSNorm(8)) == "RMSNorm(8)"
    with pytest.raises(ValueError, match=r"CausalConv1d: expected groups that divide .* groups=3"):
        CausalConv1d(4, 4, 3, groups=3)


def test_rms_norm_leaves_a_root_mean_square_of_one() -> None:
    out = RMSNorm(50)(Tensor(5 + 3 * RNG.standard_normal((4, 50)).astype(np.float32))).data
    np.testing.assert_allclose(np.sqrt((out * out).mean(-1)), 1, rtol=1e-5)
