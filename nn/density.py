"""Densities of real vectors: mixtures of Gaussians, as the last layer of a network or by themselves."""

import math
from typing import Any, Literal

import numpy as np

from ..kernels import device
from . import functional as F
from . import random
from .layers import Linear
from .module import Module, Parameter
from .tape import no_grad
from .tensor import Tensor

__all__ = ["GaussianMixture"]

_TRIES = 4  # points drawn for each centre, of which the best is kept


class GaussianMixture(Module):
    """A density over vectors y: Gaussians with full covariances, all their parameters linear in features x.

    log p(y | x) = log Σ_k π_k N(y; μ_k, Λ_k⁻¹) with π = softmax(logits) and precisions Λ = L Lᵀ
                 = logsumexp_k(log π_k + Σ_i log L_kii − ½ ‖L_kᵀ (y − μ_k)‖²) − ½ D log 2π

    L = U diag(exp s), where U is lower triangular with ones on its diagonal. Column j of U holds, with their signs
    changed, the coefficients with which the later dimensions predict y_j, and exp(−s_j) is the standard deviation of
    what they leave: numbers of moderate size even where y is nearly singular, which a free L has not. Because of the
    exponential log L_jj is s_j itself: no determinant overflows or becomes log 0, as that of softplus(s) does where s
    is low, and a step of s means the same for wide and narrow components. The price is a steep gradient where y is far
    from all of them: clip it, or let AdamW scale it.

    At first all components weigh the same and have unit covariance, for any features, and their means are random;
    `start_from` begins with data instead. Either way y should have a mean near 0 and a scale near 1, which suits the
    steps of an optimiser. A component may shrink onto a single point, where the likelihood has no bound: it takes fewer
    components, fewer steps or more data to prevent it.

    Args:
        features: size of x's last axis; 0 for a mixture by itself, of which x is None: its parameters are the biases.
        dimensions: D, size of y's last axis.
        components: K, how many Gaussians.

    Source: Bishop, Mixture Density Networks (1994). The factors: Williams, Using Neural Networks to Model Conditional
        Multivariate Densities (1996); Pourahmadi, Joint Mean-Covariance Models (1999).
    """

    def __init__(self, features: int, dimensions: int, components: int):
        if features < 0 or min(dimensions, components) < 1:
            raise ValueError(
                "GaussianMixture: expected features of at least 0, dimensions and components of at least 1, got "
                f"{features}, {dimensions}, {components}"
            )
        self.features, self.dimensions, self.components = features, dimensions, components
        vectors = components * dimensions
        self.logits = Linear(features, components, std=0)
        self.means = Linear(features, vectors, std=max(1, features) ** -0.5)
        self.means.bias = Parameter(random.normal(vectors, 1))
        self.log_diagonals = Linear(features, vectors, std=0)
        self.lower = Linear(features, vectors * (dimensions - 1) // 2, std=0)

    def forward(self, x: Any = None) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (S..., K), means (S..., K, D), and Cholesky factors of the precisions (S..., K, D, D).

        Args:
            x: (S..., features), or None where there are none: then S is nothing.
        """
        logits, means, log_diagonals, unit = self._parameters(x)
        return logits, means, log_diagonals.exp().unsqueeze(-2) * unit

    def log_prob(self, x: Any, y: Any) -> Tensor:
        """log p(y | x) in nats, (S...).

        Args:
            x: (S..., features), or None where there are none.
            y: (S..., D), an array or a tensor.

        Raises:
            ValueError: the shapes do not fit.
        """
        logits, means, log_diagonals, unit = self._parameters(x)
        y = self._tensor(y)
        if y.shape[-1:] != (self.dimensions,) or (x is not None and y.shape[:-1] != logits.shape[:-1]):
            leading = "S..." if x is None else ", ".join(map(str, logits.shape[:-1]))
            raise ValueError(f"GaussianMixture: y: expected ({leading}, {self.dimensions}), got {y.shape}")
        z = F.einsum("...ki,...kij->...kj", y.unsqueeze(-2) - means, unit) * log_diagonals.exp()
        each = F.log_softmax(logits) + log_diagonals.sum(-1) - z.square().sum(-1) / 2
        return each.logsumexp(-1) - self.dimensions / 2 * math.log(2 * math.pi)

    def loss(self, x: Any, y: Any, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """−log p(y | x) in nats: its mean (0 of nothing), its sum, or (S...) as it is. Raises as `log_prob`.

        Divided by D ln 2 it is in bits per dimension.
        """
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"loss: reduction: expected 'mean', 'sum' or 'none', got {reduction!r}")
        nats = -self.log_prob(x, y)
        return nats if reduction == "none" else nats.sum() / (max(1, nats.size) if reduction == "mean" else 1)

    def sample(self, x: Any = None, seed: int | None = None, shape: tuple[int, ...] = ()) -> np.ndarray:
        """Vectors drawn from the density: (shape..., S..., D).

        Args:
            x: (S..., features), or None where there are none.
            seed: makes the draws repeatable on their own; without it they follow `octavo.seed`.
            shape: how many for each x.
        """
        with no_grad():
            logits, means, factors = (parameter.numpy() for parameter in self(x))
        rng = random.generator(seed)
        size = (*shape, *logits.shape[:-1])
        # The largest of logits with Gumbel noise is one drawn from their softmax.
        chosen = (logits + rng.gumbel(size=(*size, self.components))).argmax(-1)[..., None, None]
        mean = np.take_along_axis(np.broadcast_to(means, (*size, *means.shape[-2:])), chosen, -2)[..., 0, :]
        factors = np.broadcast_to(factors, (*size, *factors.shape[-3:]))
        factor = np.take_along_axis(factors, chosen[..., None], -3)[..., 0, :, :].astype(np.float64)
        noise = np.linalg.solve(factor.swapaxes(-1, -2), rng.standard_normal((*size, self.dimensions, 1)))
        return (mean + noise[..., 0]).astype(means.dtype)

    def start_from(self, y: Any, seed: int | None = None) -> "GaussianMixture":
        """Begin with the density of data, whatever the features: means at data points that are far from each other.

        Each next mean is drawn with a probability that grows with the squared distance from those before; weights and
        a covariance that all share come from the points that are nearest to each. Make the optimiser afterwards.

        Args:
            y: (S..., D), an array or a tensor.
            seed: makes the choice repeatable on its own; without it it follows `octavo.seed`.

        Raises:
            ValueError: another size of the last axis, values that are not finite, or fewer different points than K.

        Source: Arthur and Vassilvitskii, k-means++: The Advantages of Careful Seeding (2007).
        """
        y = self._tensor(y).numpy().astype(np.float64)
        finite = np.isfinite(y).all()
        if y.shape[-1:] != (self.dimensions,) or y[..., 0].size < self.components or not finite:
            raise ValueError(
                f"start_from: y: expected at least {self.components} finite points (S..., {self.dimensions}), got "
                f"{y.shape}{'' if finite else ' with NaN or infinity'}"
            )
        y = y.reshape(-1, self.dimensions)
        unit = _positive(y.std(0), 1)
        points = y / unit
        chosen = _spread_out(points, self.components, random.generator(seed))
        nearest = _squared_distances(points, points[chosen]).argmin(1)
        spread = _positive(np.sqrt(((y - y[chosen[nearest]]) ** 2).mean(0)), unit)
        state = {name: np.zeros(parameter.shape) for name, parameter in self.named_parameters()}
        state["logits.bias"] = np.log(np.bincount(nearest) / len(y))
        state["means.bias"] = y[chosen].reshape(-1)
        state["log_diagonals.bias"] = np.tile(-np.log(spread), self.components)
        self.load_state_dict(state)
        return self

    def _parameters(self, x: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits, means, log L_ii and U."""
        if x is None and self.features:
            raise ValueError(f"GaussianMixture: x: expected (S..., {self.features}), got None")
        x = self._tensor(() if x is None else x)
        if x.shape[-1:] != (self.features,):
            raise ValueError(f"GaussianMixture: x: expected (S..., {self.features}), got {x.shape}")
        each = (*x.shape[:-1], self.components)
        means = self.means(x).reshape(*each, self.dimensions)
        log_diagonals = self.log_diagonals(x).reshape(*each, self.dimensions)
        # Where the entries of each triangle stand among its numbers, after which comes a zero for all others.
        count = self.dimensions * (self.dimensions - 1) // 2
        place = np.full((self.dimensions, self.dimensions), count)
        place[np.tril_indices(self.dimensions, -1)] = np.arange(count)
        below = F.pad(self.lower(x).reshape(*each, count), (0, 1))[..., means.here(place)]
        return self.logits(x), means, log_diagonals, below + means.here(np.eye(self.dimensions, dtype=means.dtype))

    def _tensor(self, x: Any) -> Tensor:
        """Arrays and numbers as a tensor where the parameters are, of their dtype."""
        if isinstance(x, Tensor):
            return x
        like = self.means.weight
        return Tensor(like.here(device.cast(x if device.is_array(x) else np.asarray(x), like.dtype)))

    def describe(self) -> str:
        return f"{self.features}, {self.dimensions}, components={self.components}"


def _spread_out(points: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Which of the points (N, D) to take: k-means++ with several tries for each."""
    chosen = rng.integers(len(points), size=1)
    left = _squared_distances(points, points[chosen])[:, 0]
    while len(chosen) < count:
        if not left.any():
            raise ValueError(f"start_from: y: expected at least {count} different points, got {len(chosen)}")
        tried = rng.choice(len(points), _TRIES, p=left / left.sum())
        after = np.minimum(left[:, None], _squared_distances(points, points[tried]))
        best = after.sum(0).argmin()
        chosen, left = np.append(chosen, tried[best]), after[:, best]
    return chosen


def _squared_distances(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(N, D), (K, D) -> (N, K)."""
    return ((points[:, None] - centres) ** 2).sum(-1)


def _positive(x: np.ndarray, otherwise: Any) -> np.ndarray:
    return np.where(x > 0, x, otherwise)
