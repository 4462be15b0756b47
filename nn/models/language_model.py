"""What every language model can do: logits, the loss of next tokens, and one token more."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ...kernels import device
from .. import functional as F
from ..module import Module
from ..tensor import Tensor

__all__ = ["LanguageModel"]


class LanguageModel(Module):
    """Next-token logits for every position: ids (B, T) -> (B, T, V). Subclasses define `features` and `head_weight`,
    or else `logits` and `cross_entropy` of features.

    Attributes:
        config: with the size of the vocabulary, and of the windows that it is trained on.
        h: the blocks, of which Muon trains the matrices.
        in_graph: whether a GPU can be given its training steps as a CUDA graph, see `update.DeviceUpdate`.
        recompute: the backward pass computes each block again instead of keeping what is in it, where a model can.
    """

    config: Any
    h: Sequence[Any] = ()
    in_graph = True
    recompute = False

    def features(self, ids: np.ndarray, caches: Any = None) -> Tensor:
        """(B, T, width): what the logits are made of; with caches ids continue what they hold."""
        raise NotImplementedError(f"{type(self).__name__} does not define features")

    def head_weight(self) -> Tensor:
        """(V, width): the last layer, which makes the logits."""
        raise NotImplementedError(f"{type(self).__name__} does not define head_weight")

    def caches(self, batch: int, capacity: int | None = None) -> Any:
        """What generation keeps of the tokens that were read; None: nothing, all are read again."""
        return None

    def forward(self, ids: np.ndarray) -> Tensor:
        return self.logits(self.features(ids))

    def logits(self, features: Tensor) -> Tensor:
        return F.linear(features, self.head_weight())

    def cross_entropy(
        self,
        features: Tensor,
        targets: np.ndarray,
        ignore_index: int,
        reduction: Literal["mean", "sum", "none"],
        divisor: Any,
        **options: float,
    ) -> Tensor:
        """`loss` of features (N, width) and targets (N)."""
        weight = self.head_weight()
        return F.linear_cross_entropy(
            features, weight, targets, None, ignore_index, reduction, divisor=divisor, **options
        )

    def loss(
        self,
        ids: np.ndarray,
        targets: np.ndarray,
        ignore_index: int = -100,
        reduction: Literal["mean", "sum", "none"] = "mean",
        divisor: Any = None,
        **options: float,
    ) -> Tensor:
        """Cross-entropy of the targets (B, T), without ever holding all logits.

        Args:
            ignore_index: targets that do not count.
            reduction, divisor, options (label_smoothing, z_loss): as in `kernels.linear_cross_entropy`.

        Raises:
            ValueError: shapes that differ, a T above the context, ids out of range.
        """
        if np.shape(targets) != np.shape(ids):
            raise ValueError(f"loss: expected targets of the ids' shape {np.shape(ids)}, got {np.shape(targets)}")
        features = self.features(ids)
        flat = features.here(_array(targets).reshape(-1))
        features = features.reshape(-1, features.shape[-1])
        return self.cross_entropy(features, flat, ignore_index, reduction, divisor, **options)

    def next_logits(self, ids: np.ndarray, caches: Any = None) -> Tensor:
        """(B, V) logits of the token after the last; with caches ids continue what they hold."""
        return self.logits(self.features(ids, caches)[:, -1])

    def checked(self, ids: Any) -> np.ndarray:
        """Ids (B, T), where the weights are."""
        ids = _array(ids)
        if ids.ndim != 2 or ids.dtype.kind not in "iu" or not ids.size:
            name, got = type(self).__name__, f"{ids.dtype} {ids.shape}"
            raise ValueError(f"{name}: ids: expected integers of shape (B, T), at least one, got {got}")
        return next(self.parameters()).here(ids)

    def describe(self) -> str:
        return f"{self.num_parameters():,} parameters"


def _array(ids: Any) -> Any:
    return ids if device.is_array(ids) else np.asarray(ids)
