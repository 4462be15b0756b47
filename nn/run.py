"""The folder of a training run: what is in it, and under which name."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..kernels.files import atomic_write
from .config import TrainConfig
from .models import ARCHITECTURES, ModelConfig, architecture

__all__ = ["Run"]


@dataclass(frozen=True)
class Run:
    """The files of a run. `config` is written last, so that a folder without it is not ready for training."""

    folder: Path

    @property
    def config(self) -> Path:
        """Sizes of the model and how it is trained, JSON."""
        return self.folder / "config.json"

    @property
    def tokenizer(self) -> Path:
        """The tokenizer, JSON."""
        return self.folder / "tokenizer.json"

    @property
    def train(self) -> Path:
        """The tokens to train on."""
        return self.folder / "train.tokens"

    @property
    def val(self) -> Path:
        """The tokens held back for validation."""
        return self.folder / "val.tokens"

    @property
    def checkpoint(self) -> Path:
        """Weights and all else that training needs to go on."""
        return self.folder / "checkpoint.safetensors"

    @property
    def metrics(self) -> Path:
        """Losses and speed, a line of JSON each."""
        return self.folder / "metrics.jsonl"

    @property
    def plot(self) -> Path:
        """The loss curve."""
        return self.folder / "loss.png"

    def write_config(self, model: ModelConfig, training: TrainConfig, source: str) -> None:
        """Keeps what the run is told; `source` says where the text came from."""
        shape = {"architecture": architecture(model), **model.to_dict()}
        document = {"model": shape, "training": training.to_json(), "source": source}
        with atomic_write(self.config) as file:
            file.write(json.dumps(document, indent=2).encode() + b"\n")

    def read_config(self) -> tuple[ModelConfig, TrainConfig, str]:
        """What `write_config` kept.

        Raises:
            FileNotFoundError: there is no such run.
            ValueError: the file is damaged or holds an impossible value.
        """
        if not self.config.is_file():
            raise FileNotFoundError(
                f"{os.fspath(self.folder)!r} is not the folder of a run, since it has no config.json; name one that "
                "octavo train made"
            )
        try:
            document: Any = json.loads(self.config.read_bytes())
            if not isinstance(document, dict) or set(document) != {"model", "training", "source"}:
                raise ValueError("expected an object with model, training and source")
            if not isinstance(values := document["model"], dict):
                raise ValueError(f"expected a model that is an object, got {values!r}")
            name = values.pop("architecture", "GPT")  # the only one, once
            if not isinstance(name, str) or name not in ARCHITECTURES:
                raise ValueError(f"expected an architecture among {', '.join(ARCHITECTURES)}, got {name!r}")
            model = ARCHITECTURES[name][0].from_dict(values)
            return model, TrainConfig.from_json(document["training"]), str(document["source"])
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{self.config} is damaged: {error}; train anew, or mend it") from None
