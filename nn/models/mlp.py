"""A neural probabilistic language model: a hidden layer over the embeddings of the last few tokens."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..layers import CausalConv1d, Embedding, Linear
from ..tensor import Tensor
from .config import ModelConfig
from .language_model import LanguageModel

__all__ = ["MLPConfig", "MLPLanguageModel"]


@dataclass(frozen=True)
class MLPConfig(ModelConfig):
    """The sizes of an `MLPLanguageModel`, beyond those of every model.

    Args:
        width: channels of an embedding.
        hidden: channels of the hidden layer.
        taps: tokens that it sees, the present one included.
    """

    width: int = 64
    hidden: int = 256
    taps: int = 8

    @property
    def weights(self) -> int:
        return self.width * self.vocab_size + self.hidden * (self.width * self.taps + self.vocab_size)

    @property
    def kept(self) -> int:
        return self.width + self.hidden


class MLPLanguageModel(LanguageModel):
    """tanh(W (e_{t−taps+1}, …, e_t) + b), then a linear layer, for every position: ids (B, T) -> (B, T, V).

    The hidden layer is a causal convolution, so that all positions share its products; embeddings are zeros before the
    first token.

    Source: Bengio et al., A Neural Probabilistic Language Model (2003), without its direct connections.
    """

    def __init__(self, config: MLPConfig):
        self.config = config
        self.wte = Embedding(config.vocab_size, config.width, std=1.0)
        self.hidden = CausalConv1d(config.width, config.hidden, config.taps)
        self.head = Linear(config.hidden, config.vocab_size, bias=False)
        self.h = [self.hidden]

    def features(self, ids: np.ndarray, caches: Any = None) -> Tensor:
        return self.hidden(self.wte(self.checked(ids))).tanh()

    def head_weight(self) -> Tensor:
        return self.head.weight
