"""What is raced: GPTs and the random tokens that they see; products, attention and losses."""

from collections.abc import Iterator
from itertools import pairwise
from math import prod
from typing import NamedTuple

import numpy as np


class Shape(NamedTuple):
    layers: int
    heads: int
    width: int
    vocabulary: int
    batch: int
    context: int

    def tokens(self) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets of a training step, each (batch, context) int64."""
        ids = np.random.default_rng(0).integers(0, self.vocabulary, (self.batch, self.context + 1))
        return np.ascontiguousarray(ids[:, :-1]), np.ascontiguousarray(ids[:, 1:])

    def walks(self, steps: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Batches as of `tokens` that can be learnt: walks on 64 tokens, each with four that may come next."""
        generator = np.random.default_rng(0)
        states = generator.choice(self.vocabulary, min(64, self.vocabulary), replace=False)
        following = generator.integers(0, len(states), (len(states), 4))
        for _ in range(steps):
            walk = np.empty((self.context + 1, self.batch), np.int64)
            walk[0] = generator.integers(0, len(states), self.batch)
            for here, after in pairwise(walk):
                after[:] = following[here, generator.integers(0, 4, self.batch)]
            ids = states[walk.T]
            yield np.ascontiguousarray(ids[:, :-1]), np.ascontiguousarray(ids[:, 1:])

    def decoding(self) -> tuple[np.ndarray, int]:
        """A prompt, and how many tokens come after it."""
        return self.tokens()[0][0, :16], min(128, self.context - 16)


SHAPES = {
    "nano": Shape(4, 4, 128, 65, 12, 64),
    "char": Shape(6, 6, 384, 65, 16, 256),
    "gpt2": Shape(12, 12, 768, 50304, 4, 1024),  # 50,257 tokens, up to a multiple of 64 as nanoGPT has them
}

OPS = ("product", "attention", "loss", "recurrent")
LINEAR = [  # rows x inputs x outputs of the layers of a block of GPT-2, small to XL, and of small's last layer
    f"{rows}x{inputs * width}x{outputs * width}"
    for width, rows in ((768, 4096), (1024, 4096), (1280, 4096), (1600, 1024))
    for inputs, outputs in ((1, 3), (1, 1), (1, 4), (4, 1))
] + ["1024x768x50304"]
ATTENTION = ["1x1024x12x64", "4x1024x12x64", "1x4096x12x64", "4x4096x12x64"]  # B x T x H x D
LOSS = "4096x768x50304"  # N x C x V
GATES = {"GRU": 3, "LSTM": 4}
RECURRENT = ["12x64x128x128", "32x64x256x256", "8x256x512x512", "1x64x1024x1024"]  # B x T x inputs x H


def warmed_up(peak: float, steps: int) -> list[float]:
    """Learning rates that rise over the first fifth of the steps."""
    return [peak * min(1.0, (step + 1) / max(1, steps // 5)) for step in range(steps)]


def sizes(shape: str) -> tuple[int, ...]:
    """4096x768x3072 as numbers. Raises ValueError for what is none."""
    numbers = tuple(map(int, shape.split("x")))
    if min(numbers) < 1:
        raise ValueError
    return numbers


def work(job: str, shape: str) -> dict[str, int]:
    """Rows of a race of products, attention or recurrent layers, and the multiplications and additions of each."""
    operations = prod(sizes(shape))
    if job == "product":
        return {f"{name}, {shape}": 2 * operations for name in ("x Wᵀ", "dz W", "dzᵀ x")}
    if job == "recurrent":  # a product with the inputs, and one with the states; in all, two more for each of them
        batch, time, inputs, width = sizes(shape)
        each = 6 * batch * time * width * (inputs + width)
        return {f"{name}, {shape}": each * gates for name, gates in GATES.items()}
    time = sizes(shape)[1]
    return {shape: 7 * operations * time}  # two products forward, five backward, of half of the T x T scores
