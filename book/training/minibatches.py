"""Stochastic against full-batch gradient descent: what a batch's noise costs, and what it buys."""

import time
from collections.abc import Callable

import numpy as np

from ... import nn
from ...nn import functional as F
from .. import data
from ..look import BLUE, GREY, ORANGE
from ..section import Page, section

GOAL = 0.1  # nats, of the loss over all images
SIZES = [4, 16, 64, 256, 1024]
DRAWS = 200


class Classifier(nn.Module):
    """Which digit an image shows, by one hidden layer."""

    def __init__(self) -> None:
        self.hidden = nn.Linear(64, 64, activation="relu")
        self.out = nn.Linear(64, 10)

    def loss(self, images: np.ndarray, labels: np.ndarray) -> nn.Tensor:
        """The mean cross-entropy, in nats."""
        return F.cross_entropy(self.out(self.hidden(nn.Tensor(images))), labels)


def gradient(model: Classifier, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Of all weights, end to end."""
    model.zero_grad()
    model.loss(images, labels).backward()
    return np.concatenate([p.grad.ravel() for p in model.parameters()])


def noise(model: Classifier, images: np.ndarray, labels: np.ndarray, size: int) -> float:
    """The mean squared distance of a batch's gradient from that of all images, over the square of that."""
    whole, random = gradient(model, images, labels), np.random.default_rng(size)
    distances = []
    for _ in range(DRAWS):
        rows = random.choice(len(images), size, replace=False)
        distances.append(np.square(gradient(model, images[rows], labels[rows]) - whole).sum())
    return float(np.mean(distances) / np.square(whole).sum())


def train(
    images: np.ndarray, labels: np.ndarray, size: int, rate: float, epochs: int
) -> list[tuple[int, float, float]]:
    """After each so many images: how many were seen, in how many seconds, and the loss over all; until the goal."""
    nn.random.seed(0)
    model, random = Classifier(), np.random.default_rng(0)
    optimizer = nn.SGD(model.parameters(), lr=rate)
    curve, seen, seconds = [], 0, 0.0
    for _ in range(epochs):
        order, start = random.permutation(len(images)), time.perf_counter()
        for first in range(0, len(images), size):
            rows = order[first : first + size]
            model.loss(images[rows], labels[rows]).backward()
            optimizer.step()
            optimizer.zero_grad()
        seconds, seen = seconds + time.perf_counter() - start, seen + len(images)
        with nn.no_grad():
            curve.append((seen, seconds, model.loss(images, labels).item()))
        if not curve[-1][2] > GOAL:
            break
    return curve


def best(
    page: Page, run: Callable[[float], list[tuple[int, float, float]]], what: str
) -> tuple[float, list[tuple[int, float, float]]]:
    """Of several rates the one that reaches the goal after the fewest images, and its curve."""
    runs = {rate: run(rate) for rate in page.progress((0.1, 0.3, 1.0, 3.0), what)}
    return min(runs.items(), key=lambda item: (not item[1][-1][2] <= GOAL, item[1][-1][0]))


@section
def minibatches(page: Page) -> None:
    """Stochastic against full-batch gradient descent: what a batch's noise costs, and what it buys."""
    images, labels = data.digits()
    images = images.reshape(-1, 64)
    count = len(images)

    model = Classifier()
    measured = [noise(model, images, labels, size) for size in page.progress(SIZES, "noise")]
    left_out = [(1 / size - 1 / count) for size in SIZES]  # drawn without replacement, a batch of all has none
    scale = np.exp(np.mean(np.log(measured) - np.log(left_out)))
    apart = max(abs(m / (scale * share) - 1) for m, share in zip(measured, left_out, strict=True))
    page.claim("the noise falls as 1/B − 1/N, to a fifth", apart < 0.2)

    train(images, labels, 32, 0.1, 1)  # compiles what the clock shall not see
    rate, whole = best(page, lambda rate: train(images, labels, count, rate, 1500), "all images at once")
    small_rate, small = best(page, lambda rate: train(images, labels, 32, rate, 60), "batches of 32")
    page.tell(count=count, goal=GOAL, rate=rate, small_rate=small_rate, images=whole[-1][0] / small[-1][0])
    page.tell(
        steps=len(whole), small_steps=len(small) * -(-count // 32), seconds=whole[-1][1], small_seconds=small[-1][1]
    )
    page.claim("both reach the goal", max(whole[-1][2], small[-1][2]) <= GOAL)
    page.claim("batches of 32 need less than a fifth of the images", small[-1][0] < whole[-1][0] / 5)

    with page.figure("noise", 7, 3.2) as figure:
        axes = figure.add_subplot(xlabel="images in a batch, B", ylabel="(distance / length of the gradient)²")
        sizes = np.geomspace(SIZES[0], SIZES[-1] * 1.5)
        axes.loglog(sizes, scale * (1 / sizes - 1 / count), color=GREY, label="∝ 1/B − 1/N")
        axes.loglog(SIZES, measured, "o", color=BLUE, label="measured")
        axes.legend()
    with page.figure("race", 7, 3.4) as figure:
        left, right = figure.subplots(1, 2, sharey=True)
        for name, curve, ink in (("all images", whole, ORANGE), ("batches of 32", small, BLUE)):
            seen, seconds, losses = zip(*curve, strict=True)
            left.loglog(seen, losses, ".-", color=ink, label=name, markersize=3)
            right.loglog(seconds, losses, ".-", color=ink, markersize=3)
        left.set(xlabel="images seen", ylabel="loss over all images, nats")
        right.set(xlabel="seconds")
        left.legend()
