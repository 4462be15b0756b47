"""Models: `ARCHITECTURES` names what a checkpoint can hold."""

from .gpt import GPT, PRESETS, GPTConfig

ARCHITECTURES = {"GPT": (GPTConfig, GPT)}

__all__ = ["ARCHITECTURES", "GPT", "PRESETS", "GPTConfig"]
