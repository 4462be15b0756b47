"""Causal self-attention, and the cache that spares it past keys and values in generation."""

import numpy as np

from ..kernels import device, registry
from . import functional as F
from .layers import Dropout, Linear, RMSNorm
from .module import Module
from .rotary import Rotary
from .tensor import Tensor

__all__ = ["CausalSelfAttention", "KVCache"]


class KVCache:
    """Keys and values of one layer, for up to `capacity` positions; dtype uint16 keeps bits of bfloat16."""

    def __init__(self, batch: int, capacity: int, heads: int, size: int, dtype: np.dtype, place: str = "cpu"):
        # Position by position, so that all that is there lies together.
        self.keys = device.empty((capacity, batch, heads, size), dtype, place)
        self.values = device.empty((capacity, batch, heads, size), dtype, place)
        self.length = 0

    def append(self, keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Add (B, T, H, D) keys and values; returns all so far, (B, S, H, D), as views of what is kept.

        Raises:
            ValueError: no room is left for them.
        """
        start, end = self.length, self.length + keys.shape[1]
        if end > len(self.keys):
            raise ValueError(
                f"KVCache: no room for {keys.shape[1]} more positions: {start} of {len(self.keys)} are taken"
            )
        if self.keys.dtype == np.uint16:
            keys, values = registry["to_bf16"](keys), registry["to_bf16"](values)
        device.copy(keys.transpose(1, 0, 2, 3), self.keys[start:end])
        device.copy(values.transpose(1, 0, 2, 3), self.values[start:end])
        self.length = end
        return self.keys[:end].transpose(1, 0, 2, 3), self.values[:end].transpose(1, 0, 2, 3)


class CausalSelfAttention(Module):
    """Each position attends to itself and those before it: (B, T, width) -> (B, T, width).

    Args:
        width, heads: channels, and heads of queries.
        dropout: on the output; attention itself has none, as it never holds its probabilities.
        std, out_std: of the initial weights of the first and the second linear layer.
        kv_heads: heads of keys and values, each shared by heads / kv_heads heads of queries; None: as many as heads.
        head_size: channels of a head; None: width / heads.
        qkv_bias: whether the first linear layer has a bias; None: as `bias`, which is also the second layer's.
        qk_norm_eps: queries and keys go through an RMS norm with this eps, head by head; None: they do not.
        rotary: turns queries and keys by their positions, for head_size channels; None: nothing does.

    Raises:
        ValueError: heads that do not divide the width where there is no head size, or kv_heads not the heads.

    Source: Vaswani et al., Attention Is All You Need (2017), section 3.2; Ainslie et al., GQA: Training Generalized
        Multi-Query Transformer Models from Multi-Head Checkpoints (2023).
    """

    def __init__(
        self,
        width: int,
        heads: int,
        bias: bool = True,
        dropout: float = 0.0,
        std: float | None = None,
        out_std: float | None = None,
        kv_heads: int | None = None,
        head_size: int | None = None,
        qkv_bias: bool | None = None,
        qk_norm_eps: float | None = None,
        rotary: Rotary | None = None,
    ):
        self.heads, self.kv_heads = heads, kv_heads or heads
        if head_size is None and width % heads:
            raise ValueError(f"attention: expected a width that {heads} heads divide, got {width}")
        if heads % self.kv_heads:
            raise ValueError(f"attention: expected kv_heads that divide {heads} heads, got {kv_heads}")
        self.head_size = head_size or width // heads
        outputs = (heads + 2 * self.kv_heads) * self.head_size
        self.qkv = Linear(width, outputs, bias if qkv_bias is None else qkv_bias, std=std)
        self.q_norm = None if qk_norm_eps is None else RMSNorm(self.head_size, qk_norm_eps)
        self.k_norm = None if qk_norm_eps is None else RMSNorm(self.head_size, qk_norm_eps)
        self.rotary = rotary
        self.proj = Linear(heads * self.head_size, width, bias, std=out_std)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, cache: KVCache | None = None) -> Tensor:
        """With a cache x continues it, and gradients do not reach what is cached: for use under no_grad()."""
        batch, time, _ = x.shape
        heads = self.qkv(x).reshape(batch, time, -1, self.head_size)
        q, k, v = F.split(heads, (self.heads, self.kv_heads, self.kv_heads), 2)
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        if self.rotary is not None:
            start = cache.length if cache is not None else 0
            q, k = self.rotary(q, start), self.rotary(k, start)
        if cache is not None:
            k, v = cache.append(k.data, v.data)
        out = F.attention(q, k, v)
        return self.dropout(self.proj(out.reshape(batch, time, -1)))

    def cache(self, batch: int, capacity: int) -> KVCache:
        """An empty cache for this layer; in bfloat16 where its weights are, or are quantized."""
        dtype = self.qkv.weight.dtype
        dtype = dtype if dtype.kind == "f" else np.dtype("u2")
        return KVCache(batch, capacity, self.kv_heads, self.head_size, dtype, self.qkv.weight.device)

    def describe(self) -> str:
        return f"{self.heads} heads" + (f", {self.kv_heads} of keys" if self.kv_heads < self.heads else "")
