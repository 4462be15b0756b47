"""Too simple and too free: losses on seen and unseen patients against degree and against training time."""

import numpy as np

from ... import nn
from ...nn import Tensor
from ...nn import functional as F
from ..data import diabetes
from ..look import BLUE, GREEN, GREY, ORANGE, PINK, RED
from ..section import Page, section

SEEN, DRAWS, DEGREES = 30, 200, 10
STEPS, EVERY, ROUNDS = 1000, 5, 6


def powers(x: np.ndarray, degree: int) -> np.ndarray:
    """x, x², ..., side by side: a linear model of these is a polynomial."""
    return x[:, None] ** np.arange(1, degree + 1)


def polynomial(x: np.ndarray, y: np.ndarray, degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of the polynomial with the least squared error."""
    return nn.least_squares(powers(x, degree), y)


def values(x: np.ndarray, fit: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The polynomial at x."""
    weight, bias = fit
    return powers(x, weight.shape[1]) @ weight.T + bias


def losses_by_degree(x: np.ndarray, y: np.ndarray, page: Page) -> np.ndarray:
    """(draws, degrees, 2): the loss on a few patients, to whom the polynomial was fitted, and on all others."""
    found = np.empty((DRAWS, DEGREES, 2))
    for draw in page.progress(range(DRAWS), "draws"):
        seen, unseen = np.split(np.random.default_rng(draw).permutation(len(x)), [SEEN])
        for degree in range(DEGREES):
            fit = polynomial(x[seen], y[seen], degree)
            found[draw, degree] = [np.square(values(x[rows], fit) - y[rows]).mean() for rows in (seen, unseen)]
    return found


def watched(x: np.ndarray, y: np.ndarray, parts: list[np.ndarray]) -> np.ndarray:
    """Trains a wide network on the first part; returns its losses on every part, each few steps."""
    model = nn.Sequential(nn.Linear(x.shape[1], 256, activation="gelu"), nn.Linear(256, 1))
    optimizer = nn.AdamW(model.parameters(), lr=1e-3, weight_decay=0)
    data = [(Tensor(x[rows]), Tensor(y[rows])) for rows in parts]
    curves = []
    for step in range(STEPS):
        if step % EVERY == 0:
            with nn.no_grad():
                curves.append([F.mse_loss(model(inputs), targets).item() for inputs, targets in data])
        inputs, targets = data[0]
        F.mse_loss(model(inputs), targets).backward()
        optimizer.step()
        optimizer.zero_grad()
    return np.array(curves)


@section
def capacity(page: Page) -> None:
    """Too simple and too free: losses on seen and unseen patients against degree and against training time."""
    patients, scores, names = diabetes()
    bmi = patients[:, names.index("bmi")]
    one = 2 * (bmi - bmi.min()) / np.ptp(bmi) - 1
    by_degree = losses_by_degree(one, scores, page)
    seen, unseen = np.sqrt(np.median(by_degree, 0)).T
    best = int(unseen.argmin())
    page.tell(few=SEEN, draws=DRAWS, best=best, degrees=DEGREES - 1, seen=seen, unseen=unseen, most=scores.max())
    falls = (np.diff(by_degree[:, :, 0]) < 1e-6).all()
    page.claim("with every degree the loss on seen patients falls, in every draw", falls)
    page.claim("on unseen ones a constant is not the best", best > 0)
    page.claim(
        "the highest degree errs at least five times as much as the best, on unseen patients",
        unseen[-1] > 5 * unseen[best],
    )

    x, y = ((a - a.mean(0)) / a.std(0) for a in (patients, scores))
    splits = [np.split(np.random.default_rng(i).permutation(len(x)), [120, 270]) for i in range(ROUNDS)]
    rounds = page.progress(splits, "networks")
    curves = np.array([watched(x.astype(np.float32), y.astype(np.float32), parts) for parts in rounds])
    stops = curves[:, :, 1].argmin(1)
    stopped, ended = curves[np.arange(ROUNDS), stops], curves[:, -1]
    page.tell(
        rounds=ROUNDS,
        sizes=[len(part) for part in splits[0]],
        steps=STEPS,
        stops=[int(stops.min() * EVERY), int(stops.max() * EVERY)],
    )
    page.tell(
        fitted=stopped[:, 0].mean(), kept=stopped[:, 2].mean(), memorised=ended[:, 0].mean(), spoilt=ended[:, 2].mean()
    )
    learnt = ended[:, 0].mean() < 0.1 * stopped[:, 0].mean()
    page.claim("training on, they bring the loss on their own patients below a tenth of that", learnt)
    page.claim(
        "stopped early they err less on people who had no say in when", stopped[:, 2].mean() < 0.8 * ended[:, 2].mean()
    )

    first = np.random.default_rng(0).permutation(len(bmi))[:SEEN]
    with page.figure("degrees", 8.4, 3.8) as figure:
        left, right = figure.subplots(1, 2)
        left.plot(bmi, scores, ".", color=GREY, markersize=2, alpha=0.5)
        left.plot(bmi[first], scores[first], "o", color=BLUE, markersize=4)
        at = np.linspace(-1, 1, 400)
        for degree, colour in ((0, ORANGE), (best, GREEN), (DEGREES - 1, PINK)):
            fit = polynomial(one[first], scores[first], degree)
            left.plot(bmi.min() + (at + 1) / 2 * np.ptp(bmi), values(at, fit), color=colour, label=f"degree {degree}")
        left.set(xlabel="body-mass index, kg/m²", ylabel="score a year later", ylim=(-50, 400))
        left.legend(fontsize=8, ncols=3, columnspacing=1, handlelength=1, loc="lower center")
        right.semilogy(seen, "o-", color=BLUE)
        right.semilogy(unseen, "o-", color=RED)
        right.annotate("seen", (6, seen[6]), (0, 6), textcoords="offset points", color=BLUE)
        right.annotate("unseen", (5, unseen[5]), (-10, 5), textcoords="offset points", color=RED, ha="right")
        right.set(xlabel="degree", ylabel="root of the loss, points", xticks=range(DEGREES))
    with page.figure("stopping", 7, 3.6) as figure:
        axes = figure.subplots()
        steps = np.arange(curves.shape[1]) * EVERY
        for part, colour, words in ((0, BLUE, "trained on"), (1, ORANGE, "to choose when"), (2, RED, "never used")):
            axes.semilogx(steps[1:], curves[:, 1:, part].T, color=colour, linewidth=0.5, alpha=0.6)
            axes.semilogx(steps[1:], curves[:, 1:, part].mean(0), color=colour, label=words)
        axes.semilogx(stops * EVERY, stopped[:, 1], "o", color=ORANGE, markersize=5)
        axes.set(xlabel="step", ylabel="loss, in variances of the score", ylim=(0, 1.75))
        axes.legend()
