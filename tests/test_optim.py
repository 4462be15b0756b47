"""Optimisers against their formulas, their groups and their state."""

import numpy as np
import pytest

from octavo.nn import SGD, AdamW, Linear, Lion, Muon, Parameter, clip_grad_norm, decay_groups
from octavo.nn.optim import Group

RNG = np.random.default_rng(0)


def parameters() -> list[Parameter]:
    made = [Parameter(RNG.standard_normal(shape)) for shape in ((3, 4), (4,))]
    for p in made:
        p.grad = RNG.standard_normal(p.shape)
    return made


def test_adamw_follows_its_formula() -> None:
    params = parameters()
    x, g = params[0].data.copy(), params[0].grad
    m, v = np.zeros_like(x), np.zeros_like(x)
    optimizer = AdamW(params, lr=0.1, betas=(0.8, 0.9), eps=1e-6, weight_decay=0.5)
    for t in range(1, 4):
        optimizer.step(grad_scale=0.5)
        m = 0.8 * m + 0.2 * (0.5 * g)
        v = 0.9 * v + 0.1 * (0.5 * g) ** 2
        x = x * (1 - 0.1 * 0.5) - 0.1 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.9**t)) + 1e-6)
        np.testing.assert_allclose(params[0].data, x, rtol=1e-12)
    assert params[0].version == 3


def test_sgd_follows_its_formula() -> None:
    params = parameters()
    x, g, b = params[1].data.copy(), params[1].grad, 0.0
    optimizer = SGD(params, lr=0.1, momentum=0.9, weight_decay=0.01)
    for _ in range(3):
        optimizer.step()
        b = 0.9 * b + g + 0.01 * x
        x = x - 0.1 * b
        np.testing.assert_allclose(params[1].data, x, rtol=1e-12)


def test_only_matrices_decay() -> None:
    layer = Linear(3, 2)
    groups = decay_groups(layer, 0.1)
    assert [(g.params, g.weight_decay) for g in groups] == [([layer.weight], 0.1), ([layer.bias], 0.0)]
    layer.bias.data += 1
    before = layer.weight.data.copy()
    for p in layer.parameters():
        p.grad = np.zeros_like(p.data)
    AdamW(groups, lr=0.5).step()
    np.testing.assert_allclose(layer.weight.data, before * 0.95, rtol=1e-6)
    assert (layer.bias.data == 1).all()


def test_groups_may_have_their_own_rate_and_parameters_no_gradient() -> None:
    a, b = parameters()
    before = b.data.copy(), a.data.copy()
    optimizer = SGD([Group([a]), Group([b], lr=0.0)], lr=0.1)
    optimizer.step()
    np.testing.assert_array_equal(b.data, before[0])
    np.testing.assert_allclose(a.data, before[1] - 0.1 * a.grad, rtol=1e-12)
    moved = a.data.copy()
    optimizer.zero_grad()
    optimizer.step()
    np.testing.assert_array_equal(a.data, moved)


def test_clipping_leaves_the_gradients_and_gives_a_factor() -> None:
    params = parameters()
    expected = np.sqrt(sum((p.grad**2).sum() for p in params))
    before = [p.grad.copy() for p in params]
    norm, scale = clip_grad_norm(params, 0.5)
    np.testing.assert_allclose([norm, scale], [expected, 0.5 / expected], rtol=1e-12)
    assert clip_grad_norm(params, 1e3)[1] == 1
    for p, grad in zip(params, before, strict=True):
        np.testing.assert_array_equal(p.grad, grad)
    assert clip_grad_norm([Parameter([1.0])], 1.0) == (0.0, 1.0)
    with pytest.raises(ValueError, match="max_norm: expected a positive number, got 0"):
        clip_grad_norm(params, 0)


def test_state_lets_a_run_go_on() -> None:
    params = parameters()
    optimizer = AdamW(params, lr=0.1)
    optimizer.step()
    state = {name: np.copy(x) if isinstance(x, np.ndarray) else x for name, x in optimizer.state_dict().items()}
    values = [p.data.copy() for p in params]
    optimizer.step()
    expected = [p.data.copy() for p in params]
    for p, value in zip(params, values, strict=True):
        p.copy_(value)
    again = AdamW(params, lr=0.1)
    again.load_state_dict(state)
    again.step()
    for p, value in zip(params, expected, strict=True):
        np.testing.assert_array_equal(p.data, value)
    state["exp_avgs.1"] = np.ones(5)
    del state["exp_avgs.0"]
    with pytest.raises(ValueError, match=r"exp_avgs.1: expected shape \(4,\), got \(5,\); missing exp_avgs.0"):
        again.load_state_dict(state)


def test_bad_hyperparameters_are_refused() -> None:
    params = parameters()
    with pytest.raises(ValueError, match="expected parameters, got none"):
        SGD([], lr=0.1)
    with pytest.raises(ValueError, match="given twice"):
        SGD([params[0], params[0]], lr=0.1)
    with pytest.raises(ValueError, match="lr: expected a finite number of at least 0, got -1"):
        AdamW(params, lr=-1)
    with pytest.raises(ValueError, match="betas: expected two numbers"):
        AdamW(params, betas=(0.9, 1.0))
    with pytest.raises(ValueError, match="momentum: expected a number in"):
        SGD(params, lr=0.1, momentum=1)


def test_lion_muon_and_nesterov_step_and_keep_their_state() -> None:
    for make in (
        lambda ps: Lion(ps, lr=0.01, weight_decay=0.1),
        lambda ps: Muon(ps[:1], lr=0.01),
        lambda ps: SGD(ps, lr=0.01, momentum=0.9, nesterov=True),
    ):
        params = parameters()
        before = params[0].data.copy()
        optimizer = make(params)
        optimizer.step()
        assert 0 < np.abs(params[0].data - before).max() < 0.1
        again = make(params)
        again.load_state_dict(optimizer.state_dict())
        assert again.step_count == 1
    with pytest.raises(
        ValueError, match=r"Muon: expected matrices, got parameters of shape \(4,\); give those to AdamW"
    ):
        Muon(parameters())
    with pytest.raises(ValueError, match="nesterov: expected momentum above 0"):
        SGD(parameters(), lr=0.1, nesterov=True)
