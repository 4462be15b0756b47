import time

import numpy as np
import pytest

from octavo import kernels, nn
from octavo.kernels import dispatch
from octavo.nn.profile import Profile

X = np.ones(4, np.float32)


def slow(seconds, *, then=None):
    def kernel(x):
        if then is not None:
            then(x)
        time.sleep(seconds)
        return x

    return kernel


def test_a_training_adds_up_without_its_first_step_and_its_evaluation():
    model = nn.GPT(nn.GPTConfig(vocab_size=16, context=8, layers=2, heads=2, width=16))
    tokens = np.arange(200, dtype=np.uint16) % 16
    config = nn.TrainConfig(steps=4, batch_size=2, eval_every=2, eval_batches=3, warmup=0)
    with nn.profile() as table:
        nn.Trainer(model, config, tokens, tokens, callbacks=[table]).fit()
    assert table.steps == 3
    # A block has four linear layers, and their backward op is a row of its own.
    assert table["linear"].calls == table["linear_backward"].calls == 3 * 2 * 4
    assert table["linear_cross_entropy"].calls == table["adamw_"].calls / 2 == 3
    lines = str(table).splitlines()
    assert lines[0].startswith("mean of 3 steps: ") and lines[-1].startswith("rest")
    whole = 1e3 * table.seconds / table.steps
    assert sum(float(line.split()[-2]) for line in lines[2:]) == pytest.approx(whole, abs=1e-3 * len(lines))
    assert sum(float(line.split()[-1].rstrip("%")) for line in lines[2:]) == pytest.approx(100, abs=0.05 * len(lines))
    assert 0 < sum(row.seconds for row in table.values()) < table.seconds


def test_an_op_in_an_op_is_not_counted_twice(monkeypatch):
    monkeypatch.setitem(kernels.tanh._kernels, "cpu", slow(0.02))
    monkeypatch.setitem(kernels.exp._kernels, "cpu", slow(0.01, then=kernels.tanh))
    with nn.profile() as table:
        kernels.exp(X)
    assert table.steps == table["exp"].calls == table["tanh"].calls == 1
    assert table["exp"].seconds >= 0.01 and table["tanh"].seconds >= 0.02
    assert table["exp"].seconds + table["tanh"].seconds <= table.seconds
    assert [line.split()[0] for line in str(table).splitlines()[2:]] == ["tanh", "exp", "rest"]


def test_steps_of_a_loop(monkeypatch):
    monkeypatch.setitem(kernels.exp._kernels, "cpu", slow(0))
    with nn.profile() as table:
        table.step()
        assert str(table).startswith("no step was measured: the first one")
        for calls in (1, 4):
            for _ in range(calls):
                kernels.exp(X)
            table.step()
        kernels.exp(X)
    assert (table.steps, table["exp"].calls) == (2, 5)
    assert str(table).splitlines()[2].split()[:2] == ["exp", "2.5"]


def test_an_error_leaves_no_watcher_and_no_open_op(monkeypatch):
    def fails(x):
        raise OSError("no")

    monkeypatch.setitem(kernels.exp._kernels, "cpu", fails)
    monkeypatch.setitem(kernels.tanh._kernels, "cpu", slow(0, then=kernels.exp))
    with pytest.raises(OSError), nn.profile() as table:
        kernels.tanh(X)
    assert not dispatch._watches and isinstance(table, Profile)
    assert table["exp"].calls == table["tanh"].calls == 1
    kernels.sigmoid(X)
    assert "sigmoid" not in table
