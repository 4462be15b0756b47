"""GPT: a causal transformer with normalisation before each branch, in the styles of GPT-2, Llama and Qwen.

Source: Radford et al., Language Models are Unsupervised Multitask Learners (2019); Touvron et al., LLaMA: Open and
    Efficient Foundation Language Models (2023); Yang et al., Qwen3 Technical Report (2025).
"""

from typing import Any, Literal

import numpy as np

from ...kernels import device
from .. import functional as F
from ..attention import CausalSelfAttention, KVCache
from ..layers import MLP, Dropout, Embedding, LayerNorm, Linear, RMSNorm, SwiGLU
from ..module import Module
from ..recompute import recompute
from ..rotary import Rotary
from ..tensor import Tensor
from .config import GPTConfig

__all__ = ["GPT", "Block"]


def _norm(config: GPTConfig) -> LayerNorm | RMSNorm:
    if config.norm == "rms":
        return RMSNorm(config.width, config.norm_eps)
    return LayerNorm(config.width, config.bias, config.norm_eps)


def _rotary(config: GPTConfig) -> Rotary:
    return Rotary(config.head_size or config.width // config.heads, config.rope_base, config.scaling())


class Block(Module):
    """x + attention(norm(x)), then x + mlp(norm(x)): (B, T, width) -> (B, T, width)."""

    def __init__(self, config: GPTConfig, rotary: Rotary | None):
        c = config
        # Each branch adds its variance to the residual stream; so many of them add up to that of one.
        out_std: float = 0.02 / (2 * c.layers) ** 0.5
        rest = (c.bias, c.dropout, 0.02, out_std)
        mlp = (c.width, c.mlp_size, *rest)
        self.norm1 = _norm(c)
        self.attn = CausalSelfAttention(
            c.width, c.heads, *rest, c.kv_heads, c.head_size, c.qkv_bias, c.norm_eps if c.qk_norm else None, rotary
        )
        self.norm2 = _norm(c)
        self.mlp: MLP | SwiGLU
        self.mlp = SwiGLU(*mlp) if c.activation == "swiglu" else MLP(*mlp, c.activation)

    def forward(self, x: Tensor, cache: KVCache | None = None) -> Tensor:
        normal, x = self.norm2(self.attn(self.norm1(x), cache), x)
        return x + self.mlp(normal)


class GPT(Module):
    """Next-token logits for every position: ids (B, T) -> (B, T, V).

    Initial weights are GPT-2's: N(0, 0.02²), the last layer of each branch scaled by 1 / √(2 · layers), biases 0.
    With `recompute` set, the backward pass computes each block again instead of keeping what is in it.
    """

    recompute = False

    def __init__(self, config: GPTConfig):
        self.config = config
        self.wte = Embedding(config.vocab_size, config.width)
        self.wpe = Embedding(config.context, config.width) if config.positions == "learned" else None
        self.dropout = Dropout(config.dropout)
        rotary = _rotary(config) if self.wpe is None else None
        self.h = [Block(config, rotary) for _ in range(config.layers)]
        self.norm = _norm(config)
        self.head = None if config.tied else Linear(config.width, config.vocab_size, bias=False, std=0.02)

    def forward(self, ids: np.ndarray) -> Tensor:
        return F.linear(self.features(ids), self._head_weight())

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
        features = self.features(ids).reshape(-1, self.config.width)
        flat = self.wte.weight.here(_array(targets).reshape(-1))
        return F.linear_cross_entropy(
            features, self._head_weight(), flat, None, ignore_index, reduction, divisor=divisor, **options
        )

    def next_logits(self, ids: np.ndarray, caches: list[KVCache] | None = None) -> Tensor:
        """(B, V) logits of the token after the last; with caches ids continue what they hold."""
        return F.linear(self.features(ids, caches)[:, -1], self._head_weight())

    def features(self, ids: np.ndarray, caches: list[KVCache] | None = None) -> Tensor:
        """(B, T, width): what the logits are made of."""
        ids = _array(ids)
        if ids.ndim != 2 or ids.dtype.kind not in "iu" or not ids.size:
            raise ValueError(f"GPT: ids: expected integers of shape (B, T), at least one, got {ids.dtype} {ids.shape}")
        start = caches[0].length if caches else 0
        end = start + ids.shape[1]
        if end > self.config.context:
            raise ValueError(
                f"GPT: {end} tokens are more than the context of {self.config.context}; shorten the sequence"
            )
        x = self.wte(self.wte.weight.here(ids))
        if self.wpe is not None:
            x = x + self.wpe.weight[start:end]
        x = self.dropout(x)
        for i, block in enumerate(self.h):
            x = recompute(block, x) if self.recompute and not caches else block(x, caches[i] if caches else None)
        return self.norm(x)

    def caches(self, batch: int, capacity: int | None = None) -> list[KVCache]:
        """An empty cache for each block, of so many positions; None: of the whole context."""
        return [block.attn.cache(batch, capacity or self.config.context) for block in self.h]

    def describe(self) -> str:
        return f"{self.num_parameters():,} parameters"

    def _head_weight(self) -> Tensor:
        return self.wte.weight if self.head is None else self.head.weight


def _array(ids: Any) -> Any:
    return ids if device.is_array(ids) else np.asarray(ids)
