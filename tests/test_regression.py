"""Least squares in closed form: what makes a solution one, and where gradient descent of a linear layer ends."""

import numpy as np
import pytest

from octavo import nn
from octavo.nn import Tensor
from octavo.nn import functional as F

RNG = np.random.default_rng(31)


def data(rows: int = 40, inputs: int = 3, outputs: int = 2) -> tuple[np.ndarray, np.ndarray]:
    x = RNG.standard_normal((rows, inputs)) + 1
    return x, x @ RNG.standard_normal((inputs, outputs)) + 7 + RNG.standard_normal((rows, outputs))


@pytest.mark.parametrize("ridge", [0.0, 3.5])
def test_the_gradient_vanishes_at_the_solution(ridge: float) -> None:
    x, y = data()
    weight, bias = nn.least_squares(x, y, ridge)
    left = x @ weight.T + bias - y
    assert weight.shape == (2, 3) and bias.shape == (2,) and weight.dtype == bias.dtype == np.float64
    np.testing.assert_allclose(left.T @ x + ridge * weight, 0, atol=1e-10)
    np.testing.assert_allclose(left.sum(0), 0, atol=1e-10)


@pytest.mark.parametrize("ridge", [0.0, 20.0])
def test_gradient_descent_of_a_linear_layer_ends_there(ridge: float) -> None:
    x, y = data()
    weight, bias = nn.least_squares(x, y, ridge)
    layer = nn.Linear(3, 2).to("float64")
    optimizer = nn.SGD(layer.parameters(), lr=0.05, momentum=0.8)
    for _ in range(300):
        loss = F.mse_loss(layer(Tensor(x)), Tensor(y), "sum") + ridge * layer.weight.square().sum()
        (loss / len(x)).backward()
        optimizer.step()
        optimizer.zero_grad()
    np.testing.assert_allclose(layer.weight.data, weight, rtol=1e-6)
    np.testing.assert_allclose(layer.bias.data, bias, rtol=1e-6)


def test_dependent_columns_share_their_weight() -> None:
    x, y = data(inputs=1)
    weight, bias = nn.least_squares(x, y)
    thrice, same = nn.least_squares(np.concatenate([x, 2 * x], 1), y)
    np.testing.assert_allclose(thrice, weight * np.array([0.2, 0.4]))
    np.testing.assert_allclose(same, bias)
    few, _ = nn.least_squares(np.eye(3)[:1], [[4.0]])
    np.testing.assert_array_equal(few, 0)


def test_it_takes_leading_axes_tensors_and_integers() -> None:
    x, y = data()
    expected = nn.least_squares(x, y)
    for found in (
        nn.least_squares(x.reshape(5, 8, 3), y.reshape(5, 8, 2)),
        nn.least_squares(Tensor(x), nn.Parameter(y)),
        nn.least_squares(x.tolist(), y.tolist()),
    ):
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    weight, bias = nn.least_squares(np.arange(4)[:, None], np.arange(4)[:, None] * 3 + 2)
    assert weight.item() == pytest.approx(3) and bias.item() == pytest.approx(2)


def test_without_inputs_the_bias_is_the_mean() -> None:
    weight, bias = nn.least_squares(np.ones((4, 0)), data(4)[1] * 0 + [3.0, 5.0], ridge=1.0)
    assert weight.shape == (2, 0)
    np.testing.assert_array_equal(bias, [3, 5])


def test_what_does_not_fit_is_refused() -> None:
    x, y = data()
    for arguments, message in (
        ((x, y[:-1]), r"at least one row, got \(40, 3\) and \(39, 2\)"),
        ((x, y[:, 0]), r"y \(S..., outputs\) .* got \(40, 3\) and \(40,\)"),
        ((x[:0], y[:0]), "at least one row"),
        ((x[0], y[0]), r"got \(3,\) and \(2,\)"),
        ((x, y, -1.0), "ridge: expected a finite number of at least 0, got -1.0"),
        ((x, y * np.inf), "y: expected finite numbers, got NaN or infinity"),
    ):
        with pytest.raises(ValueError, match=message):
            nn.least_squares(*arguments)
    with pytest.raises(TypeError, match="x: expected numbers, got <U1"):
        nn.least_squares([["a"]], [[1.0]])
