"""Gradient descent with rates too small, right and too large, and a rate found by a test."""

import numpy as np

from ... import nn
from ...nn.lr_find import RangeTest
from .. import data
from ..look import BLUE, GREEN, GREY, RED
from ..section import Page, section
from .minibatches import Classifier

START = np.array([-45.0, 30.0])
STEPS = 200


def two_columns() -> tuple[np.ndarray, np.ndarray]:
    """(442, 2) blood measurements, scaled and highly correlated, and how far from the mean each patient's score is."""
    x, y, _ = data.diabetes()
    x = x[:, 4:6]
    return (x - x.mean(0)) / x.std(0), (y - y.mean())[:, 0]


def descend(x: np.ndarray, y: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """The weights after each step, and their mean squared errors."""
    weights = nn.Tensor(START.copy(), requires_grad=True)
    optimizer = nn.SGD([weights], lr=rate)
    path, losses = [], []
    for _ in range(STEPS):
        loss = (nn.Tensor(x) @ weights - y).square().mean()
        path.append(weights.numpy().copy())
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return np.array(path), np.array(losses)


def classifier(page: Page, images: np.ndarray, labels: np.ndarray) -> tuple[RangeTest, dict[float, np.ndarray]]:
    """A range test of a network that reads digits, and its losses at the rate suggested, a thirtieth of it, and thirty
    times it."""
    model, random = Classifier(), np.random.default_rng(0)

    def loss() -> nn.Tensor:
        rows = random.integers(0, len(images), 128)
        return model.loss(images[rows], labels[rows])

    optimizer = nn.SGD(model.parameters(), lr=1.0)
    found = nn.lr_find(model, loss, optimizer, low=1e-4, high=100)
    start = {name: value.copy() for name, value in model.state_dict().items()}
    losses = {}
    for factor in page.progress((1 / 30, 1, 30), "training"):
        model.load_state_dict(start)
        optimizer.lr = factor * found.suggestion
        losses[factor] = np.array([_step(loss(), optimizer) for _ in range(300)])
    return found, losses


def _step(loss: nn.Tensor, optimizer: nn.SGD) -> float:
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


def on_a_surface(page: Page) -> None:
    """Three rates on a landscape of two weights."""
    x, y = two_columns()
    best = nn.least_squares(x, y[:, None])[0][0]
    curvature = 2 * x.T @ x / len(x)
    low, high = np.linalg.eigvalsh(curvature)
    rates = {"too small": 0.1 / high, "right": 2 / (low + high), "too large": 2.02 / high}
    runs = {name: descend(x, y, rate) for name, rate in rates.items()}
    floor = ((x @ best - y) ** 2).mean()
    factor = (high - low) / (high + low)
    page.tell(low=low, high=high, ratio=high / low, limit=2 / high, factor=factor, floor=floor, steps=STEPS)
    page.table(
        "rates",
        ["rate", "", f"error above the least, after {STEPS} steps"],
        [[f"{rates[name]:.3g}", name, f"{losses[-1] - floor:.3g}"] for name, (_, losses) in runs.items()],
    )

    distance = np.linalg.norm(runs["right"][0] - best, axis=1)
    page.claim("the right rate ends at the closed form's weights, to 1e-6", distance[-1] < 1e-6 * distance[0])
    shrunk = distance[1:60] / distance[:59]
    page.claim(
        "on the way every step leaves the share of the distance that theory says", abs(shrunk - factor).max() < 1e-6
    )
    page.claim("1 % above the limit it diverges", runs["too large"][1][-1] > runs["too large"][1][0])
    below = descend(x, y, 1.98 / high)[1] - floor
    page.claim("1 % below the limit it converges", below[-1] < below[0] / 10)

    inks = dict(zip(rates, (BLUE, GREEN, RED), strict=True))
    with page.figure("paths", 7, 4) as figure:
        left, right = figure.subplots(1, 2)
        a, b = np.meshgrid(np.linspace(-70, 70, 120), np.linspace(-70, 70, 120))
        errors = ((np.stack([a, b], -1) @ x.T - y) ** 2).mean(-1)
        left.contour(a, b, errors, levels=floor + np.geomspace(5, 20000, 12), colors=GREY, linewidths=0.7)
        for name, (path, losses) in reversed(runs.items()):
            left.plot(*path[:40].T, ".-", color=inks[name], markersize=3, linewidth=0.8)
            right.semilogy(losses[:100] - floor, color=inks[name], label=name)
        left.plot(*best, "*", color=GREY, markersize=10)
        left.set(xlabel="$w_1$", ylabel="$w_2$", xlim=(-70, 70), ylim=(-70, 70))
        left.grid(False)
        right.set(xlabel="step", ylabel="error above the least")
        right.legend()


def with_a_network(page: Page) -> None:
    """A rate that a test suggests, and two others."""
    images, labels = data.digits()
    found, tails = classifier(page, images.reshape(-1, 64), labels)
    ends = {factor: float(np.mean(tail[-30:])) for factor, tail in tails.items()}
    page.tell(suggestion=found.suggestion, tried=len(found.rates), ends=list(ends.values()))
    page.claim("the rate suggested ends lower than a thirtieth of it", ends[1] < ends[1 / 30] / 2)
    page.claim("thirty times the rate suggested ends higher", not ends[30] < 2 * ends[1])
    with page.figure("test", 7, 3.4) as figure:
        left, right = figure.subplots(1, 2)
        left.semilogx(found.rates, found.losses, color=GREY, linewidth=0.7)
        left.semilogx(found.rates, found.smoothed, color=BLUE)
        left.axvline(found.suggestion, color=GREEN, linestyle="--")
        left.set(xlabel="rate, growing with each step", ylabel="loss, nats")
        for (share, tail), ink in zip(tails.items(), (BLUE, GREEN, RED), strict=True):
            right.plot(tail, color=ink, label=f"{share * found.suggestion:.2g}", linewidth=0.9)
        right.set(xlabel="step at one rate", ylabel="loss, nats", ylim=(0, 4))
        right.legend(title="rate")


@section
def descent(page: Page) -> None:
    """Gradient descent with rates too small, right and too large, and a rate found by a test."""
    on_a_surface(page)
    with_a_network(page)
