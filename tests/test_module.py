"""Modules: names, shared parameters, loading, modes."""

import numpy as np
import pytest

from octavo.nn import MLP, Dropout, LayerNorm, Linear, Module, Parameter, Sequential, Tensor
from octavo.nn import functional as F


class Net(Module):
    def __init__(self) -> None:
        self.first = Linear(3, 3)
        self.rest = [Linear(3, 3, bias=False), LayerNorm(3)]
        self.again = self.first.weight
        self.scale = Parameter([2.0])
        self.dropout = Dropout(0.5)


def test_parameters_are_named_by_their_path_and_shared_ones_come_once() -> None:
    net = Net()
    assert [name for name, _ in net.named_parameters()] == [
        "again",
        "scale",
        "first.bias",
        "rest.0.weight",
        "rest.1.weight",
        "rest.1.bias",
    ]
    assert net.num_parameters() == 9 + 1 + 3 + 9 + 3 + 3
    assert [name for name, _ in net.named_modules()] == ["", "first", "rest.0", "rest.1", "dropout"]


def test_state_makes_the_round_trip() -> None:
    one, other = Net(), Net()
    assert (one.first.weight.data != other.first.weight.data).any()
    version = other.scale.version
    other.load_state_dict({name: x.astype(np.float64) for name, x in one.state_dict().items()})
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(a.data, b.data)
        assert b.dtype == np.float32
    assert other.scale.version == version + 1


def test_state_that_does_not_fit_is_refused_whole() -> None:
    net = Net()
    state = {name: np.ones_like(x) for name, x in net.state_dict().items()}
    state["scale"] = np.ones(2)
    state["rest.1.bias"] = np.ones(3, np.int64)
    state["extra"] = state.pop("first.bias")
    with pytest.raises(ValueError) as error:
        net.load_state_dict(state)
    for text in (
        "missing first.bias",
        "unexpected extra",
        "scale: expected floats of shape (1,), got float64 (2,)",
        "rest.1.bias: expected floats of shape (3,), got int64 (3,)",
    ):
        assert text in str(error.value)
    assert not (net.again.data == 1).any()
    net.load_state_dict({"scale": np.array([5.0]), "extra": np.ones(1)}, strict=False)
    assert net.scale.item() == 5


def test_modes_and_dtypes_reach_every_module() -> None:
    net = Net()
    net.eval()
    assert not any(module.training for module in net.modules())
    net.train()
    assert all(module.training for module in net.modules())
    net.scale.grad = np.ones(1, np.float32)
    net.to(np.float64)
    assert {p.dtype for p in net.parameters()} == {np.dtype(np.float64)} and net.scale.grad is None
    with pytest.raises(TypeError, match="expected float32, float64 or bfloat16, got float16"):
        net.to(np.float16)


def test_repr_is_a_tree() -> None:
    assert repr(MLP(2, 8, bias=False, dropout=0.1)).splitlines() == [
        "MLP()",
        "  fc: Linear(2, 8, bias=False, gelu_tanh)",
        "  proj: Linear(8, 2, bias=False)",
        "  dropout: Dropout(0.1)",
    ]


def test_a_module_without_forward_says_so() -> None:
    with pytest.raises(NotImplementedError, match="Net does not define forward"):
        Net()(1)
    with pytest.raises(ValueError, match="expected 0 <= p < 1, got 1"):
        Dropout(1)


def test_sequential_calls_one_after_another() -> None:
    model = Sequential(Linear(3, 4), F.relu, Linear(4, 2))
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert repr(model) == "Sequential(1: relu)\n  0: Linear(3, 4)\n  2: Linear(4, 2)"
    x = Tensor(np.ones((5, 3), np.float32))
    first, _, last = model.steps
    np.testing.assert_array_equal(model(x).data, last(F.relu(first(x))).data)
    with pytest.raises(TypeError, match="Sequential: expected modules and functions, got int as number 1"):
        Sequential(Linear(3, 4), 4)
