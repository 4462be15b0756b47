"""Rotary position embedding: the angles of each position, and what lengthens the context of trained models.

Source: Su et al., RoFormer: Enhanced Transformer with Rotary Position Embedding (2021), section 3.4.2.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ..kernels import device
from . import functional as F
from .module import Module
from .tensor import Tensor

__all__ = ["LinearScaling", "Llama3Scaling", "Rotary", "rotary_tables"]

Scaling: TypeAlias = Callable[[np.ndarray], np.ndarray]  # of the angles' frequencies


@dataclass(frozen=True)
class LinearScaling:
    """Positions come `factor` times as close together.

    Source: Chen et al., Extending Context Window of Large Language Models via Positional Interpolation (2023).
    """

    factor: float

    def __post_init__(self) -> None:
        _require_positive(self, "factor")

    def __call__(self, frequencies: np.ndarray) -> np.ndarray:
        return frequencies / self.factor


@dataclass(frozen=True)
class Llama3Scaling:
    """Waves that a trained context holds fewer than `low_freq_factor` times are stretched by `factor`; those that it
    holds more than `high_freq_factor` times stay; between, the weight of the one over the other falls linearly.

    Source: Grattafiori et al., The Llama 3 Herd of Models (2024); the reference code of Llama 3.1.
    """

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_max_position_embeddings: int

    def __post_init__(self) -> None:
        _require_positive(self, *vars(self))
        if self.low_freq_factor >= self.high_freq_factor:
            raise ValueError(
                f"Llama3Scaling: expected low_freq_factor < high_freq_factor, got {self.low_freq_factor:g} and "
                f"{self.high_freq_factor:g}"
            )

    def __call__(self, frequencies: np.ndarray) -> np.ndarray:
        waves = self.original_max_position_embeddings * frequencies / (2 * math.pi)
        kept = np.clip((waves - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor), 0, 1)
        return frequencies * (kept + (1 - kept) / self.factor)


def rotary_tables(
    positions: int | np.ndarray, head_size: int, base: float = 10000.0, scaling: Scaling | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """cos and sin of position · base^(−2i / head_size), for i < head_size / 2.

    Args:
        positions: (T) of them, or T for 0 to T − 1.
        head_size: channels of a head, even.
        base: the slowest wave has nearly 2π · base positions.
        scaling: what is made of the frequencies, as `Llama3Scaling`.

    Returns:
        Two (T, head_size / 2) float32 arrays, computed in float64.

    Raises:
        ValueError: an odd or negative head_size, a base of 0 or less.
    """
    if head_size < 0 or head_size % 2:
        raise ValueError(f"rotary_tables: head_size: expected an even number, got {head_size}")
    if not base > 0:
        raise ValueError(f"rotary_tables: base: expected a positive number, got {base}")
    frequencies = float(base) ** (-np.arange(0, head_size, 2) / max(1, head_size))
    if scaling is not None:
        frequencies = scaling(frequencies)
    angles = np.multiply.outer(np.arange(positions) if isinstance(positions, int) else positions, frequencies)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


class Rotary(Module):
    """Turns queries or keys (B, T, H, head_size) by their positions, from `start` on.

    Args:
        head_size, base, scaling: as in `rotary_tables`. The tables are kept, and grow with the context.
    """

    def __init__(self, head_size: int, base: float = 10000.0, scaling: Scaling | None = None):
        self.head_size, self.base, self.scaling = head_size, base, scaling
        self._cos, self._sin = rotary_tables(0, head_size, base, scaling)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        end = start + x.shape[1]
        if end > len(self._cos) or device.of(self._cos) != x.device:
            length = max(end, 2 * len(self._cos))
            tables = rotary_tables(length, self.head_size, self.base, self.scaling)
            self._cos, self._sin = (device.to(table, x.device) for table in tables)
        return F.rotary(x, self._cos[start:end], self._sin[start:end])

    def describe(self) -> str:
        scaling = "" if self.scaling is None else f", {self.scaling}"
        return f"{self.head_size}, base={self.base:g}{scaling}"


def _require_positive(scaling: object, *names: str) -> None:
    for name in names:
        value = getattr(scaling, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
            raise ValueError(f"{type(scaling).__name__}: {name}: expected a positive number, got {value!r}")
