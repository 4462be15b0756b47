"""A network that reads handwritten digits, for all sections that need one."""

from collections.abc import Callable, Iterable

import numpy as np

from .. import nn
from ..nn import Tensor
from ..nn import functional as F

__all__ = ["convolutional", "shifted", "train", "train_classifier"]


def convolutional(channels: int = 16) -> nn.Module:
    """Images (B, 1, 8, 8) to logits (B, 10): two layers of convolution, then two that see the whole."""
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1),
        F.relu,
        nn.Conv2d(channels, 2 * channels, 3, padding=1),
        F.relu,
        nn.MaxPool2d(2),
        lambda x: x.flatten(1),
        nn.Dropout(0.3),
        nn.Linear(2 * channels * 4 * 4, 64, activation="relu"),
        nn.Dropout(0.3),
        nn.Linear(64, 10),
    )


def shifted(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image moved by up to one pixel, up or down and to a side: other pixels, the same digit."""
    padded = np.pad(images[:, 0], ((0, 0), (1, 1), (1, 1)))
    row, column = rng.integers(0, 3, (2, len(images), 1, 1))
    one = np.arange(len(images))[:, None, None]
    return padded[one, row + np.arange(8)[:, None], column + np.arange(8)][:, None]


def train(
    model: nn.Module,
    images: np.ndarray,
    labels: np.ndarray,
    epochs: int,
    lr: float,
    augment: Callable[[np.ndarray, np.random.Generator], np.ndarray] = lambda images, rng: images,
    progress: Callable[[Iterable[int], str], Iterable[int]] = lambda steps, what: steps,
    seed: int = 0,
) -> nn.Module:
    """Trains on batches of 64, each image once an epoch; returns the model, ready to be asked."""
    rng = np.random.default_rng(seed)
    batches = [b for _ in range(epochs) for b in np.array_split(rng.permutation(len(images)), len(images) // 64)]
    optimizer = nn.AdamW(model.parameters())
    rate = nn.schedule("cosine", peak=lr, steps=len(batches), warmup=20)
    model.train()
    for step in progress(range(len(batches)), "training"):
        batch = batches[step]
        F.cross_entropy(model(Tensor(augment(images[batch], rng))), labels[batch]).backward()
        optimizer.step(lr=rate(step))
        optimizer.zero_grad()
    return model.eval()


def train_classifier(
    images: np.ndarray,
    labels: np.ndarray,
    progress: Callable[[Iterable[int], str], Iterable[int]] = lambda steps, what: steps,
    seed: int = 0,
) -> nn.Module:
    """A convolutional network that reads digits: images (N, 1, 8, 8) of float32 from 0 to 1, labels (N) of integers."""
    return train(convolutional(), images, labels, 40, 0.01, shifted, progress, seed)
