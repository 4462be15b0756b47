"""Models from and to folders in Hugging Face's format: config.json and safetensors.

The types gpt2, llama, qwen2 and qwen3 are known. What a config asks for beyond them is refused, not left out.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import random
from ..models import GPT
from . import shards
from .config import read_config, write_config

__all__ = ["export", "load"]

_CONFIG = "config.json"
_HEAD = "lm_head.weight"
# Older files hold constants beside the weights: GPT-2's causal mask, Llama's frequencies.
_CONSTANTS = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")


def load(folder: str | os.PathLike[str], dropout: float = 0.0) -> GPT:
    """The model in a folder, with float32 weights, or float64 if all of the file's are.

    Args:
        folder: with config.json, and model.safetensors or model.safetensors.index.json and the files it names.
        dropout: for training on; that of the config is not taken over.

    Raises:
        FileNotFoundError: one of the files is missing.
        ValueError: a damaged file, a config that GPT cannot honour, or tensors that do not fit it.
    """
    folder = Path(folder)
    path = folder / _CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; name a folder with a model in Hugging Face's format")
    document = shards.read_json(path)
    try:
        config = read_config(document)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    config = replace(config, dropout=dropout)
    stored = _named_fully(shards.find(folder), "transformer." if document["model_type"] == "gpt2" else "model.")
    with random.unset(), np.errstate(invalid="ignore"):
        model = GPT(config)
        if stored and all(x.dtype == "F64" for x in stored.values()):
            model.to(np.float64)
    arrays = dict(_arrays(model))
    copy = stored.pop(_HEAD, None) if config.tied else None
    _check(folder, arrays, stored)
    for name, array in shards.logged(f"reading {folder}", arrays):
        stored[name].read_into(array)
    if copy is not None:
        _check_copy(copy, model.wte.weight.data)
    return model


def export(model: GPT, folder: str | os.PathLike[str], max_shard_bytes: int = 5_000_000_000) -> None:
    """Write a model so that transformers' AutoModelForCausalLM.from_pretrained reads it; config.json comes last.

    Biases that GPT-2 has and the model has not are written as zeros; bos_token_id and eos_token_id as null.

    Args:
        folder: made if it is not there; files of other names in it stay.
        max_shard_bytes: above it the weights go into several files with an index.

    Raises:
        ValueError: no model type has this model's style.
        FileExistsError: the folder holds a model.
    """
    folder = Path(folder)
    if max_shard_bytes < 1:
        raise ValueError(f"export: max_shard_bytes: expected a positive number, got {max_shard_bytes}")
    document = write_config(model)
    if folder.is_dir() and (found := sorted(p.name for p in folder.iterdir() if _is_model_file(p.name))):
        raise FileExistsError(f"{folder}: holds a model ({found[0]}); name another folder, or remove it")
    folder.mkdir(parents=True, exist_ok=True)
    shards.write(folder, dict(_arrays(model)), max_shard_bytes)
    shards.write_json(folder / _CONFIG, document)


def _is_model_file(name: str) -> bool:
    return name in (_CONFIG, shards.INDEX) or name.endswith(".safetensors")


def _arrays(model: GPT) -> Iterator[tuple[str, np.ndarray]]:
    """Views of the model's arrays under the names, and in the shapes, of Hugging Face."""
    yield from _llama_arrays(model) if model.wpe is None else _gpt2_arrays(model)
    if model.head is not None:
        yield _HEAD, model.head.weight.data


def _gpt2_arrays(model: GPT) -> Iterator[tuple[str, np.ndarray]]:
    yield "transformer.wte.weight", model.wte.weight.data
    if model.wpe is not None:
        yield "transformer.wpe.weight", model.wpe.weight.data
    for i, block in enumerate(model.h):
        mlp: Any = block.mlp
        names: dict[str, Any] = {"ln_1": block.norm1, "attn.c_attn": block.attn.qkv, "attn.c_proj": block.attn.proj}
        names |= {"ln_2": block.norm2, "mlp.c_fc": mlp.fc, "mlp.c_proj": mlp.proj}
        for name, layer in names.items():
            yield from _weight_and_bias(f"transformer.h.{i}.{name}", layer)
    yield from _weight_and_bias("transformer.ln_f", model.norm)


def _weight_and_bias(name: str, layer: Any) -> Iterator[tuple[str, np.ndarray]]:
    """As GPT-2 has them: (inputs, outputs), and always a bias."""
    weight = layer.weight.data
    yield f"{name}.weight", weight.T
    yield f"{name}.bias", np.zeros(len(weight), weight.dtype) if layer.bias is None else layer.bias.data


def _llama_arrays(model: GPT) -> Iterator[tuple[str, np.ndarray]]:
    yield "model.embed_tokens.weight", model.wte.weight.data
    for i, block in enumerate(model.h):
        attn, at = block.attn, f"model.layers.{i}"
        ends = np.cumsum([attn.heads, attn.kv_heads]) * attn.head_size
        for name, parameter in attn.qkv.named_parameters():
            for letter, rows in zip("qkv", np.split(parameter.data, ends), strict=True):
                yield f"{at}.self_attn.{letter}_proj.{name}", rows
        mlp: Any = block.mlp
        layers: dict[str, Any] = {"self_attn.o_proj": attn.proj}
        layers |= {"self_attn.q_norm": attn.q_norm, "self_attn.k_norm": attn.k_norm}
        layers |= {"input_layernorm": block.norm1, "post_attention_layernorm": block.norm2}
        layers |= {"mlp.gate_proj": mlp.gate, "mlp.up_proj": mlp.up, "mlp.down_proj": mlp.proj}
        for layer_name, layer in layers.items():
            if layer is not None:
                yield from ((f"{at}.{layer_name}.{name}", p.data) for name, p in layer.named_parameters())
    yield "model.norm.weight", model.norm.weight.data


def _named_fully(stored: dict[str, shards.Stored], prefix: str) -> dict[str, shards.Stored]:
    """Without constants; with the prefix, which files of the model without its head lack."""
    stored = {name: x for name, x in stored.items() if not name.endswith(_CONSTANTS)}
    if any(name.startswith(prefix) for name in stored):
        return stored
    return {name if name == _HEAD else prefix + name: x for name, x in stored.items()}


def _check(folder: Path, arrays: dict[str, np.ndarray], stored: dict[str, shards.Stored]) -> None:
    faults = [f"missing {name}" for name in arrays if name not in stored]
    faults += [f"unexpected {name}" for name in stored if name not in arrays]
    for name, array in arrays.items():
        x = stored.get(name)
        if x is not None and (x.shape != array.shape or not x.is_float):
            faults.append(f"{name}: expected floats of shape {array.shape}, got {x.dtype} {x.shape}")
    if faults:
        more = f"; and {len(faults) - 20} more" if len(faults) > 20 else ""
        raise ValueError(f"{folder}: the tensors do not fit {_CONFIG}: {'; '.join(faults[:20])}{more}")


def _check_copy(stored: shards.Stored, weight: np.ndarray) -> None:
    """Of the embedding, where it makes the logits too."""
    if stored.is_float and stored.shape == weight.shape:
        copy = np.empty_like(weight)
        stored.read_into(copy)
        if np.array_equal(copy, weight):
            return
    raise ValueError(f"{stored.path}: {_HEAD} is not the embedding, though {_CONFIG} says that they are tied")
