"""Activations that are computed again give the same gradients; hooks see what passes."""

import numpy as np
import pytest

import octavo
from octavo import nn
from octavo.nn import functional as F


class Branch(nn.Module):
    def __init__(self):
        self.fc = nn.MLP(32, 128, dropout=0.3)

    def forward(self, x, scale=1.0):
        return x + self.fc(x) * scale


def run(recomputed, layers=4):
    nn.random.seed(3)
    blocks = [Branch() for _ in range(layers)]
    x = nn.Tensor(np.random.default_rng(1).standard_normal((64, 32)).astype(np.float32), requires_grad=True)
    y = x * 1
    for block in blocks:
        y = nn.recompute(block, y, 0.5) if recomputed else block(y, 0.5)
    held = octavo.memory().current
    (y * y).mean().backward()
    return held, [x.grad.copy(), *(p.grad.copy() for b in blocks for p in b.parameters())], nn.random.state()


def test_recomputed_gradients_are_the_same_bits_and_hold_less():
    held, plain, state = run(False)
    held_again, again, state_again = run(True)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(plain, again, strict=True))
    assert state == state_again
    assert held_again < held / 2


def test_a_changed_argument_and_a_wrong_function_are_refused():
    x = nn.Tensor(np.ones(3, np.float32), requires_grad=True)
    out = nn.recompute(lambda x: x * x, x)
    x.add_(1)
    with pytest.raises(RuntimeError, match=r"backward of recompute: its argument args\[0\] was changed in place"):
        out.sum().backward()
    with pytest.raises(TypeError, match="recompute: expected a function that returns one tensor, got list"):
        nn.recompute(lambda x: x.unbind(0), x)


def test_hooks_see_and_replace_gradients():
    seen = []
    x = nn.Tensor(np.arange(3, dtype=np.float32), requires_grad=True)
    y = x * 2
    y.retain_grad()
    handle = y.register_hook(lambda g: seen.append(g.copy()))
    x.register_hook(lambda g: g * 10)
    (y * y + y).sum().backward()
    assert np.array_equal(seen[0], 2 * y.data + 1)
    assert np.array_equal(y.grad, seen[0])
    assert np.array_equal(x.grad, 20 * seen[0])
    handle.remove()
    (x * 2).sum().backward(retain_graph=True)
    assert len(seen) == 1
    with pytest.raises(RuntimeError, match="register_hook: this tensor has no gradient"):
        x.detach().register_hook(print)


def test_a_leaf_s_hook_sees_the_whole_gradient_once():
    seen = []
    w = nn.Parameter(np.ones(2, np.float32))
    w.register_hook(lambda g: seen.append(g.copy()))
    (w * w * w).sum().backward()
    assert [g.tolist() for g in seen] == [[3.0, 3.0]]


def test_forward_hooks_show_activations():
    layer, seen = nn.Linear(3, 2), []
    handle = layer.register_forward_hook(lambda module, args, out: seen.append((module, args[0].shape, out.shape)))
    x = nn.Tensor(np.ones((4, 3), np.float32))
    layer(x)
    assert seen == [(layer, (4, 3), (4, 2))]
    handle.remove()
    layer.register_forward_hook(lambda module, args, out: F.relu(out))
    assert layer(x).data.min() >= 0
    assert len(seen) == 1
