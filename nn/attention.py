"""Causal self-attention, and the cache that spares it past keys and values in generation."""

import numpy as np

from ..kernels import device
from . import functional as F
from .layers import Dropout, Linear
from .module import Module
from .tensor import Tensor

__all__ = ["CausalSelfAttention", "KVCache"]


class KVCache:
    """Keys and values of one layer, for up to `capacity` positions."""

    def __init__(self, batch: int, capacity: int, heads: int, size: int, dtype: np.dtype):
        self.keys = device.empty((batch, capacity, heads, size), dtype)
        self.values = device.empty((batch, capacity, heads, size), dtype)
        self.length = 0

    def append(self, keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Add (B, T, H, D) keys and values; returns all so far, (B, S, H, D), as views.

        Raises:
            ValueError: no room is left for them.
        """
        start, end = self.length, self.length + keys.shape[1]
        if end > self.keys.shape[1]:
            raise ValueError(
                f"KVCache: no room for {keys.shape[1]} more positions: {start} of {self.keys.shape[1]} are taken"
            )
        self.keys[:, start:end] = keys
        self.values[:, start:end] = values
        self.length = end
        return self.keys[:, :end], self.values[:, :end]


class CausalSelfAttention(Module):
    """Each position attends to itself and those before it: (B, T, width) -> (B, T, width).

    Args:
        width, heads: width must be a multiple of heads; each head has width / heads channels.
        dropout: on the output; attention itself has none, as it never holds its probabilities.
        std, out_std: of the initial weights of the first and the second linear layer.

    Source: Vaswani et al., Attention Is All You Need (2017), section 3.2.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        bias: bool = True,
        dropout: float = 0.0,
        std: float | None = None,
        out_std: float | None = None,
    ):
        if width % heads:
            raise ValueError(f"attention: expected a width that {heads} heads divide, got {width}")
        self.heads = heads
        self.qkv = Linear(width, 3 * width, bias, std=std)
        self.proj = Linear(width, width, bias, std=out_std)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, cache: KVCache | None = None) -> Tensor:
        """With a cache x continues it, and gradients do not reach what is cached: for use under no_grad()."""
        batch, time, width = x.shape
        q, k, v = self.qkv(x).reshape(batch, time, 3, self.heads, width // self.heads).unbind(2)
        if cache is not None:
            k, v = cache.append(k.data, v.data)
        out = F.attention(q, k, v)
        return self.dropout(self.proj(out.reshape(batch, time, width)))

    def describe(self) -> str:
        return f"{self.heads} heads"
