"""Layers against their definitions, written out."""

import numpy as np
import pytest

from octavo.kernels import conv2d, conv2d_backward
from octavo.kernels.cpu import conv2d as on_cpu
from octavo.nn import CausalConv1d, Conv2d, MaxPool2d, RMSNorm, Tensor

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


@pytest.mark.peers
@pytest.mark.parametrize("options", [{}, {"padding": 1}, {"stride": 2, "padding": 2, "bias": False}])
def test_convolution_and_pooling_of_images_equal_pytorch(options: dict) -> None:
    import torch

    theirs, ours = torch.nn.Conv2d(6, 20, 3, **options), Conv2d(6, 20, 3, **options)
    ours.load_state_dict({n: p.numpy() for n, p in theirs.state_dict().items()})
    x = RNG.standard_normal((5, 6, 14, 10)).astype(np.float32)
    x_ours, x_theirs = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    out, expected = MaxPool2d(2)(ours(x_ours)), torch.nn.MaxPool2d(2)(theirs(x_theirs))
    np.testing.assert_allclose(out.data, expected.detach(), atol=1e-5)
    dout = RNG.standard_normal(out.shape).astype(np.float32)
    out.backward(dout)
    expected.backward(torch.tensor(dout))
    pairs = [(p.grad, theirs.get_parameter(n).grad) for n, p in ours.named_parameters()]
    for a, b in [(x_ours.grad, x_theirs.grad), *pairs]:
        np.testing.assert_allclose(a, b, atol=1e-4 * float(b.abs().max()))


def test_a_batch_of_images_that_is_cut_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, bias = (RNG.standard_normal(shape) for shape in [(5, 3, 6, 7), (4, 3, 3, 3), 4])
    out = conv2d(x, weight, bias, 2, 1)
    dout = RNG.standard_normal(out.shape)
    gradients = conv2d_backward(dout, x, weight, bias, 2, 1)
    assert len(on_cpu.parts(out.shape, weight.reshape(4, -1))) == 1
    for images, parts in [(1, 5), (2, 3)]:
        monkeypatch.setattr(on_cpu, "MOST", images * 3 * 4 * 27)
        assert len(on_cpu.parts(out.shape, weight.reshape(4, -1))) == parts
        np.testing.assert_allclose(conv2d(x, weight, bias, 2, 1), out, rtol=1e-12, atol=1e-12)
        for cut, whole in zip(conv2d_backward(dout, x, weight, bias, 2, 1), gradients, strict=True):
            np.testing.assert_allclose(cut, whole, rtol=1e-12, atol=1e-12)


def test_a_gradient_of_another_shape_than_the_output_is_refused() -> None:
    with pytest.raises(ValueError, match=r"conv2d_backward: dout: expected .*, \(1, 1, 2, 2\), got \(1, 1, 2, 3\)"):
        conv2d_backward(np.ones((1, 1, 2, 3)), np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)), None, 1, 0)


def test_pooling_takes_the_largest_of_a_square() -> None:
    x = Tensor(np.float32([[1, 2, 0, 0], [4, 3, 0, 0]]), requires_grad=True)
    out = MaxPool2d(2)(x)
    out.backward(np.float32([[6, 8]]))
    assert out.data.tolist() == [[4, 0]]
    assert x.grad.tolist() == [[0, 0, 2, 2], [6, 0, 2, 2]]
    with pytest.raises(ValueError, match=r"MaxPool2d: x: expected .* multiples of size=2, got \(4, 3\); "):
        MaxPool2d(2)(Tensor(np.zeros((4, 3))))


def test_layers_say_what_they_are() -> None:
    assert repr(CausalConv1d(8, 8, 4, groups=8, bias=False)) == "CausalConv1d(8, 8, taps=4, groups=8, bias=False)"
    assert repr(RMSNorm(8)) == "RMSNorm(8)"
    assert repr(Conv2d(3, 8, 5)) == "Conv2d(3, 8, size=5)"
    assert repr(Conv2d(3, 8, 5, 2, 1, False)) == "Conv2d(3, 8, size=5, stride=2, padding=1, bias=False)"
    assert repr(MaxPool2d(2)) == "MaxPool2d(2)"
    with pytest.raises(ValueError, match=r"Conv2d: expected .* at least 1, and padding .* stride=0, padding=0"):
        Conv2d(3, 8, 5, stride=0)
    with pytest.raises(ValueError, match="MaxPool2d: expected a size of at least 1, got 0"):
        MaxPool2d(0)
    with pytest.raises(ValueError, match=r"CausalConv1d: expected groups that divide .* groups=3"):
        CausalConv1d(4, 4, 3, groups=3)


def test_rms_norm_leaves_a_root_mean_square_of_one() -> None:
    out = RMSNorm(50)(Tensor(5 + 3 * RNG.standard_normal((4, 50)).astype(np.float32))).data
    np.testing.assert_allclose(np.sqrt((out * out).mean(-1)), 1, rtol=1e-5)
