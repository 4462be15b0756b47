"""Models: `ARCHITECTURES` names what a checkpoint can hold."""

from .config import GPTConfig
from .gpt import GPT
from .presets import PRESETS

ARCHITECTURES = {"GPT": (GPTConfig, GPT)}

__all__ = ["ARCHITECTURES", "GPT", "PRESETS", "GPTConfig"]
