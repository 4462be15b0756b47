"""A finished run, ready for use; and what must hold before a model is made."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..nn import LanguageModel, ModelConfig, TrainConfig
    from ..nn.run import Run
    from ..tokenizer import Tokenizer

__all__ = ["load", "require_memory", "require_vocabulary"]

_COPIES = 4  # of the weights in training: themselves, gradients, AdamW's two


def load(folder: Path, device: str = "cpu") -> "tuple[Run, Tokenizer, LanguageModel]":
    """The files, the tokenizer and the model, on a device, of the run in a folder.

    Raises:
        FileNotFoundError: no run, or a file of it is missing.
        ValueError: a file is damaged, or they are not of the same run.
    """
    from .. import tokenizer as tokenizers
    from ..nn import checkpoint
    from ..nn.run import Run

    run = Run(folder)
    run.read_config()
    if not run.checkpoint.exists():
        raise FileNotFoundError(
            f"{run.checkpoint} is not there: the run has saved nothing yet; go on with octavo train --resume {folder}"
        )
    tokenizer = tokenizers.load(run.tokenizer)
    saved = checkpoint.load(run.checkpoint)
    require_vocabulary(tokenizer, saved.config, run.checkpoint)
    require_memory(saved.config)
    model = saved.model()
    model.to(device)
    return run, tokenizer, model


def require_vocabulary(tokenizer: "Tokenizer", shape: "ModelConfig", origin: Path) -> None:
    """ValueError where a model (from the file `origin`) was made for another tokenizer."""
    if shape.vocab_size != tokenizer.vocab_size:
        raise ValueError(
            f"{origin} has a model of {shape.vocab_size:,} tokens, tokenizer.json beside it has "
            f"{tokenizer.vocab_size:,}; put back the one that the run was made with"
        )


def require_memory(shape: "ModelConfig", training: "TrainConfig | None" = None) -> None:
    """ValueError where this machine cannot hold a model's float32 weights, or what training it takes at the least."""
    import psutil

    needed, there = 4 * shape.weights, psutil.virtual_memory().total
    batches = ""
    if training is not None:
        tokens = training.batch_size * shape.context
        needed = _COPIES * needed + 4 * tokens * shape.kept + 16 * tokens * training.accumulate
        batches = f", in batches of {training.batch_size:,} windows, {training.accumulate:,} for an update,"
    if needed > there:
        raise ValueError(
            f"a model of {shape.sizes()} and {shape.vocab_size:,} tokens{batches} needs {needed / 1e9:,.0f} GB of "
            f"memory, this machine has {there / 1e9:,.0f}; choose a smaller one"
        )
