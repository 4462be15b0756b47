"""A table of which token follows which: the language model that any other should beat."""

from typing import Any, Literal

import numpy as np

from .. import functional as F
from ..layers import Embedding
from ..tensor import Tensor
from .config import ModelConfig
from .language_model import LanguageModel

__all__ = ["Bigram"]


class Bigram(LanguageModel):
    """A row of logits for each token, whatever stands before it: ids (B, T) -> (B, T, V).

    Source: Shannon, A Mathematical Theory of Communication (1948), section 3.
    """

    def __init__(self, config: ModelConfig):
        self.config = config
        self.table = Embedding(config.vocab_size, config.vocab_size)

    def features(self, ids: np.ndarray, caches: Any = None) -> Tensor:
        return self.table(self.checked(ids))

    def logits(self, features: Tensor) -> Tensor:
        return features

    def cross_entropy(
        self,
        features: Tensor,
        targets: np.ndarray,
        ignore_index: int,
        reduction: Literal["mean", "sum", "none"],
        divisor: float | None,
        **options: float,
    ) -> Tensor:
        divides = reduction == "mean" and divisor is not None
        loss = F.cross_entropy(features, targets, None, ignore_index, "sum" if divides else reduction, **options)
        return loss / divisor if divides else loss
