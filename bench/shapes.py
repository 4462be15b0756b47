"""GPTs that are raced, and the random tokens that they see."""

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

    def decoding(self) -> tuple[np.ndarray, int]:
        """A prompt, and how many tokens come after it."""
        return self.tokens()[0][0, :16], min(128, self.context - 16)


SHAPES = {
    "nano": Shape(4, 4, 128, 65, 12, 64),
    "char": Shape(6, 6, 384, 65, 16, 256),
    "gpt2": Shape(12, 12, 768, 50304, 4, 1024),  # 50,257 tokens, up to a multiple of 64 as nanoGPT has them
}
