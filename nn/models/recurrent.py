"""A recurrent language model: a state that carries what was read."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..layers import Dropout, Embedding, Linear
from ..recurrent import GRU, LSTM
from ..tensor import Tensor
from .config import ModelConfig
from .language_model import LanguageModel

__all__ = ["RecurrentConfig", "RecurrentLanguageModel"]


@dataclass(frozen=True)
class RecurrentConfig(ModelConfig):
    """The sizes of a `RecurrentLanguageModel`, beyond those of every model.

    Args:
        layers: one on top of the other.
        width: channels of the embeddings and of the states.
        cell: "gru" or "lstm".
        dropout: probability, on what every layer takes and on what the last one gives.
    """

    layers: int = 2
    width: int = 256
    cell: str = "gru"
    dropout: float = 0.0

    @property
    def weights(self) -> int:
        gates = 3 if self.cell == "gru" else 4
        return 2 * self.width * (self.vocab_size + gates * self.width * self.layers)

    @property
    def kept(self) -> int:
        return self.width * self.layers


class RecurrentLanguageModel(LanguageModel):
    """GRU or LSTM layers between an embedding and a linear layer: ids (B, T) -> (B, T, V).

    Every window begins with a state of zeros. In generation the cache is the state.

    Source: Mikolov et al., Recurrent neural network based language model (2010).
    """

    def __init__(self, config: RecurrentConfig):
        self.config = config
        self.wte = Embedding(config.vocab_size, config.width, std=1.0)
        layer = GRU if config.cell == "gru" else LSTM
        self.layers = layer(config.width, config.width, config.layers, dropout=config.dropout)
        self.dropout = Dropout(config.dropout)
        self.head = Linear(config.width, config.vocab_size, bias=False)
        self.h = [self.layers]

    def features(self, ids: np.ndarray, caches: Any = None) -> Tensor:
        x, state = self.layers(self.dropout(self.wte(self.checked(ids))), caches)
        if caches is not None:
            caches[:] = state
        return self.dropout(x)

    def head_weight(self) -> Tensor:
        return self.head.weight

    def caches(self, batch: int, capacity: int | None = None) -> list[Any]:
        """A state for each layer, None at first."""
        return [None] * self.config.layers
