"""transformers' GPT-2, Llama and Qwen: the same logits, gradients and greedy text, and both read each other's files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import octavo
from octavo.nn import GPT, generate, huggingface

pytestmark = pytest.mark.peers

_SIZES = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 48,
}
_LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
_GPT2 = {"vocab_size": 61, "n_positions": 48, "n_embd": 32, "n_layer": 2, "n_head": 4}
_PEERS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("GPT2", _GPT2),
    "gpt2 with exact gelu": (
        "GPT2",
        _GPT2 | {"activation_function": "gelu", "n_inner": 40, "tie_word_embeddings": False},
    ),
    "llama": ("Llama", _SIZES | {"num_key_value_heads": 4}),
    "llama 3": ("Llama", _SIZES | {"rope_scaling": _LLAMA3, "rope_theta": 100.0, "head_dim": 12}),
    "llama with biases": ("Llama", _SIZES | {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
    "qwen2": ("Qwen2", _SIZES | {"rope_theta": 1e6, "tie_word_embeddings": True}),
    "qwen3": ("Qwen3", _SIZES | {"num_attention_heads": 6, "head_dim": 10, "rms_norm_eps": 1e-5}),
}


@pytest.fixture(scope="module", params=_PEERS)
def pair(request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, GPT, Path]:
    """Their model, ours, and the folder that theirs wrote and ours read."""
    import torch
    import transformers

    family, sizes = _PEERS[request.param]
    torch.manual_seed(3)
    config = getattr(transformers, f"{family}Config")(**sizes, bos_token_id=None, eos_token_id=None)
    theirs = getattr(transformers, f"{family}LMHeadModel" if family == "GPT2" else f"{family}ForCausalLM")(
        config
    ).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():  # so large that every path matters, norms and biases included
            parameter += torch.randn_like(parameter) * 0.3
    folder = tmp_path_factory.mktemp("theirs")
    theirs.save_pretrained(folder)
    return theirs, huggingface.load(folder), folder


def ids_of(time: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 61, (2, time))


def error(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def test_logits_agree(pair: tuple[Any, GPT, Path]) -> None:
    import torch

    theirs, ours, _ = pair
    ids = ids_of(48)
    with torch.no_grad():
        expected = theirs(torch.tensor(ids)).logits.numpy()
    assert error(ours(ids).data, expected) < 1e-5


def test_every_gradient_agrees(pair: tuple[Any, GPT, Path], tmp_path: Path) -> None:
    import torch

    theirs, ours, _ = pair
    ids = torch.tensor(ids_of(40))
    theirs(ids, labels=ids).loss.backward()
    ours.loss(ids[:, :-1].numpy(), ids[:, 1:].numpy()).backward()
    gradients = GPT(ours.config)
    for array, parameter in zip(gradients.parameters(), ours.parameters(), strict=True):
        array.copy_(parameter.grad)
    huggingface.export(gradients, tmp_path)
    found = load_file(tmp_path / "model.safetensors")
    expected = {name: parameter.grad.numpy() for name, parameter in theirs.named_parameters()}
    assert found.keys() == expected.keys()
    for name, array in found.items():
        assert error(array, expected[name]) < 1e-4, name


def test_gradients_in_bf16_are_as_near_as_those_of_autocast(pair: tuple[Any, GPT, Path]) -> None:
    """To those of float32, of all weights together: the mean of eight draws, which scatters by a tenth."""
    import torch

    theirs, ours, _ = pair

    def of_ours(ids: np.ndarray, mode: str) -> np.ndarray:
        octavo.precision(mode)
        for parameter in ours.parameters():
            parameter.zero_grad()
        ours.loss(ids[:, :-1], ids[:, 1:]).backward()
        octavo.precision("highest")
        return np.concatenate([parameter.grad.ravel() for parameter in ours.parameters()])

    def of_theirs(ids: np.ndarray, autocast: bool) -> np.ndarray:
        theirs.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = theirs(torch.tensor(ids), labels=torch.tensor(ids)).loss
        loss.backward()
        return np.concatenate([parameter.grad.numpy().ravel() for parameter in theirs.parameters()])

    def off(found: np.ndarray, exact: np.ndarray) -> float:
        return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))

    draws = [ids_of(40, seed) for seed in range(8)]
    mean = np.mean([off(of_ours(ids, "medium"), of_ours(ids, "highest")) for ids in draws])
    assert mean <= 1.1 * np.mean([off(of_theirs(ids, True), of_theirs(ids, False)) for ids in draws])


@pytest.mark.parametrize("cache", [True, False], ids=["cache", "no cache"])
def test_greedy_text_agrees_token_for_token(pair: tuple[Any, GPT, Path], cache: bool) -> None:
    import torch

    theirs, ours, _ = pair
    prompt = ids_of(5, seed=1)
    expected = theirs.generate(torch.tensor(prompt), max_new_tokens=40, do_sample=False, use_cache=cache)
    found = generate(ours, prompt, 40, temperature=0, cache=cache)
    np.testing.assert_array_equal(found, expected.numpy())
    assert len(np.unique(found[:, 5:])) > 5


@pytest.mark.parametrize("max_shard_bytes", [10**9, 20_000], ids=["one file", "shards"])
def test_transformers_reads_our_export(pair: tuple[Any, GPT, Path], tmp_path: Path, max_shard_bytes: int) -> None:
    import torch
    import transformers

    theirs, ours, _ = pair
    huggingface.export(ours, tmp_path, max_shard_bytes)
    assert (tmp_path / "model.safetensors").is_file() == (max_shard_bytes > 20_000)
    again, report = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert type(again) is type(theirs) and not any(report.values())
    ids = torch.tensor(ids_of(48))
    with torch.no_grad():
        assert torch.equal(again(ids).logits, theirs(ids).logits)
    for (name, a), b in zip(theirs.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b), name
    read = huggingface.load(tmp_path)
    for a, b in zip(read.parameters(), ours.parameters(), strict=True):
        np.testing.assert_array_equal(a.data, b.data)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_other_dtypes_are_read(pair: tuple[Any, GPT, Path], tmp_path: Path, dtype: str) -> None:
    import copy

    import torch
    import transformers

    copy.deepcopy(pair[0]).to(getattr(torch, dtype)).save_pretrained(tmp_path, max_shard_size="20KB")
    ours = huggingface.load(tmp_path)
    wide = "float64" if dtype == "float64" else "float32"
    assert ours.wte.weight.dtype == wide
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=getattr(torch, wide))
    with torch.no_grad():
        expected = theirs(torch.tensor(ids_of(48))).logits.numpy()
    assert error(ours(ids_of(48)).data, expected) < 1e-5
