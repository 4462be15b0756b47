"""A model with two weights, its loss as a surface over them, and the lowest point of that."""

import numpy as np

from ... import nn
from ...nn import Tensor
from ..data import diabetes
from ..look import BLUE, GREEN, GREY, ORANGE, RED
from ..section import Page, section

TRIED = {"too flat": ([140.0, 10.0], ORANGE), "too steep": ([30.0, 230.0], RED)}
FEW, DRAWS = 30, 60


def line(x: Tensor, w: Tensor) -> Tensor:
    """f(x; w): one weight is its height at x = 0, the other its slope."""
    return w[0] + w[1] * x


def loss(w: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """How wrong the line is on the examples: the mean of its squared errors."""
    return (line(x, w) - y).square().mean(-1)


def descend(start: list[float], x: Tensor, y: Tensor, steps: int = 500) -> np.ndarray:
    """Walks down the slope of the loss; returns the weights before every step, and after the last."""
    w = nn.Parameter(np.array(start))
    optimizer = nn.SGD([w], lr=0.3)
    path = [w.numpy().copy()]
    for _ in range(steps):
        loss(w, x, y).backward()
        optimizer.step()
        optimizer.zero_grad()
        path.append(w.numpy().copy())
    return np.array(path)


def lowest_points(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The w* of draws of a few examples each, by the formula of least squares."""
    draws = (np.random.default_rng(i).choice(len(x), FEW, replace=False) for i in range(DRAWS))
    fits = (nn.least_squares(x[some, None], y[some, None]) for some in draws)
    return np.array([[bias[0], weight[0, 0]] for weight, bias in fits])


@section
def model(page: Page) -> None:
    """A model with two weights, its loss as a surface over them, and the lowest point of that."""
    patients, scores, names = diabetes()
    bmi = patients[:, names.index("bmi")]
    x, y = Tensor((bmi - 20) / 10), Tensor(scores[:, 0])
    path = descend(TRIED["too flat"][0], x, y)
    best = path[-1]
    weight, bias = nn.least_squares(x.numpy()[:, None], scores)
    agree = np.allclose(best, [bias[0], weight[0, 0]], rtol=1e-6)
    page.claim("the walk ends where the formula of least squares says, to 1e-6", agree)

    w0, w1 = np.meshgrid(np.linspace(0, 200, 161), np.linspace(-20, 260, 161))
    surface = loss(Tensor(np.stack([w0, w1])[..., None]), x, y).numpy()
    lowest = loss(Tensor(best), x, y).item()
    page.claim("no other point of the map is as low", surface.min() > lowest)

    weights = {"w*": (best, BLUE)} | TRIED
    losses = [loss(Tensor(np.array(w)), x, y).item() for w, _ in weights.values()]
    rows = [
        [name, *(f"{v:.1f}" for v in w), f"{of:.0f}", f"{of**0.5:.0f}"]
        for (name, (w, _)), of in zip(weights.items(), losses, strict=True)
    ]
    page.table("tried", ["", "w₀", "w₁", "loss", "its root"], rows)
    page.tell(patients=len(bmi), few=FEW, draws=DRAWS, steps=len(path) - 1)
    page.tell(best=best, root=lowest**0.5, spread=scores.std(), least=scores.min(), most=scores.max())
    page.claim("w* errs less than the mean score does as an answer to all", lowest < scores.var())

    others = lowest_points(x.numpy(), y.numpy()) - best
    inputs = np.stack([np.ones_like(bmi), x.numpy()])
    curved = np.linalg.eigh(inputs @ inputs.T)[1]  # first the direction in which the surface is flattest
    along, across = (others @ curved).T
    page.tell(along=along.std(), across=across.std())
    page.claim("w* of a few patients varies more along the valley than across it", along.std() > 1.5 * across.std())

    with page.figure("surface", 8.4, 4) as figure:
        left, right = figure.subplots(1, 2)
        levels = lowest * np.array([1.02, 1.1, 1.25, 1.5, 2, 3, 4.5, 7])
        lines = left.contour(w0, w1, surface, levels, colors=GREY, linewidths=0.9)
        left.clabel(lines, levels[2::2], fmt="%.0f", fontsize=8)
        left.plot(*path.T, ".-", color=ORANGE, markersize=3, linewidth=0.8)
        left.plot(*(best + others).T, ".", color=GREEN, markersize=3)
        left.set(xlabel="w₀, score at 20 kg/m²", ylabel="w₁, more for 10 kg/m²", title="the loss of every w")
        right.plot(bmi, scores, ".", color=GREY, markersize=3)
        ends = np.array([17, 43])
        for name, (w, colour) in weights.items():
            left.plot(*w, "o", color=colour)
            left.annotate(name, w, (7, 5), textcoords="offset points", color=colour)
            right.plot(ends, line((ends - 20) / 10, w), color=colour, label=name)
        right.set(xlabel="body-mass index, kg/m²", ylabel="score a year later", ylim=(0, 400), title="w as lines")
        right.legend(loc="upper left", fontsize=8)
