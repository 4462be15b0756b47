"""Linear regression by formula and by descent, and whether a network does better."""

import numpy as np

from ... import nn
from ...nn import Tensor
from ...nn import functional as F
from ..data import diabetes
from ..look import BLUE, GREY, ORANGE
from ..section import Page, section

STEPS, FOLDS = 1500, 10


def standard(x: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Each column less the mean that it has in `of`, over its standard deviation there."""
    return (x - of.mean(0)) / of.std(0)


def descend(x: np.ndarray, y: np.ndarray, lr: float, momentum: float) -> tuple[nn.Linear, np.ndarray]:
    """A linear layer after gradient descent in float64, and its weights before every step."""
    layer = nn.Linear(x.shape[1], 1).to("float64")
    optimizer = nn.SGD(layer.parameters(), lr, momentum, nesterov=momentum > 0)
    inputs, path = Tensor(x), np.empty((STEPS, x.shape[1]))
    for step in range(STEPS):
        path[step] = layer.weight.data[0]
        F.mse_loss(layer(inputs), y).backward()
        optimizer.step()
        optimizer.zero_grad()
    return layer, path


def network(x: np.ndarray, y: np.ndarray, steps: int = 100) -> nn.Module:
    """A network with one hidden layer, after a short training with dropout and weight decay."""
    model = nn.Sequential(nn.Linear(x.shape[1], 32, activation="gelu"), nn.Dropout(0.3), nn.Linear(32, 1))
    optimizer = nn.AdamW(model.parameters(), weight_decay=0.1)
    rate = nn.schedule("cosine", peak=0.01, steps=steps)
    inputs, targets = Tensor(x.astype(np.float32)), y.astype(np.float32)
    for step in range(steps):
        F.mse_loss(model(inputs), targets).backward()
        optimizer.step(lr=rate(step))
        optimizer.zero_grad()
    return model.eval()


def held_out(x: np.ndarray, y: np.ndarray, page: Page) -> tuple[np.ndarray, np.ndarray]:
    """Squared errors of formula and network on each patient, who was in none of their training sets."""
    errors = np.empty((2, len(x)))
    folds = np.array_split(np.random.default_rng(0).permutation(len(x)), FOLDS)
    for fold in page.progress(folds, "folds"):
        rest = np.setdiff1d(np.arange(len(x)), fold)
        inputs, targets = standard(x[rest], x[rest]), standard(y[rest], y[rest])
        weight, bias = nn.least_squares(inputs, targets)
        model = network(inputs, targets)
        unseen = standard(x[fold], x[rest])
        with nn.no_grad():
            answers = unseen @ weight.T + bias, model(Tensor(unseen.astype(np.float32))).numpy()
        errors[:, fold] = [((a * y[rest].std() + y[rest].mean() - y[fold]) ** 2)[:, 0] for a in answers]
    return errors[0], errors[1]


@section
def regression(page: Page) -> None:
    """Linear regression by formula and by descent, and whether a network does better."""
    from sklearn.linear_model import LinearRegression

    raw, y, names = diabetes()
    x = standard(raw, raw)
    weight, bias = nn.least_squares(x, y)
    theirs = LinearRegression().fit(x, y)
    page.claim("the formula finds the weights of scikit-learn, to 1e-4", np.allclose(weight, theirs.coef_, 0, 1e-4))

    curvatures = np.linalg.eigvalsh(2 * x.T @ x / len(x))
    _, plain = descend(x, y, 1 / curvatures[-1], 0)
    layer, quick = descend(x, y, 1 / curvatures[-1], 0.93)
    same = np.allclose(layer.weight.data, weight, 0, 1e-6) and np.allclose(layer.bias.data, bias, 0, 1e-6)
    page.claim("gradient descent with momentum ends at the same weights and bias, to 1e-6", same)
    far = [np.linalg.norm(path - weight, axis=1) for path in (plain, quick)]
    page.claim("without momentum it is on its way there", far[0][-1] < far[0][STEPS // 2] < far[0][0])
    page.tell(steps=STEPS, condition=curvatures[-1] / curvatures[0], left=far[0][-1])

    linear, by_network = held_out(raw, y, page)
    gain = linear - by_network
    error = gain.std() / len(gain) ** 0.5
    page.tell(patients=len(y), folds=FOLDS, linear=linear.mean() ** 0.5, network=by_network.mean() ** 0.5)
    page.tell(gain=gain.mean(), error=error, mean=y.std(), sure=abs(gain.mean()) > 2 * error)
    page.claim("both err less than the mean score does", max(linear.mean(), by_network.mean()) < y.var())

    with page.figure("weights", 7, 3) as figure:
        axes = figure.subplots()
        places = np.arange(len(names))
        axes.bar(places, weight[0], 0.5, color=BLUE, alpha=0.5)
        axes.plot(places, layer.weight.data[0], "o", color=BLUE, markersize=4)
        axes.set(xticks=places, ylabel="points per standard deviation")
        axes.set_xticks(places, names)
    with page.figure("descent", 7, 3.4) as figure:
        axes = figure.subplots()
        axes.semilogy(far[0], color=ORANGE)
        axes.semilogy(far[1], color=BLUE)
        axes.annotate("without momentum", (900, far[0][900]), (0, 7), textcoords="offset points", color=ORANGE)
        axes.annotate("with momentum", (330, far[1][330]), (10, 0), textcoords="offset points", color=BLUE)
        axes.axhline(1e-6, color=GREY, linewidth=0.8, linestyle="--")
        axes.set(xlabel="step", ylabel="distance from w*", ylim=(1e-13, 1e3))
