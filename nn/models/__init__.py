"""Models: `ARCHITECTURES` names what a checkpoint can hold."""

from typing import Any

from .bigram import Bigram
from .config import GPTConfig, ModelConfig
from .convolution import ConvolutionConfig, ConvolutionLanguageModel
from .gpt import GPT
from .language_model import LanguageModel
from .mlp import MLPConfig, MLPLanguageModel
from .presets import PRESETS
from .recurrent import RecurrentConfig, RecurrentLanguageModel

ARCHITECTURES: dict[str, tuple[type[ModelConfig], type[Any]]] = {
    "Bigram": (ModelConfig, Bigram),
    "ConvolutionLanguageModel": (ConvolutionConfig, ConvolutionLanguageModel),
    "GPT": (GPTConfig, GPT),
    "MLPLanguageModel": (MLPConfig, MLPLanguageModel),
    "RecurrentLanguageModel": (RecurrentConfig, RecurrentLanguageModel),
}

__all__ = [
    "ARCHITECTURES",
    "GPT",
    "PRESETS",
    "Bigram",
    "ConvolutionConfig",
    "ConvolutionLanguageModel",
    "GPTConfig",
    "LanguageModel",
    "MLPConfig",
    "MLPLanguageModel",
    "ModelConfig",
    "RecurrentConfig",
    "RecurrentLanguageModel",
]
