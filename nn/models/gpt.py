"""GPT-2: a causal transformer with learned positions and normalisation before each branch.

Source: Radford et al., Language Models are Unsupervised Multitask Learners (2019).
"""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np

from .. import functional as F
from ..attention import CausalSelfAttention, KVCache
from ..layers import MLP, Dropout, Embedding, LayerNorm, Linear
from ..module import Module
from ..tensor import Tensor

__all__ = ["GPT", "PRESETS", "Block", "GPTConfig"]


@dataclass(frozen=True)
class GPTConfig:
    """The sizes of a GPT.

    Args:
        vocab_size: number of token ids.
        context: the most tokens that the model sees at once.
        layers, heads, width: blocks, attention heads in each, and channels, which the heads divide among them.
        dropout: probability, on the embeddings and on the output of every branch.
        bias: whether linear layers and norms have one.
        tied: whether the token embedding also makes the logits.

    Raises:
        ValueError: a size that is not a positive integer, heads that do not divide the width, dropout outside [0, 1).
    """

    vocab_size: int
    context: int
    layers: int
    heads: int
    width: int
    dropout: float = 0.0
    bias: bool = True
    tied: bool = True

    def __post_init__(self) -> None:
        for name in ("vocab_size", "context", "layers", "heads", "width"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ValueError(f"GPTConfig: {name}: expected a positive integer, got {value!r}")
        for name in ("bias", "tied"):
            if type(getattr(self, name)) is not bool:
                raise ValueError(f"GPTConfig: {name}: expected true or false, got {getattr(self, name)!r}")
        if type(self.dropout) not in (int, float) or not 0 <= self.dropout < 1:
            raise ValueError(f"GPTConfig: dropout: expected 0 <= dropout < 1, got {self.dropout!r}")
        if self.width % self.heads:
            raise ValueError(f"GPTConfig: width: expected a multiple of heads = {self.heads}, got {self.width}")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2)

    @classmethod
    def from_dict(cls, values: Any) -> "GPTConfig":
        """A config from a dict, as JSON gives it. Raises ValueError for unknown, missing and impossible values."""
        if not isinstance(values, dict):
            raise ValueError(f"GPTConfig: expected an object of names and values, got {values!r}")
        known = {field.name for field in fields(cls)}
        if unknown := [str(name) for name in values if name not in known]:
            raise ValueError(
                f"GPTConfig: unknown {', '.join(unknown)}; it has {', '.join(f.name for f in fields(cls))}"
            )
        required = ("vocab_size", "context", "layers", "heads", "width")
        if missing := [name for name in required if name not in values]:
            raise ValueError(f"GPTConfig: missing {', '.join(missing)}")
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> "GPTConfig":
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"GPTConfig: not JSON: {error}") from None
        return cls.from_dict(values)


# Of the small ones vocab_size is that of bytes: dataclasses.replace gives them a tokenizer's.
PRESETS = {
    "nano": GPTConfig(vocab_size=256, context=64, layers=4, heads=4, width=128, bias=False),
    "micro": GPTConfig(vocab_size=256, context=256, layers=6, heads=6, width=384, bias=False),
    "mini": GPTConfig(vocab_size=256, context=512, layers=8, heads=8, width=512, bias=False),
    "gpt2": GPTConfig(vocab_size=50257, context=1024, layers=12, heads=12, width=768),
    "gpt2-medium": GPTConfig(vocab_size=50257, context=1024, layers=24, heads=16, width=1024),
    "gpt2-large": GPTConfig(vocab_size=50257, context=1024, layers=36, heads=20, width=1280),
    "gpt2-xl": GPTConfig(vocab_size=50257, context=1024, layers=48, heads=25, width=1600),
}


class Block(Module):
    """x + attention(norm(x)), then x + mlp(norm(x)): (B, T, width) -> (B, T, width)."""

    def __init__(self, config: GPTConfig):
        # Each branch adds its variance to the residual stream; so many of them add up to that of one.
        out_std = 0.02 / (2 * config.layers) ** 0.5
        rest = (config.bias, config.dropout, 0.02, out_std)
        self.norm1 = LayerNorm(config.width, config.bias)
        self.attn = CausalSelfAttention(config.width, config.heads, *rest)
        self.norm2 = LayerNorm(config.width, config.bias)
        self.mlp = MLP(config.width, 4 * config.width, *rest)

    def forward(self, x: Tensor, cache: KVCache | None = None) -> Tensor:
        x = x + self.attn(self.norm1(x), cache)
        return x + self.mlp(self.norm2(x))


class GPT(Module):
    """Next-token logits for every position: ids (B, T) -> (B, T, V).

    Initial weights are GPT-2's: N(0, 0.02²), the last layer of each branch scaled by 1 / √(2 · layers), biases 0.
    """

    def __init__(self, config: GPTConfig):
        self.config = config
        self.wte = Embedding(config.vocab_size, config.width)
        self.wpe = Embedding(config.context, config.width)
        self.dropout = Dropout(config.dropout)
        self.h = [Block(config) for _ in range(config.layers)]
        self.norm = LayerNorm(config.width, config.bias)
        self.head = None if config.tied else Linear(config.width, config.vocab_size, bias=False, std=0.02)

    def forward(self, ids: np.ndarray) -> Tensor:
        return F.linear(self.features(ids), self._head_weight())

    def loss(
        self,
        ids: np.ndarray,
        targets: np.ndarray,
        ignore_index: int = -100,
        reduction: Literal["mean", "sum", "none"] = "mean",
        divisor: float | None = None,
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
        features = self.features(ids).reshape(-1, self.config.width)
        flat = np.asarray(targets).reshape(-1)
        return F.linear_cross_entropy(
            features, self._head_weight(), flat, None, ignore_index, reduction, divisor=divisor, **options
        )

    def next_logits(self, ids: np.ndarray, caches: list[KVCache] | None = None) -> Tensor:
        """(B, V) logits of the token after the last; with caches ids continue what they hold."""
        return F.linear(self.features(ids, caches)[:, -1], self._head_weight())

    def features(self, ids: np.ndarray, caches: list[KVCache] | None = None) -> Tensor:
        """(B, T, width): what the logits are made of."""
        ids = np.asarray(ids)
        if ids.ndim != 2 or ids.dtype.kind not in "iu" or not ids.size:
            raise ValueError(f"GPT: ids: expected integers of shape (B, T), at least one, got {ids.dtype} {ids.shape}")
        start = caches[0].length if caches else 0
        end = start + ids.shape[1]
        if end > self.config.context:
            raise ValueError(
                f"GPT: {end} tokens are more than the context of {self.config.context}; shorten the sequence"
            )
        x = self.dropout(self.wte(ids) + self.wpe.weight[start:end])
        for i, block in enumerate(self.h):
            x = block(x, caches[i] if caches else None)
        return self.norm(x)

    def caches(self, batch: int) -> list[KVCache]:
        """An empty cache for each block."""
        c = self.config
        dtype = self.wte.weight.dtype
        return [KVCache(batch, c.context, c.heads, c.width // c.heads, dtype) for _ in self.h]

    def describe(self) -> str:
        return f"{self.num_parameters():,} parameters"

    def _head_weight(self) -> Tensor:
        return self.wte.weight if self.head is None else self.head.weight
