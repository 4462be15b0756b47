"""Mixtures of Gaussians: their density written out, its gradient, draws, and fits to data."""

import numpy as np
import pytest
from differences import check

import octavo
from octavo import nn
from octavo.nn import Tensor

RNG = np.random.default_rng(29)
SHAPES = [(0, 1, 2), (0, 2, 3), (3, 1, 1), (4, 3, 2)]  # features, dimensions, components


def mixture(features: int, dimensions: int, components: int) -> nn.GaussianMixture:
    """One in float64 whose parameters all matter."""
    octavo.seed(4)
    head = nn.GaussianMixture(features, dimensions, components).to("float64")
    for parameter in head.parameters():
        parameter.add_(RNG.standard_normal(parameter.shape) * 0.3)
    return head


def moments(head: nn.GaussianMixture, x: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, means and covariances."""
    logits, means, factors = (parameter.data for parameter in head(x))
    weights = np.exp(logits)
    return weights / weights.sum(-1, keepdims=True), means, np.linalg.inv(factors @ factors.swapaxes(-1, -2))


def samples(features: int, dimensions: int, leading: tuple[int, ...]) -> tuple[np.ndarray | None, np.ndarray]:
    x = RNG.standard_normal((*leading, features)) if features else None
    return x, RNG.standard_normal((*leading, dimensions)) * 2


@pytest.mark.parametrize("leading", [(), (5,), (2, 3)])
@pytest.mark.parametrize("sizes", SHAPES)
def test_log_prob_is_the_formula(sizes: tuple[int, int, int], leading: tuple[int, ...]) -> None:
    head = mixture(*sizes)
    x, y = samples(*sizes[:2], leading)
    weights, means, covariances = moments(head, x)
    d = y[..., None, :] - means
    distances = np.einsum("...i,...ij,...j->...", d, np.linalg.inv(covariances), d)
    norms = np.sqrt(np.linalg.det(2 * np.pi * covariances))
    expected = np.log((weights * np.exp(-distances / 2) / norms).sum(-1))
    np.testing.assert_allclose(head.log_prob(x, y).data, expected, rtol=1e-12)
    np.testing.assert_allclose(head.loss(x, y, "none").data, -expected, rtol=1e-12)
    assert head.loss(x, y).item() == pytest.approx(-expected.mean())
    assert head.loss(x, y, "sum").item() == pytest.approx(-expected.sum())


@pytest.mark.parametrize("sizes", SHAPES)
def test_gradient_equals_differences(sizes: tuple[int, int, int]) -> None:
    head = mixture(*sizes)
    x, y = samples(*sizes[:2], (2, 3))
    given = {"y": Tensor(y, requires_grad=True)}
    if x is not None:
        given["x"] = Tensor(x, requires_grad=True)
    head.loss(given.get("x"), given["y"]).backward()
    for name, tensor in (*head.named_parameters(), *given.items()):
        check(lambda: head.loss(x, y).item(), name, tensor.data, tensor.grad)


def test_factors_are_triangular_with_a_positive_diagonal() -> None:
    factors = mixture(4, 3, 2)(RNG.standard_normal((7, 4)))[2].data
    np.testing.assert_array_equal(factors, np.tril(factors))
    assert (np.diagonal(factors, axis1=-2, axis2=-1) > 0).all() and (factors[..., 1, 0] != 0).all()


def test_it_begins_with_equal_weights_and_unit_covariances_about_random_means() -> None:
    octavo.seed(3)
    head = nn.GaussianMixture(4, 2, 5)
    logits, means, factors = (p.data for p in head(RNG.standard_normal((6, 4))))
    assert (logits == 0).all() and (factors == np.eye(2)).all()
    assert len(np.unique(means)) == means.size
    other = nn.GaussianMixture(4, 2, 5)
    assert (other.means.bias.data != head.means.bias.data).all()
    octavo.seed(3)
    np.testing.assert_array_equal(nn.GaussianMixture(4, 2, 5).means.bias.data, head.means.bias.data)


@pytest.mark.parametrize("far", [1e4, -1e15])
def test_far_points_have_finite_losses_and_gradients_in_float32(far: float) -> None:
    head = nn.GaussianMixture(3, 2, 4)
    loss = head.loss(np.ones((2, 3)), np.array([[far, 0], [far, far]]))
    assert loss.dtype == np.float32
    assert loss.item() == pytest.approx(0.75 * far**2, rel=1e-3)
    loss.backward()
    assert all(np.isfinite(p.grad).all() for p in head.parameters())


def test_the_mean_loss_of_nothing_is_zero() -> None:
    assert mixture(4, 3, 2).loss(np.ones((0, 4)), np.ones((0, 3))).item() == 0


def test_float32_is_near_float64() -> None:
    head = mixture(4, 3, 2)
    x, y = samples(4, 3, (50,))
    expected = head.log_prob(x, y).data
    np.testing.assert_allclose(head.to("float32").log_prob(x, y).data, expected, rtol=1e-5, atol=1e-5)


def test_samples_have_the_mean_and_covariance_of_the_density() -> None:
    head, count = mixture(2, 2, 3), 100_000
    x = np.array([[[1.0, -1.0]], [[0.0, 2.0]]])
    drawn = head.sample(x, seed=1, shape=(count,))
    assert drawn.shape == (count, 2, 1, 2)
    for i in range(2):
        weights, means, covariances = moments(head, x[i, 0])
        mean = weights @ means
        spread = np.einsum("k,ki,kj->ij", weights, means - mean, means - mean)
        covariance = np.einsum("k,kij->ij", weights, covariances) + spread
        scale = np.sqrt(np.diagonal(covariance))
        np.testing.assert_allclose(drawn[:, i, 0].mean(0) / scale, mean / scale, atol=5 * count**-0.5)
        error = (np.cov(drawn[:, i, 0].T) - covariance) / np.outer(scale, scale)
        assert np.abs(error).max() < 15 * count**-0.5


def test_draws_repeat_by_seed_and_follow_the_seed_of_all() -> None:
    head = mixture(0, 2, 3)
    assert head.sample().shape == (2,)
    np.testing.assert_array_equal(head.sample(seed=5, shape=(4,)), head.sample(None, 5, (4,)))
    octavo.seed(6)
    first, second = head.sample(shape=(4,)), head.sample(shape=(4,))
    assert (first != second).all()
    octavo.seed(6)
    np.testing.assert_array_equal(head.sample(shape=(4,)), first)
    assert head.to("float32").sample().dtype == np.float32
    with pytest.raises(ValueError, match=r"seed: expected an integer of 0 to \d+, got -1"):
        head.sample(seed=-1)


def blobs(units: float = 1.0) -> np.ndarray:
    """500 points of three Gaussians, one of them narrow and slanted."""
    rng = np.random.default_rng(2)
    factors = np.array([[[1, 0], [0, 1]], [[2, 0], [1.98, 0.05]], [[0.3, 0], [0, 1.5]]])
    k = rng.choice(3, 500, p=[0.5, 0.3, 0.2])
    means = np.array([[-4, 0], [3, 3], [3, -3]])
    return (means[k] + np.einsum("nij,nj->ni", factors[k], rng.standard_normal((500, 2)))) * units


def test_a_mixture_finds_the_components_of_data() -> None:
    y = blobs()
    head = nn.GaussianMixture(0, 2, 3).start_from(y, seed=1)
    optimizer = nn.AdamW(head.parameters(), weight_decay=0)
    for step in range(200):
        head.loss(None, y).backward()
        optimizer.lr = 0.1 * (1 - step / 200)
        optimizer.step()
        optimizer.zero_grad()
    weights, means, covariances = moments(head)
    order = weights.argsort()
    np.testing.assert_allclose(weights[order], [0.2, 0.3, 0.5], atol=0.05)
    np.testing.assert_allclose(means[order], [[3, -3], [3, 3], [-4, 0]], atol=0.4)
    np.testing.assert_allclose(np.linalg.det(covariances[order]), [0.2025, 0.01, 1], rtol=0.3)


@pytest.mark.parametrize("units", [1e-3, 1e3])
def test_a_start_from_data_depends_on_no_units(units: float) -> None:
    one = nn.GaussianMixture(0, 2, 3).to("float64").start_from(blobs(), seed=1)
    other = nn.GaussianMixture(2, 2, 3).to("float64").start_from(blobs(units), seed=1)
    means = one.means.bias.data.reshape(3, 2)
    assert all((blobs() == mean).all(1).any() for mean in means)
    np.testing.assert_allclose(other.means.bias.data / units, one.means.bias.data)
    expected = one.log_prob(None, blobs()).data - 2 * np.log(units)
    np.testing.assert_allclose(other.log_prob(RNG.standard_normal((500, 2)), blobs(units)).data, expected)
    octavo.seed(8)
    first = one.start_from(blobs()).means.bias.data.copy()
    assert (one.start_from(blobs()).means.bias.data != first).any()


@pytest.mark.parametrize("seed", range(5))
def test_a_start_from_data_finds_small_groups_that_are_far(seed: int) -> None:
    middles = np.array([[0, 0], [100, 0], [0, 100]])
    y = middles.repeat([490, 8, 2], 0) + RNG.standard_normal((500, 2))
    weights, means, covariances = moments(nn.GaussianMixture(0, 2, 3).start_from(y, seed))
    order = weights.argsort()[::-1]
    np.testing.assert_allclose(weights[order], [0.98, 0.016, 0.004], rtol=1e-5)
    np.testing.assert_allclose(means[order], middles, atol=5)
    np.testing.assert_array_equal(covariances[0], covariances[1])


def test_a_start_from_exactly_as_many_points_as_components() -> None:
    head = nn.GaussianMixture(0, 2, 3).start_from([[0, 7], [1, 7], [5, 7], [1, 7]])
    assert sorted(map(tuple, head.means.bias.data.reshape(3, 2))) == [(0, 7), (1, 7), (5, 7)]
    assert np.isfinite(head.log_prob(None, [[0, 7]]).data).all()


def test_what_does_not_fit_is_refused() -> None:
    head, alone = nn.GaussianMixture(4, 2, 3), nn.GaussianMixture(0, 2, 3)
    assert repr(head).splitlines()[0] == "GaussianMixture(4, 2, components=3)"
    x, y = np.ones((5, 4)), np.ones((5, 2))
    for call, message in (
        (lambda: nn.GaussianMixture(3, 0, 2), "dimensions and components of at least 1, got 3, 0, 2"),
        (lambda: head.loss(None, y), r"x: expected \(S..., 4\), got None"),
        (lambda: head.loss(x[:, 1:], y), r"x: expected \(S..., 4\), got \(5, 3\)"),
        (lambda: alone.loss(x, y), r"x: expected \(S..., 0\), got \(5, 4\)"),
        (lambda: head.loss(x, y[:, :1]), r"y: expected \(5, 2\), got \(5, 1\)"),
        (lambda: head.loss(x, y[:1]), r"y: expected \(5, 2\), got \(1, 2\)"),
        (lambda: alone.loss(None, 1.0), r"y: expected \(S..., 2\), got \(\)"),
        (lambda: head.loss(x, y, "average"), "reduction: expected 'mean', 'sum' or 'none', got 'average'"),
        (lambda: head.start_from(x), r"start_from: y: expected at least 3 finite points \(S..., 2\), got \(5, 4\)"),
        (lambda: head.start_from(y * np.nan), r"finite points \(S..., 2\), got \(5, 2\) with NaN or infinity"),
        (lambda: head.start_from(y), "start_from: y: expected at least 3 different points, got 1"),
        (lambda: head.start_from(y[:2]), r"at least 3 finite points \(S..., 2\), got \(2, 2\)"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
