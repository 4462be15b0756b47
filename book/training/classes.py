"""Cross-entropy of many classes: its gradient, its range, and the memory it need not take."""

from collections.abc import Callable

import numpy as np

from ... import nn
from ...kernels.device import memory, release, reset_peak_memory
from ...nn import functional as F
from ..data import digits
from ..look import BLUE, GREY, ORANGE
from ..section import Page, section

CLASSES, FEATURES = 32_768, 32
ROWS = (128, 256, 512, 1024, 2048)


def softmax(z: np.ndarray) -> np.ndarray:
    """Logits to probabilities; the largest logit is taken off first, so that no exponential overflows."""
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def as_written(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The loss of each row, step by step as the formula is written."""
    with np.errstate(all="ignore"):
        e = np.exp(z)
        p = e / e.sum(-1, keepdims=True)
        return -np.log(p[np.arange(len(y)), y])


def from_logits(z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The loss of each row, and the gradient of their sum with respect to the logits."""
    logits = nn.Tensor(z, requires_grad=True)
    losses = F.cross_entropy(logits, y, reduction="none")
    losses.sum().backward()
    return losses.numpy(), logits.grad


def by_differences(z: np.ndarray, y: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """The same gradient with no calculus: each logit is nudged up and down, and the loss is watched."""
    slopes = np.empty_like(z)
    for k in range(z.shape[1]):
        nudge = step * np.eye(z.shape[1])[k]
        slopes[:, k] = (from_logits(z + nudge, y)[0] - from_logits(z - nudge, y)[0]) / (2 * step)
    return slopes


def fit(images: np.ndarray, labels: np.ndarray, steps: int = 60) -> nn.Linear:
    """A linear layer that tells digits apart."""
    model = nn.Linear(64, 10)
    optimizer = nn.AdamW(model.parameters(), lr=0.03)
    for _ in range(steps):
        model.zero_grad()
        F.cross_entropy(model(nn.Tensor(images)), labels).backward()
        optimizer.step()
    return model


def peaks(rows: int) -> tuple[float, float]:
    """MB at the peak of a loss and its gradients: with all logits in memory, and in one op."""
    x = nn.Tensor(nn.random.normal((rows, FEATURES), 1), requires_grad=True)
    weight = nn.Tensor(nn.random.normal((CLASSES, FEATURES), 1), requires_grad=True)
    targets = np.arange(rows)

    def peak(loss: Callable[[], nn.Tensor]) -> float:
        release()
        reset_peak_memory()
        before = memory().current
        loss().backward()
        most = memory().peak - before
        x.zero_grad()
        weight.zero_grad()
        return most / 1e6

    whole = peak(lambda: F.cross_entropy(F.linear(x, weight), targets))
    return whole, peak(lambda: F.linear_cross_entropy(x, weight, targets))


def nearest_miss(p: np.ndarray, y: np.ndarray) -> int:
    """Of the rows that are told wrong the one that gives the truth the most."""
    given = p[np.arange(len(y)), y]
    return int(np.argmax(np.where(p.argmax(1) == y, 0, given)))


def draw_digit(page: Page, image: np.ndarray, p: np.ndarray, slopes: np.ndarray) -> None:
    """An image, the model's probabilities, and where the gradient pushes."""
    with page.figure("digit", 5.6, 2.8) as figure:
        left, right = figure.subplots(1, 2, width_ratios=(1, 2))
        left.imshow(image.reshape(8, 8), cmap="gray_r")
        left.set_axis_off()
        right.bar(np.arange(10) - 0.2, p, 0.4, color=BLUE, label="probability p")
        right.bar(np.arange(10) + 0.2, slopes, 0.4, color=ORANGE, label="gradient p − y")
        right.axhline(0, color=GREY, linewidth=0.8)
        right.set(xlabel="digit", xticks=range(10))
        right.legend()


def draw_peaks(page: Page, whole: np.ndarray, fused: np.ndarray) -> None:
    """Memory against rows."""
    with page.figure("memory", 5.2, 3.2) as figure:
        axes = figure.subplots()
        axes.plot(ROWS, whole, "o-", color=ORANGE, label="all logits at once")
        axes.plot(ROWS, fused, "o-", color=BLUE, label="linear_cross_entropy")
        axes.set(xlabel="rows (tokens in a batch)", ylabel="peak of memory, MB", ylim=0)
        axes.legend()


@section
def classes(page: Page) -> None:
    """Cross-entropy of many classes: its gradient, its range, and the memory it need not take."""
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(6, 10)), rng.integers(10, size=6)
    losses, slopes = from_logits(z, y)
    off = np.abs(slopes - (softmax(z) - np.eye(10)[y])).max()
    page.claim("the gradient is softmax(z) − onehot(y), to 1e-14", off < 1e-14)
    page.claim("central differences find the same, to 1e-8", np.abs(slopes - by_differences(z, y)).max() < 1e-8)
    off = np.abs(from_logits(z + 1e4, y)[0] - losses).max()
    page.claim("10,000 added to all logits of a row changes no loss by more than 1e-10", off < 1e-10)

    extreme = np.array([[1e4, 0, -1e4], [1e4, 0, -1e4]], np.float32)
    found = from_logits(extreme, np.array([0, 2]))
    written = as_written(extreme, np.array([0, 2]))
    page.claim("at logits of ±10,000 in float32 the op's losses are 0 and 20,000", np.array_equal(found[0], [0, 2e4]))
    page.claim("the formula as written has no finite value there", not np.isfinite(written).any())
    page.tell(written=[f"{x:g}" for x in written])

    images, labels = digits()
    images = images.reshape(len(images), 64)
    train, test = slice(0, 1500), slice(1500, None)
    model = fit(images[train], labels[train])
    p = softmax(model(nn.Tensor(images[test])).numpy())
    share = (p.argmax(1) == labels[test]).mean()
    page.claim("a linear layer tells more than 80 of 100 new digits right", share > 0.8)
    which = nearest_miss(p, labels[test])
    guess, truth = p[which].argmax(), labels[test][which]
    page.tell(share=share, held_back=len(p), truth=truth, guess=guess, likeliest=p[which].max(), given=p[which, truth])
    draw_digit(page, images[test][which], p[which], p[which] - np.eye(10)[truth])

    whole, fused = np.transpose([peaks(rows) for rows in page.progress(ROWS, "memory")])
    page.claim("at most rows the fused loss takes less than a third of the memory", fused[-1] < whole[-1] / 3)
    page.tell(logits=4 * CLASSES * ROWS[-1] / 1e6, whole=whole[-1], fused=fused[-1], vocabulary=CLASSES)
    draw_peaks(page, whole, fused)
