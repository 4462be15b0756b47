"""The learning-rate range test: it suggests a rate that trains, and leaves no trace."""

import numpy as np
import pytest
from click.testing import CliRunner

import octavo
from octavo import nn
from octavo.cli import main
from octavo.nn import random
from octavo.nn.lr_find import draw_rates

RNG = np.random.default_rng(3)
X = RNG.standard_normal((64, 4)).astype(np.float32)
Y = X @ np.array([[1.0], [-2.0], [0.5], [3.0]], np.float32)


class Problem:
    """A linear one with dropout, whose loss SGD reduces at rates below 1."""

    def __init__(self):
        octavo.seed(7)
        self.model = nn.Linear(4, 1)
        self.dropout = nn.Dropout(0.1)
        self.optimizer = nn.SGD(self.model.parameters(), lr=0.01, momentum=0.9)

    def loss(self):
        return nn.functional.mse_loss(self.model(self.dropout(nn.Tensor(X))), Y)


def test_the_suggestion_trains_and_the_test_leaves_no_trace():
    problem = Problem()
    problem.loss().backward()
    problem.optimizer.step()
    problem.model.zero_grad()
    weights = {name: x.copy() for name, x in problem.model.state_dict().items()}
    state = {name: np.copy(x) for name, x in problem.optimizer.state_dict().items()}
    drawn = random.state()
    found = nn.lr_find(problem.model.eval(), problem.loss, problem.optimizer)
    assert not problem.model.training and problem.optimizer.lr == 0.01 and random.state() == drawn
    assert all(np.array_equal(x, weights[name]) for name, x in problem.model.state_dict().items())
    assert all(np.array_equal(x, state[name]) for name, x in problem.optimizer.state_dict().items())
    assert all(p.grad is None for p in problem.model.parameters())
    assert len(found.rates) == len(found.losses) == len(found.smoothed) < 100  # it diverged
    problem.optimizer.lr = found.suggestion
    problem.dropout.eval()
    first = problem.loss().item()
    for _ in range(50):
        problem.loss().backward()
        problem.optimizer.step()
        problem.model.zero_grad()
    assert problem.loss().item() < 0.3 * first


def test_batches_that_accumulate_are_one_batch():
    one, two = (Problem() for _ in range(2))
    one.dropout.eval()
    two.dropout.eval()
    halves = iter([slice(0, 32), slice(32, 64)] * 1000)

    def half():
        part = next(halves)
        return nn.functional.mse_loss(two.model(nn.Tensor(X[part])), Y[part])

    whole = nn.lr_find(one.model, one.loss, one.optimizer, clip=1.0)
    parts = nn.lr_find(two.model, half, two.optimizer, clip=1.0, accumulate=2)
    np.testing.assert_allclose(whole.losses[:60], parts.losses[:60], rtol=1e-4)


def test_the_picture_is_what_its_ending_says(tmp_path):
    problem = Problem()
    found = nn.lr_find(problem.model, problem.loss, problem.optimizer)
    for name, start in (("a.png", b"\x89PNG"), ("b.svg", b"<?xml")):
        draw_rates(found, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)


def test_it_refuses_what_it_cannot_test():
    problem = Problem()
    for options, message in (
        ({"low": 0.0}, "0 < low < high"),
        ({"steps": 3}, "steps: expected a whole number of at least 20, got 3"),
        ({"accumulate": 0}, "accumulate: expected"),
        ({"low": 1e3, "high": 1e4}, "fell at no rate from 1000 to 10000"),
    ):
        with pytest.raises(ValueError, match=message):
            nn.lr_find(problem.model, problem.loss, problem.optimizer, **options)
    with pytest.raises(ValueError, match="the first loss is not finite"):
        nn.lr_find(problem.model, lambda: problem.loss() * np.inf, problem.optimizer)


def test_the_command_suggests_draws_and_says_what_to_type(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the rate grows from step to step. " * 60)
    typed = "--tokenizer bytes --model mlp --width 8 --hidden 16 --taps 2 --context 16 --keep"
    picture = tmp_path / "a.svg"
    done = CliRunner().invoke(main, ["lr-find", str(text), *typed.split(), "--out", str(picture)])
    assert done.exit_code == 0, done.output
    assert picture.read_bytes().startswith(b"<?xml")
    rate = done.stdout.split("suggested  ")[1].split(",")[0]
    assert done.stdout.endswith(f"Next:\n  octavo train {text} {typed} --lr {rate}\n")
    assert 1e-4 < float(rate) < 1
    refused = CliRunner().invoke(main, ["lr-find", str(text), "--out", "a.txt"])
    assert refused.exit_code == 1 and "ends in .png, .svg or .pdf" in refused.stderr
