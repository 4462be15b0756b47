"""Reading digits: a linear model, a network, and a network that knows what an image is."""

import numpy as np

from ... import nn
from ...nn import Tensor
from ...nn import functional as F
from ..data import digits, split
from ..digits import convolutional, shifted, train, train_classifier
from ..look import BLUE, GREY, RED
from ..section import Page, section

C, ASKED = 1.0, 0.98
UNMOVED = ("logistic regression", "hidden layer", "convolutions")


def flat(images: np.ndarray) -> np.ndarray:
    """Images as rows of pixels."""
    return images.reshape(len(images), -1)


def logistic(x: np.ndarray, labels: np.ndarray, steps: int = 800) -> nn.Linear:
    """The linear layer of least cross-entropy with weight decay 1 / (C N), by gradient descent in float64."""
    layer = nn.Linear(x.shape[1], 10).to("float64")
    optimizer = nn.SGD(nn.decay_groups(layer, 1 / (C * len(x))), lr=2, momentum=0.95, nesterov=True)
    inputs = Tensor(x)
    for _ in range(steps):
        F.cross_entropy(layer(inputs), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
    return layer


def perceptron() -> nn.Module:
    """A network with one hidden layer, to which the pixels are numbers in any order."""
    return nn.Sequential(lambda x: x.flatten(1), nn.Linear(64, 64, activation="relu"), nn.Linear(64, 10))


def probabilities(model: nn.Module, inputs: np.ndarray) -> np.ndarray:
    """(N, 10): what the model gives to each digit."""
    with nn.no_grad():
        return model(Tensor(inputs)).softmax(-1).numpy()


def confusion(labels: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """(10, 10): how often each digit, by row, was read as each other one."""
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (labels, answers), 1)
    return counts


@section
def classification(page: Page) -> None:
    """Reading digits: a linear model, a network, and a network that knows what an image is."""
    from matplotlib.colors import ListedColormap
    from sklearn.linear_model import LogisticRegression

    images, labels = digits()
    seen, held = split(len(images), 0.25)
    truth = labels[held]
    mean = flat(images[seen]).mean(0)
    x = (flat(images) - mean).astype(np.float64)

    linear = logistic(x[seen], labels[seen])
    theirs = LogisticRegression(C=C, tol=1e-9, max_iter=10_000).fit(x[seen], labels[seen])
    weights = np.abs(linear.weight.data - theirs.coef_).max()
    biases = np.abs(linear.bias.data - theirs.intercept_).max()
    page.claim("logistic regression has the coefficients of scikit-learn's, to 1e-4", max(weights, biases) < 1e-4)

    part = images[seen], labels[seen]
    models = {
        "logistic regression": linear,
        "hidden layer": train(perceptron(), *part, epochs=20, lr=0.01),
        "hidden layer, shown moves": train(perceptron(), *part, epochs=40, lr=0.01, augment=shifted),
        "convolutions": train(convolutional(), *part, epochs=20, lr=0.01, progress=page.progress),
        "convolutions, shown moves": train_classifier(*part, page.progress),
    }
    moved = shifted(images[held], np.random.default_rng(0))
    rows, right, found = [], {}, {}
    for name, model in models.items():
        inputs = (x[held], flat(moved) - mean) if model is linear else (images[held], moved)
        found[name], of_moved = (probabilities(model, i) for i in inputs)
        right[name] = [float((p.argmax(1) == truth).mean()) for p in (found[name], of_moved)]
        rows.append([name, f"{model.num_parameters():,}", *(f"{share:.1%}" for share in right[name])])
    page.table("models", ["", "weights", "right", "right if moved"], rows)
    line, best = right["logistic regression"], right["convolutions, shown moves"]
    page.tell(seen=len(seen), held=len(held), line=line, best=best, wrong=round((1 - best[0]) * len(held)))
    page.claim("convolutions, shown moves, read at least 98 % of all held-out digits right", best[0] >= ASKED)
    page.claim("and of those moved by a pixel", best[1] >= ASKED)
    page.claim("who was not shown moves reads fewer than 80 % of those", max(right[n][1] for n in UNMOVED) < 0.8)
    lost = [right["hidden layer"][0] - right["hidden layer, shown moves"][0], right["convolutions"][0] - best[0]]
    page.claim(
        "moves cost the hidden layer digits where they stand, and convolutions hardly any", lost[0] > lost[1] + 0.01
    )

    with page.figure("confusion", 8, 4) as figure:
        for axes, name in zip(figure.subplots(1, 2), ("logistic regression", "convolutions, shown moves"), strict=True):
            counts = confusion(truth, found[name].argmax(1))
            axes.imshow(np.where(counts, np.eye(10), np.nan), cmap=ListedColormap([RED, BLUE]), alpha=0.4)
            for row, column in np.argwhere(counts):
                axes.text(column, row, counts[row, column], ha="center", va="center", fontsize=9)
            axes.set(title=name, xlabel="read as", ylabel="digit", xticks=range(10), yticks=range(10))
            axes.grid(False)
    sure = found["convolutions, shown moves"]
    doubtful = np.argsort(sure[np.arange(len(held)), truth])[:12]
    with page.figure("doubtful", 7, 2.9) as figure:
        for axes, i in zip(figure.subplots(2, 6).flat, doubtful, strict=True):
            answer = sure[i].argmax()
            axes.imshow(images[held[i], 0], cmap="Greys")
            wrong = answer != truth[i]
            words = f"{truth[i]}, read as {answer}" if wrong else f"{truth[i]}, {sure[i, answer]:.0%}"
            axes.set_title(words, color=RED if wrong else BLUE, fontsize=9)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(True)
            axes.spines[:].set_color(GREY)
            axes.grid(False)
