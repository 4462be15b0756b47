"""Checkpoints: one safetensors file with all that a run needs to go on.

Weights are `model.<name>`, the optimiser's arrays `optimizer.<name>`; everything else is JSON under the key `octavo`
of the file's metadata, and under `crc32` the checksum of it all. The file is the old one or the new one, whenever the
process is killed.
"""

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as save_arrays

from ..kernels import device
from ..kernels.files import atomic_write
from . import random
from .models import ARCHITECTURES, LanguageModel
from .optim import Optimizer

__all__ = ["Checkpoint", "load", "save"]

_KEY, _CHECKSUM = "octavo", "crc32"
_VERSION = 2
_FIELDS = {"version", "architecture", "config", "random", "optimizer", "extra"}


def save(
    path: str | os.PathLike[str],
    model: LanguageModel,
    optimizer: Optimizer | None = None,
    extra: dict[str, Any] | None = None,
) -> None:
    """Write a model, its optimiser and the state of the random numbers to a file, all or nothing.

    Args:
        path: a .safetensors file; replaced if it is there.
        extra: anything that JSON can hold: the step, the place in the data, the best loss.

    Raises:
        ValueError: `extra` holds something that JSON has no form for, or an array NaN or infinity.
        OSError: the file cannot be written.
    """
    state = optimizer.state_dict() if optimizer else {}
    arrays = {f"model.{name}": x for name, x in model.state_dict().items()}
    arrays |= {f"optimizer.{name}": x for name, x in state.items() if device.is_array(x)}
    meta = {
        "version": _VERSION,
        "architecture": type(model).__name__,
        "config": model.config.to_dict(),
        "random": random.state(),
        "optimizer": {name: x for name, x in state.items() if not device.is_array(x)},
        "extra": extra or {},
    }
    try:
        text = json.dumps(meta)
    except (TypeError, ValueError) as error:
        raise ValueError(f"checkpoint: extra: expected what JSON can hold: {error}") from None
    arrays = {name: np.ascontiguousarray(device.to(x, "cpu")) for name, x in arrays.items()}
    if name := _not_finite(arrays):
        raise ValueError(
            f"{path}: not written, since {name} has NaN or infinity, and the old file is kept; lower the learning rate"
        )
    # Not save_file: it puts a file of its own in the place of the open one, which then misses the fsync.
    data = save_arrays(arrays, {_KEY: text, _CHECKSUM: checksum(text, arrays)})
    with atomic_write(path) as file:
        file.write(data)


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    Args:
        architecture, config: what the model is.
        weights: arrays by name.
        optimizer: its state dict; empty if none was saved.
        random: state of `nn.random`.
        extra: as given to `save`.
    """

    path: Path
    architecture: str
    config: Any
    weights: dict[str, np.ndarray]
    optimizer: dict[str, Any]
    random: dict[str, int]
    extra: dict[str, Any]

    def model(self) -> LanguageModel:
        """The model, made anew with these weights; the random numbers go on as if it had not been made.

        Raises:
            ValueError: the weights do not fit the configuration.
        """
        before = random.state()
        model = ARCHITECTURES[self.architecture][1](self.config)
        random.set_state(before)
        dtypes = {x.dtype for x in self.weights.values()}
        if len(dtypes) == 1 and device.is_float(dtype := dtypes.pop()):
            model.to(dtype)
        self._fit(model.load_state_dict, self.weights)
        return model

    def restore(self, model: LanguageModel, optimizer: Optimizer | None = None) -> None:
        """Set a model, its optimiser and the random numbers to what they were when the file was written.

        Raises:
            ValueError: this is a file of another model or optimiser, or of a model without optimiser.
        """
        self._fit(model.load_state_dict, self.weights)
        if optimizer is not None:
            if not self.optimizer:
                raise ValueError(f"{self.path}: was saved without an optimiser; training cannot go on from it")
            self._fit(optimizer.load_state_dict, self.optimizer)
        self._fit(random.set_state, self.random)

    def _fit(self, load: Any, state: Any) -> None:
        try:
            load(state)
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}; use the model that it was saved from") from None


def load(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a file that `save` wrote; nothing in it is executed.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, not a checkpoint, or of a version or architecture that this Octavo does not know.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint file; name one that Octavo saved")
    try:
        with safe_open(path, framework="numpy") as file:
            notes = file.metadata() or {}
            text = notes.get(_KEY, "")
            arrays = {name: file.get_tensor(name) for name in file.keys()} if text else {}  # noqa: SIM118
    except (SafetensorError, AttributeError, KeyError, TypeError) as error:  # the latter: a dtype that NumPy lacks
        raise ValueError(f"{path}: is damaged or not a safetensors file ({error}); use an earlier checkpoint") from None
    meta = _meta(path, text)
    if notes.get(_CHECKSUM) != checksum(text, arrays):
        raise ValueError(f"{path}: is damaged: its content does not match its checksum; use an earlier checkpoint")
    _check_fields(path, meta)
    if name := _not_finite(arrays):
        raise ValueError(f"{path}: {name} has NaN or infinity: training had diverged; use an earlier checkpoint")
    weights = {name.removeprefix("model."): x for name, x in arrays.items() if name.startswith("model.")}
    state = {name.removeprefix("optimizer."): x for name, x in arrays.items() if name.startswith("optimizer.")}
    if len(weights) + len(state) < len(arrays):
        raise ValueError(f"{path}: holds arrays that are neither the model's nor the optimiser's; save it again")
    try:
        config = ARCHITECTURES[meta["architecture"]][0].from_dict(meta["config"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}; it was written by another version of Octavo, or changed") from None
    return Checkpoint(
        path, meta["architecture"], config, weights, meta["optimizer"] | state, meta["random"], meta["extra"]
    )


def checksum(text: str, arrays: Mapping[str, np.ndarray]) -> str:
    """CRC-32 of the JSON text and of names, types, shapes and bytes of all arrays, 8 hex digits."""
    crc = zlib.crc32(text.encode())
    for name, x in sorted(arrays.items()):
        crc = zlib.crc32(f"{name} {x.dtype.str} {x.shape}".encode(), crc)
        crc = zlib.crc32(x.reshape(-1).view(np.uint8).data, crc)
    return f"{crc:08x}"


def _not_finite(arrays: Mapping[str, np.ndarray]) -> str | None:
    """The name of an array that has NaN or infinity, if any: minimum and maximum show it without a copy."""
    for name, x in arrays.items():
        with np.errstate(invalid="ignore"):  # bfloat16 warns
            if x.size and device.is_float(x.dtype) and not (np.isfinite(x.min()) and np.isfinite(x.max())):
                return name
    return None


def _meta(path: Path, text: str) -> dict[str, Any]:
    if not text:
        raise ValueError(f"{path}: is a safetensors file, but no Octavo checkpoint; name one that Octavo saved")
    try:
        meta = json.loads(text)
        if not isinstance(meta, dict) or "version" not in meta:
            raise ValueError("no object with a version")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: is damaged: its metadata is not JSON ({error}); use an earlier checkpoint") from None
    if meta["version"] != _VERSION:
        raise ValueError(
            f"{path}: has format {meta['version']!r}, and this Octavo reads {_VERSION}; use the version that wrote it"
        )
    return meta


def _check_fields(path: Path, meta: dict[str, Any]) -> None:
    if meta.keys() != _FIELDS or str(meta["architecture"]) not in ARCHITECTURES:
        raise ValueError(
            f"{path}: expected the fields {', '.join(sorted(_FIELDS))} and an architecture among "
            f"{', '.join(ARCHITECTURES)}; it was written by another version of Octavo, or changed"
        )
    for name in ("optimizer", "random", "extra"):
        if not isinstance(meta[name], dict):
            raise ValueError(f"{path}: {name}: expected an object, got {meta[name]!r}; use an earlier checkpoint")
