"""Binary cross-entropy, at its four limits and computed from logits."""

import numpy as np

from ... import nn
from ...nn import functional as F
from ..section import Page, section

LIMITS = np.array([[1, 1], [1, 0], [0, 0], [0, 1]])  # of the target y and the prediction p
NEAR = 1e-9


def naive(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The formula as it is written."""
    with np.errstate(all="ignore"):
        return -(y * np.log(p) + (1 - y) * np.log(1 - p))


def from_logits(z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The loss of each prediction σ(z), and its gradient with respect to z."""
    logits = nn.Tensor(z.astype(np.float32), requires_grad=True)
    losses = F.binary_cross_entropy_with_logits(logits, y.astype(np.float32), reduction="none")
    losses.sum().backward()
    return losses.numpy(), logits.grad


@section
def binary(page: Page) -> None:
    """Binary cross-entropy, at its four limits and computed from logits."""
    targets, predictions = LIMITS.T
    losses = naive(np.abs(predictions - NEAR), targets)
    words = np.where(targets == predictions, "right", "wrong")
    rows = [[y, f"→ {p}", f"{loss:.3g}", word] for y, p, loss, word in zip(*LIMITS.T, losses, words, strict=True)]
    page.table("limits", ["y", "p", "loss, nats", "the prediction is"], rows)

    z = np.linspace(-80, 80, 401)
    y = np.ones_like(z)
    losses, slopes = from_logits(z, y)
    written = naive(1 / (1 + np.exp(-z.astype(np.float32))), y)
    page.tell(lost=int((~np.isfinite(written)).sum()), points=len(z), worst=losses.max())
    page.claim("from logits every loss and every gradient is finite", np.isfinite([losses, slopes]).all())
    page.claim("the formula as written loses some of them in float32", not np.isfinite(written).all())
    page.claim("the gradient is σ(z) − y, to 1e-6", np.abs(slopes - (1 / (1 + np.exp(-z)) - y)).max() < 1e-6)

    with page.figure("curves") as figure:
        left, right = figure.subplots(1, 2)
        p = np.linspace(1e-4, 1 - 1e-4, 500)
        left.plot(p, naive(p, np.ones_like(p)), label="y = 1")
        left.plot(p, naive(p, np.zeros_like(p)), label="y = 0")
        left.set(xlabel="p", ylabel="loss, nats")
        left.legend()
        right.plot(z, losses, label="from logits")
        right.plot(z, written, "--", label="as written, in float32")
        right.set(xlabel="logit z, for y = 1", ylabel="loss, nats")
        right.legend()
