"""Tensors in one safetensors file or in several with an index, read and written one at a time."""

import json
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from ...kernels.files import atomic_write

__all__ = ["INDEX", "SINGLE", "Stored", "find", "logged", "read_json", "write", "write_json"]

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_WORDS = {"float64": "F64", "float32": "F32", "bfloat16": "BF16"}
_LOG_SECONDS = 5.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stored:
    """A tensor in a file.

    Attributes:
        dtype: safetensors' word.
        start: its first byte.
    """

    path: Path
    dtype: str
    shape: tuple[int, ...]
    start: int

    @property
    def is_float(self) -> bool:
        return self.dtype in _DTYPES

    def read_into(self, array: np.ndarray) -> None:
        """Fills a float32 or float64 array of the same shape; bfloat16 goes into float32 only.

        Raises:
            ValueError: the file has become shorter.
        """
        values = np.fromfile(self.path, _DTYPES[self.dtype], array.size, offset=self.start)
        if values.size < array.size:
            raise ValueError(f"{self.path}: ended while it was read; is something else writing it?")
        values = values.reshape(self.shape)
        if self.dtype == "BF16":  # the upper half of a float32
            np.left_shift(values, 16, out=array.view(np.uint32), dtype=np.uint32)
        else:
            np.copyto(array, values)


def find(folder: Path) -> dict[str, Stored]:
    """The tensors of a folder by name: of `SINGLE`, or else of the files that `INDEX` names. None is read yet.

    Raises:
        FileNotFoundError: there is neither, or the index names files that are not there.
        ValueError: a file is cut off or damaged, or index and files do not agree.
    """
    if (folder / SINGLE).is_file():
        return _header(folder / SINGLE)
    path = folder / INDEX
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder}: has neither {SINGLE} nor {INDEX}; weights in pickle files (.bin) are not read, save them as "
            "safetensors"
        )
    places = read_json(path).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(x, str) and Path(x).name == x for x in places.values()):
        raise ValueError(f"{path}: weight_map: expected an object of tensors and file names; download it again")
    files = sorted(set(places.values()))
    if missing := [name for name in files if not (folder / name).is_file()]:
        raise FileNotFoundError(f"{path}: names files that are not there: {', '.join(missing)}; download them")
    found: dict[str, Stored] = {}
    for file in files:
        found |= _header(folder / file)
    wrong = sorted(places.keys() ^ found.keys()) + [n for n in found if n in places and found[n].path.name != places[n]]
    if wrong:
        raise ValueError(f"{path}: disagrees with its files about {', '.join(wrong[:5])}; download all of them again")
    return found


def write(folder: Path, tensors: Mapping[str, np.ndarray], max_shard_bytes: int) -> None:
    """Writes `SINGLE`, or several files and `INDEX` where it would exceed the limit; each all or nothing.

    A tensor above the limit has a file for itself.
    """
    shards: list[dict[str, np.ndarray]] = [{}]
    size = 0
    for name, x in tensors.items():
        if shards[-1] and size + x.nbytes > max_shard_bytes:
            shards.append({})
            size = 0
        shards[-1][name] = x
        size += x.nbytes
    if len(shards) == 1:
        return _write_file(folder / SINGLE, tensors)
    places: dict[str, str] = {}
    for i, shard in enumerate(shards, 1):
        file = f"model-{i:05}-of-{len(shards):05}.safetensors"
        _write_file(folder / file, shard)
        places |= dict.fromkeys(shard, file)
    total = sum(x.nbytes for x in tensors.values())
    write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": places})


def read_json(path: Path) -> dict[str, Any]:
    """An object from a file. Raises FileNotFoundError, and ValueError for what is none."""
    try:
        document = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: is not JSON ({error}); download it again") from None
    if not isinstance(document, dict):
        raise ValueError(f"{path}: expected an object, got {type(document).__name__}; download it again")
    return document


def write_json(path: Path, document: dict[str, Any]) -> None:
    with atomic_write(path) as file:
        file.write(json.dumps(document, indent=2).encode() + b"\n")


def logged(what: str, tensors: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The items, with a line in the log every few seconds."""
    last = time.monotonic()
    for i, item in enumerate(tensors.items(), 1):
        yield item
        if (now := time.monotonic()) > last + _LOG_SECONDS:
            _logger.info("%s: %d of %d tensors", what, i, len(tensors))
            last = now


def _header(path: Path) -> dict[str, Stored]:
    try:
        with safe_open(path, framework="numpy"):  # checks sizes, offsets and that nothing is cut off
            pass
    except SafetensorError as error:
        raise ValueError(f"{path}: is damaged or not a safetensors file ({error}); download it again") from None
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    return {
        name: Stored(path, x["dtype"], tuple(x["shape"]), 8 + size + x["data_offsets"][0]) for name, x in header.items()
    }


def _write_file(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    # Not safetensors' own function: it needs all bytes of the file in memory beside the arrays.
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, x in tensors.items():
        start, end = end, end + x.nbytes
        header[name] = {"dtype": _WORDS[x.dtype.name], "shape": x.shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with atomic_write(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, x in logged(f"writing {path}", tensors):
            file.write(np.ascontiguousarray(x).reshape(-1).view(np.uint8).data)
