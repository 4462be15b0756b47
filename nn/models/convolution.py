"""A convolutional language model: gated causal convolutions that look twice as far back from layer to layer."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import functional as F
from ..layers import CausalConv1d, Dropout, Embedding, LayerNorm, Linear
from ..module import Module
from ..tensor import Tensor
from .config import ModelConfig
from .language_model import LanguageModel

__all__ = ["ConvolutionConfig", "ConvolutionLanguageModel"]


@dataclass(frozen=True)
class ConvolutionConfig(ModelConfig):
    """The sizes of a `ConvolutionLanguageModel`, beyond those of every model.

    Args:
        layers: convolutions; number i, from 0, looks at positions 2^i apart.
        width: channels of the stream between them.
        taps: positions that each one looks at, the present one included.
        dropout: probability, on the output of every layer.
    """

    layers: int = 6
    width: int = 128
    taps: int = 2
    dropout: float = 0.0

    @property
    def weights(self) -> int:
        return self.width * (2 * self.vocab_size + (2 * self.taps + 1) * self.width * self.layers)

    @property
    def kept(self) -> int:
        return 3 * self.width * self.layers


class GatedConvolution(Module):
    """x + proj(tanh(f) σ(g)), f and g causal convolutions of x: (B, T, width) -> (B, T, width)."""

    def __init__(self, config: ConvolutionConfig, dilation: int):
        self.conv = CausalConv1d(config.width, 2 * config.width, config.taps, dilation=dilation)
        self.proj = Linear(config.width, config.width)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        f, g = F.split(self.conv(x), (x.shape[2], x.shape[2]), 2)
        return x + self.dropout(self.proj(f.tanh() * g.sigmoid()))


class ConvolutionLanguageModel(LanguageModel):
    """Residual layers of gated, dilated causal convolutions: ids (B, T) -> (B, T, V).

    Source: van den Oord et al., WaveNet: A Generative Model for Raw Audio (2016), without its skip connections.
    """

    in_graph = False  # dilated layers reshape what is permuted, by a copy that is no kernel of ours

    def __init__(self, config: ConvolutionConfig):
        self.config = config
        self.wte = Embedding(config.vocab_size, config.width, std=1.0)
        self.h = [GatedConvolution(config, 2**i) for i in range(config.layers)]
        self.norm = LayerNorm(config.width)
        self.head = Linear(config.width, config.vocab_size, bias=False)

    def features(self, ids: np.ndarray, caches: Any = None) -> Tensor:
        x = self.wte(self.checked(ids))
        for layer in self.h:
            x = layer(x)
        return self.norm(x)

    def head_weight(self) -> Tensor:
        return self.head.weight
