"""How well a model predicts text: mean loss, perplexity, bits per byte."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .data import IGNORE_INDEX, Batch
from .tape import no_grad

if TYPE_CHECKING:
    from .models import LanguageModel

__all__ = ["Evaluation", "evaluate"]


class Evaluation(NamedTuple):
    """Mean cross-entropy in nats per token, over so many tokens; each token of text stands for so many bytes."""

    loss: float
    tokens: int
    bytes_per_token: float | None = None

    @property
    def perplexity(self) -> float:
        """exp(loss), infinite where that overflows."""
        return math.exp(self.loss) if self.loss < 700 else math.inf

    @property
    def bits_per_byte(self) -> float | None:
        """loss / ln 2 / bytes per token, comparable between tokenizers; None if the latter is not known."""
        return self.loss / math.log(2) / self.bytes_per_token if self.bytes_per_token else None

    def to_json(self, prefix: str) -> dict[str, Any]:
        """Loss and bits per byte for metrics, their names after a prefix."""
        bits = {} if self.bits_per_byte is None else {f"{prefix}_bits_per_byte": self.bits_per_byte}
        return {f"{prefix}_loss": self.loss, **bits}


def evaluate(model: "LanguageModel", batches: Iterable[Batch], bytes_per_token: float | None = None) -> Evaluation:
    """The mean loss over all targets that are not ignored, without dropout; each target has the same weight.

    Args:
        model: left in the mode (training or not) in which it came.
        batches: (ids, targets), each (B, T) int64; `EvalBatches` or its `sample`.
        bytes_per_token: of the text, `TokenFile.bytes_per_token`.

    Raises:
        ValueError: no target counts.
    """
    was_training, total, tokens = model.training, 0.0, 0
    model.eval()
    try:
        with no_grad():
            for ids, targets in batches:
                tokens += int(np.count_nonzero(targets != IGNORE_INDEX))
                total += float(model.loss(ids, targets, reduction="sum").item())
    finally:
        model.train(was_training)
    if tokens == 0:
        raise ValueError("evaluate: there is no target to predict; give batches with targets that are not ignored")
    return Evaluation(total / tokens, tokens, bytes_per_token)
