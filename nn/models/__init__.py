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


def architecture(config: ModelConfig) -> str:
    """The name in `ARCHITECTURES` of the model that a configuration is for."""
    return next(name for name, (kind, _) in ARCHITECTURES.items() if kind is type(config))


def build(config: ModelConfig) -> LanguageModel:
    """The model that a configuration is for, with new weights."""
    return ARCHITECTURES[architecture(config)][1](config)


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
    "architecture",
    "build",
]
