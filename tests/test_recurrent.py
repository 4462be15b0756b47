"""Recurrent layers: time goes one way, a state carries all of the past, and what PyTorch makes of the same weights."""

import numpy as np
import pytest

from octavo import nn
from octavo.nn import Tensor

LAYERS = {"gru": nn.GRU, "lstm": nn.LSTM}
RNG = np.random.default_rng(17)


@pytest.fixture(params=LAYERS)
def layer(request: pytest.FixtureRequest) -> nn.Module:
    nn.random.seed(3)
    layer = LAYERS[request.param](5, 19, layers=2)
    for parameter in layer.parameters():
        parameter.add_(RNG.standard_normal(parameter.shape).astype(np.float32) * 0.1)
    return layer


def inputs(batch: int, steps: int) -> np.ndarray:
    return RNG.standard_normal((batch, steps, 5)).astype(np.float32)


def by_kind(state: list) -> list[np.ndarray]:
    """(layers, B, width) of the states, and of the cells of an LSTM, as PyTorch has them."""
    kinds = zip(*(s if isinstance(s, tuple) else (s,) for s in state), strict=True)
    return [np.stack([layer.data for layer in kind]) for kind in kinds]


@pytest.mark.parametrize("batch", [1, 3])
def test_no_step_depends_on_later_ones(layer: nn.Module, batch: int) -> None:
    x = inputs(batch, 6)
    before = layer(Tensor(x))[0].data
    for t in range(6):
        changed = x.copy()
        changed[:, t] += 1
        after = layer(Tensor(changed))[0].data
        np.testing.assert_array_equal(after[:, :t], before[:, :t])
        assert (after[:, t:] != before[:, t:]).any(axis=(0, 2)).all()


@pytest.mark.parametrize("batch", [1, 3])
def test_pieces_with_the_state_equal_the_whole(layer: nn.Module, batch: int) -> None:
    x = inputs(batch, 7)
    whole, last = layer(Tensor(x))
    state, found = None, []
    for piece in (x[:, :1], x[:, 1:5], x[:, 5:6], x[:, 6:]):
        out, state = layer(Tensor(piece), state)
        found.append(out.data)
    np.testing.assert_allclose(np.concatenate(found, 1), whole.data, rtol=1e-5, atol=1e-6)
    for a, b in zip(by_kind(state), by_kind(last), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_gradients_reach_the_past_through_the_state(layer: nn.Module) -> None:
    x = inputs(3, 6)
    gradients = []
    for cut in (0, 2):
        layer.zero_grad()
        state = layer(Tensor(x[:, :cut]))[1] if cut else None
        (layer(Tensor(x[:, cut:]), state)[0][:, -1]).sum().backward()
        gradients.append([p.grad for p in layer.parameters()])
    for a, b in zip(*gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_layers_say_what_they_are_and_refuse_what_does_not_fit() -> None:
    layer = nn.GRU(5, 8, layers=2, bias=False)
    assert repr(layer).splitlines()[0] == "GRU(5, 8, layers=2, bias=False)"
    with pytest.raises(ValueError, match="LSTM: expected inputs, width and layers of at least 1, got 5, 0, 1"):
        nn.LSTM(5, 0)
    with pytest.raises(ValueError, match="GRU: state: expected one for each of 2 layers, got 1"):
        layer(Tensor(inputs(1, 2)), [None])
    with pytest.raises(ValueError, match=r"GRU: x: expected \(B, T, 5\), at least one step, got \(1, 0, 5\)"):
        layer(Tensor(inputs(1, 0)))


@pytest.mark.peers
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("batch, width, layers, bias", [(1, 40, 1, True), (9, 33, 2, False), (32, 64, 2, True)])
def test_equals_pytorch(name: str, batch: int, width: int, layers: int, bias: bool) -> None:
    import torch

    theirs = getattr(torch.nn, name.upper())(5, width, layers, bias, batch_first=True)
    ours = LAYERS[name](5, width, layers, bias)
    ours.load_state_dict({n: p.numpy() for n, p in theirs.state_dict().items()})
    x, dout = inputs(batch, 12), RNG.standard_normal((batch, 12, width)).astype(np.float32)
    x_ours, x_theirs = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    (out, state), (expected, last) = ours(x_ours), theirs(x_theirs)
    np.testing.assert_allclose(out.data, expected.detach(), atol=1e-5)
    for a, b in zip(by_kind(state), [last] if name == "gru" else last, strict=True):
        np.testing.assert_allclose(a, b.detach(), atol=1e-5)
    out.backward(dout)
    expected.backward(torch.tensor(dout))
    pairs = [
        (x_ours.grad, x_theirs.grad),
        *((p.grad, theirs.get_parameter(n).grad) for n, p in ours.named_parameters()),
    ]
    for a, b in pairs:
        np.testing.assert_allclose(a, b, atol=1e-4 * float(b.abs().max()))
