"""Densities of points: a mixture of Gaussians, by itself and at the end of a network."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from ... import nn
from .. import look
from ..data import digits, split
from ..section import Page, section

COMPONENTS, STEPS, HIDDEN = 8, 600, 32


def two_numbers(images: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Images as points (N, 2): the two directions in which those seen differ most, each with a variance of 1."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    flat -= flat[seen].mean(0)
    _, _, directions = np.linalg.svd(flat[seen], full_matrices=False)
    points = flat @ directions[:2].T
    return (points / points[seen].std(0)).astype(np.float32)


def descend(page: Page, module: nn.Module, loss: Callable[[], nn.Tensor], what: str) -> None:
    """So many steps of AdamW down a loss, each on all examples."""
    optimizer = nn.AdamW(module.parameters(), weight_decay=0)
    rate = nn.schedule("cosine", 0.02, STEPS, warmup=20)
    for step in page.progress(range(STEPS), what):
        loss().backward()
        optimizer.step(lr=rate(step))
        optimizer.zero_grad()


class Conditional(nn.Module):
    """A density of y, (N, 1), for every x, (N, 1): a network whose last layer is a mixture."""

    def __init__(self, components: int):
        self.network = nn.Sequential(
            nn.Linear(1, HIDDEN, activation="gelu"), nn.Linear(HIDDEN, HIDDEN, activation="gelu")
        )
        self.mixture = nn.GaussianMixture(HIDDEN, 1, components)

    def loss(self, x: np.ndarray, y: np.ndarray) -> nn.Tensor:
        """Nats for each y, on average."""
        return self.mixture.loss(self.network(nn.Tensor(x)), y)


def backwards_wave(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """x (N, 1) for y (N, 1): x follows from y, with some noise, but three y may lead to one x. Source: Bishop, 1994."""
    y = rng.uniform(0, 1, (count, 1))
    x = y + 0.3 * np.sin(2 * np.pi * y) + rng.uniform(-0.1, 0.1, (count, 1))
    return (4 * x - 2).astype(np.float32), (4 * y - 2).astype(np.float32)


def log_density(model: Conditional, side: np.ndarray) -> np.ndarray:
    """log p(y | x) on a grid: rows are y, columns x."""
    x, y = (grid.reshape(-1, 1) for grid in np.meshgrid(side, side))
    with nn.no_grad():
        found = model.mixture.log_prob(model.network(nn.Tensor(x)), y)
    return found.numpy().reshape(len(side), len(side))


def draw_points(page: Page, points: np.ndarray, density: nn.GaussianMixture) -> None:
    """Points, the contours of their density, and the middles of its components."""
    with page.figure("points", 7, 5) as figure:
        axis, side = figure.subplots(), np.linspace(-3, 3, 151)
        grid = np.stack(np.meshgrid(side, side), -1)
        with nn.no_grad():
            heights = density.log_prob(None, grid).exp().numpy()
            _, middles, _ = (parameter.numpy() for parameter in density())
        axis.plot(*points.T, ".", color=look.GREY, markersize=2.5)
        axis.contour(side, side, heights, 9, cmap="viridis", linewidths=1.3)
        axis.plot(*middles.T, "+", color=look.RED, markersize=9, markeredgewidth=2)
        axis.set(xlabel="first direction", ylabel="second direction", aspect="equal")


def draw_waves(page: Page, x: np.ndarray, y: np.ndarray, logs: dict[str, np.ndarray], side: np.ndarray) -> None:
    """The points of the wave over each model's density of y for every x."""
    with page.figure("waves", 7, 3.8) as figure:
        for axis, (name, log) in zip(figure.subplots(1, 2, sharey=True), logs.items(), strict=True):
            axis.contourf(side, side, np.exp(log), np.linspace(0.05, 2, 14), cmap="Blues", extend="max", alpha=0.9)
            axis.plot(x[::4], y[::4], ".", color=look.ORANGE, markersize=2.5)
            axis.set(title=name, xlabel="x", xlim=(-2.3, 2.3), ylim=(-2.4, 2.4))
        figure.axes[0].set_ylabel("y")


@section
def mixture(page: Page) -> None:
    """Densities of points: a mixture of Gaussians, by itself and at the end of a network."""
    from sklearn.mixture import GaussianMixture

    images, _ = digits()
    seen, held = split(len(images), 0.2)
    points = two_numbers(images, seen)
    ours = nn.GaussianMixture(0, 2, COMPONENTS).start_from(points[seen], seed=0)
    descend(page, ours, partial(ours.loss, None, points[seen]), "a mixture")
    theirs = GaussianMixture(COMPONENTS, n_init=5, random_state=0).fit(points[seen])
    one = GaussianMixture(1).fit(points[seen])
    with nn.no_grad():
        found = {part: -float(ours.loss(None, points[rows]).item()) for part, rows in (("seen", seen), ("held", held))}
    page.tell(
        components=COMPONENTS,
        points=len(seen),
        seen=found["seen"],
        held=found["held"],
        theirs=theirs.score(points[seen]),
        theirs_held=theirs.score(points[held]),
        one_held=one.score(points[held]),
        bits=-found["held"] / 2 / math.log(2),
    )
    page.claim(
        "gradient descent comes within 1 % of the log-likelihood of scikit-learn's mixture",
        found["seen"] > theirs.score(points[seen]) - 0.01 * abs(theirs.score(points[seen])),
    )
    page.claim("on points held out, eight Gaussians are likelier than one", found["held"] > one.score(points[held]))

    rng = np.random.default_rng(0)
    (x, y), (new_x, new_y) = backwards_wave(rng, 1000), backwards_wave(rng, 1000)
    models = {components: Conditional(components) for components in (1, 3)}
    costs = {}
    for components, model in models.items():
        descend(page, model, partial(model.loss, x, y), f"{components} Gaussians")
        with nn.no_grad():
            costs[components] = float(model.loss(new_x, new_y).item()) / math.log(2)
    page.tell(one_bits=costs[1], three_bits=costs[3], saved=costs[1] - costs[3])
    page.claim("three Gaussians for each x save at least half a bit for each y", costs[1] - costs[3] > 0.5)

    side = np.linspace(-2.4, 2.4, 121)
    draw_points(page, points[seen], ours)
    draw_waves(page, x, y, {"one Gaussian": log_density(models[1], side), "three": log_density(models[3], side)}, side)
