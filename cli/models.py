"""The models that `octavo train` knows, and what a run is told from the settings of one."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..nn import ModelConfig, TrainConfig

__all__ = ["MODELS", "configure", "model_name"]

# The name of each in nn.models, and what is fixed of its configuration.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt": ("GPT", {}),
    "bigram": ("Bigram", {}),
    "mlp": ("MLPLanguageModel", {}),
    "convolution": ("ConvolutionLanguageModel", {}),
    "gru": ("RecurrentLanguageModel", {"cell": "gru"}),
    "lstm": ("RecurrentLanguageModel", {"cell": "lstm"}),
}
_OF_TEXT = ("tokenizer", "vocab_size", "val_fraction")


def configure(settings: dict[str, Any]) -> "tuple[ModelConfig, TrainConfig]":
    """The model, for a vocabulary of one token, and its training.

    Args:
        settings: as `presets.settings`.

    Raises:
        ValueError: a value out of its range, or a setting that the model does not have.
    """
    from ..nn import TrainConfig
    from ..nn.models import ARCHITECTURES

    model = settings["model"]
    known = {name: {field.name for field in fields(ARCHITECTURES[kind][0])} for name, (kind, _) in MODELS.items()}
    rest = {name: value for name, value in settings.items() if name not in (*_OF_TEXT, "model")}
    sizes = {name: rest.pop(name) for name in settings if name in set().union(*known.values()).difference(_OF_TEXT)}
    if refused := [name for name in sizes if name not in known[model]]:
        name = refused[0]
        owners = [other for other in MODELS if name in known[other]]
        raise ValueError(f"{model} has no {name}; leave out --{name}, or name a --model that has: {', '.join(owners)}")
    kind, fixed = MODELS[model]
    return ARCHITECTURES[kind][0](vocab_size=1, **sizes, **fixed), TrainConfig(**rest)


def model_name(config: "ModelConfig") -> str:
    """What `MODELS` calls the model of a configuration."""
    from ..nn.models import architecture

    def fits(kind: str, fixed: dict[str, Any]) -> bool:
        return kind == architecture(config) and all(getattr(config, name) == value for name, value in fixed.items())

    return next(name for name, model in MODELS.items() if fits(*model))
