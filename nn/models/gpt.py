"""GPT: a causal transformer with normalisation before each branch, in the styles of GPT-2, Llama and Qwen.

Source: Radford et al., Language Models are Unsupervised Multitask Learners (2019); Touvron et al., LLaMA: Open and
    Efficient Foundation Language Models (2023); Yang et al., Qwen3 Technical Report (2025).
"""

import numpy as np

from ..attention import CausalSelfAttention, KVCache
from ..layers import MLP, Dropout, Embedding, LayerNorm, Linear, RMSNorm, SwiGLU
from ..module import Module
from ..recompute import recompute
from ..rotary import Rotary
from ..tensor import Tensor
from .config import GPTConfig
from .language_model import LanguageModel

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


class GPT(LanguageModel):
    """Next-token logits for every position: ids (B, T) -> (B, T, V).

    Initial weights are GPT-2's: N(0, 0.02²), the last layer of each branch scaled by 1 / √(2 · layers), biases 0.
    With `recompute` set, the backward pass computes each block again instead of keeping what is in it.
    """

    def __init__(self, config: GPTConfig):
        self.config = config
        self.wte = Embedding(config.vocab_size, config.width)
        self.wpe = Embedding(config.context, config.width) if config.positions == "learned" else None
        self.dropout = Dropout(config.dropout)
        rotary = _rotary(config) if self.wpe is None else None
        self.h = [Block(config, rotary) for _ in range(config.layers)]
        self.norm = _norm(config)
        self.head = None if config.tied else Linear(config.width, config.vocab_size, bias=False, std=0.02)

    def features(self, ids: np.ndarray, caches: list[KVCache] | None = None) -> Tensor:
        """(B, T, width): what the logits are made of."""
        ids = self.checked(ids)
        start = caches[0].length if caches else 0
        end = start + ids.shape[1]
        if end > self.config.context:
            raise ValueError(
                f"GPT: {end} tokens are more than the context of {self.config.context}; shorten the sequence"
            )
        x = self.wte(ids)
        if self.wpe is not None:
            x = x + self.wpe.weight[start:end]
        x = self.dropout(x)
        for i, block in enumerate(self.h):
            x = recompute(block, x) if self.recompute and not caches else block(x, caches[i] if caches else None)
        return self.norm(x)

    def caches(self, batch: int, capacity: int | None = None) -> list[KVCache]:
        """An empty cache for each block, of so many positions; None: of the whole context."""
        return [block.attn.cache(batch, capacity or self.config.context) for block in self.h]

    def head_weight(self) -> Tensor:
        return self.wte.weight if self.head is None else self.head.weight
