"""Linear and logistic regression and mixtures of Gaussians beside scikit-learn's, on its data."""

import numpy as np
import pytest
from peers import Peer

from octavo import nn
from octavo.nn import Tensor
from octavo.nn import functional as F

pytestmark = pytest.mark.peers

datasets, linear_model, mixture = Peer("sklearn.datasets"), Peer("sklearn.linear_model"), Peer("sklearn.mixture")


def iris() -> tuple[np.ndarray, np.ndarray]:
    """(150, 4) measures with mean 0 and variance 1, and (150) species."""
    x, y = datasets.load_iris(return_X_y=True)
    return (x - x.mean(0)) / x.std(0), y.astype(np.int64)


@pytest.mark.parametrize("ridge", [0.0, 10.0])
def test_least_squares_has_the_coefficients_of_scikit_learn(ridge: float) -> None:
    x, y = datasets.load_diabetes(return_X_y=True, scaled=False)
    theirs = linear_model.Ridge(ridge, solver="svd") if ridge else linear_model.LinearRegression()
    theirs.fit(x, y)
    weight, bias = nn.least_squares(x, y[:, None], ridge)
    np.testing.assert_allclose(weight[0], theirs.coef_, rtol=1e-6)
    np.testing.assert_allclose(bias[0], theirs.intercept_, rtol=1e-6)


@pytest.mark.parametrize("c", [0.1, 1.0])
def test_logistic_regression_ends_at_the_coefficients_of_scikit_learn(c: float) -> None:
    x, y = iris()
    theirs = linear_model.LogisticRegression(C=c, tol=1e-10, max_iter=10_000).fit(x, y)
    layer, inputs = nn.Linear(4, 3).to("float64"), Tensor(x)
    optimizer = nn.SGD(layer.parameters(), lr=1.0, momentum=0.9)
    for _ in range(600):
        # scikit-learn minimises C times the sum of the losses and half the squared weights.
        loss = F.cross_entropy(layer(inputs), y) + layer.weight.square().sum() / (2 * c * len(y))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    np.testing.assert_allclose(layer.weight.data, theirs.coef_, rtol=1e-4)
    np.testing.assert_allclose(layer.bias.data, theirs.intercept_, rtol=1e-4)


@pytest.mark.parametrize("components", [2, 3])
def test_a_mixture_is_as_likely_as_that_of_scikit_learn(components: int) -> None:
    y = iris()[0]
    theirs = mixture.GaussianMixture(components, n_init=5, random_state=0, reg_covar=1e-9).fit(y).score(y)
    head = nn.GaussianMixture(0, 4, components).to("float64").start_from(y, seed=1)
    optimizer = nn.AdamW(head.parameters(), weight_decay=0)
    for step in range(150):
        head.loss(None, y).backward()
        optimizer.lr = 0.1 * (1 - step / 150)
        optimizer.step()
        optimizer.zero_grad()
    assert -head.loss(None, y).item() == pytest.approx(theirs, rel=0.01)
