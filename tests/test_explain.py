"""A value that is not finite is traced to the op, module, tensor and position where it first was."""

import numpy as np
import pytest

from octavo import nn
from octavo.nn import functional as F
from octavo.nn.explain import NonFiniteValue

SHAPE = nn.GPTConfig(vocab_size=16, context=8, layers=2, heads=2, width=16, dropout=0.1)
IDS = np.random.default_rng(0).integers(0, 16, (2, 8))


def found(run, model=None) -> NonFiniteValue:
    with pytest.raises(NonFiniteValue) as caught, nn.explain_nan(model):
        run()
    return caught.value


def gpt():
    nn.random.seed(1)
    return nn.GPT(SHAPE)


def loss(model):
    model.loss(IDS, IDS).backward()


def test_nothing_to_explain():
    with nn.explain_nan():
        loss(gpt())


def test_nan_in_data():
    data = np.ones((4, 3), np.float32)
    data[2, 1] = np.nan
    layer = nn.Linear(3, 2)
    fault = found(lambda: layer(nn.Tensor(data)))
    assert (fault.op, fault.tensor, fault.position) == ("linear", "x", (2, 1))
    assert "linear (Linear) was given x, which no op made, with nan at [2, 1]" in str(fault)


def test_nan_in_a_weight():
    model = gpt()
    model.h[1].mlp.proj.weight.data[3, 5] = np.nan
    fault = found(lambda: loss(model), model)
    assert (fault.op, fault.module, fault.tensor) == ("linear", "h.1.mlp.proj", "h.1.mlp.proj.weight")
    assert fault.position == (3, 5)
    assert "1 of its 1,024 values" in str(fault)


def test_overflow_in_attention():
    model = gpt()
    model.h[1].attn.qkv.weight.data[:32] *= 1e22  # queries and keys whose products leave float32
    fault = found(lambda: loss(model), model)
    assert (fault.op, fault.module, fault.tensor) == ("attention", "h.1.attn", "out")
    text = str(fault)
    assert "although its inputs are finite" in text
    assert "from linear in h.1.attn.qkv" in text


def test_infinity_in_a_backward_pass():
    class Root(nn.Module):
        def forward(self, x):
            return x.sqrt()

    class Outer(nn.Module):
        def __init__(self):
            self.inner = Root()

        def forward(self, x):
            return self.inner(x).sum()

    x = nn.Tensor(np.array([1.0, 0.0]), requires_grad=True)
    fault = found(lambda: Outer()(x).backward())
    assert (fault.op, fault.module, fault.tensor, fault.position) == ("sqrt_backward", "inner", "dx", (1,))


def test_the_infinity_of_a_mask_is_no_fault():
    x = np.array([[0.0, -np.inf]], np.float32)
    with nn.explain_nan():
        F.softmax(nn.Tensor(x))
    fault = found(lambda: nn.Tensor(x) - x)
    assert (fault.op, fault.position) == ("sub", (0, 1))


def test_the_module_is_named_where_activations_are_recomputed():
    class Blocks(nn.Module):
        def __init__(self):
            self.h = [nn.Linear(3, 3), nn.Linear(3, 3)]

        def forward(self, x):
            for block in self.h:
                x = nn.recompute(block, x)
            return x.sum()

    model = Blocks()
    out = model(nn.Tensor(np.ones((2, 3), np.float32)))
    model.h[1].weight.data[0, 2] = np.nan
    fault = found(out.backward)
    assert (fault.module, fault.tensor, fault.position) == ("h.1", "h.1.weight", (0, 2))
