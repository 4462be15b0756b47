"""Folders in Hugging Face's format: what is written is read again bit for bit, and what does not fit is refused."""

import errno
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import octavo
from octavo.nn import GPT, GPTConfig, huggingface

GPT2 = GPTConfig(vocab_size=11, context=6, layers=2, heads=2, width=8)
LLAMA = replace(
    GPT2, norm="rms", positions="rotary", activation="swiglu", bias=False, tied=False, kv_heads=1, hidden=12
)
SCALING = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 4,
}
STYLES = {
    "gpt2": replace(GPT2, activation="gelu", hidden=12, tied=False, norm_eps=1e-3),
    "llama": replace(LLAMA, rope_base=100.0, rope_scaling=SCALING, head_size=6),
    "llama, biases": replace(LLAMA, bias=True, tied=True, rope_scaling={"rope_type": "linear", "factor": 2.0}),
    "qwen2": replace(LLAMA, qkv_bias=True),
    "qwen3": replace(LLAMA, qk_norm=True, heads=3, kv_heads=3, head_size=10),
}
IDS = np.random.default_rng(0).integers(0, 11, (2, 6))


def model_of(config: GPTConfig) -> GPT:
    model = GPT(config)
    rng = np.random.default_rng(1)
    for parameter in model.parameters():
        parameter.copy_(rng.standard_normal(parameter.shape))
    return model


@pytest.fixture
def folder(request: Any, tmp_path: Path) -> Path:
    """Of a Llama, or of what the test asks for."""
    huggingface.export(model_of(STYLES[getattr(request, "param", "llama")]), tmp_path / "model")
    return tmp_path / "model"


def change_config(folder: Path, change: dict[str, Any]) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def change_tensors(folder: Path, change: dict[str, np.ndarray | None]) -> None:
    path = folder / "model.safetensors"
    save_file({name: x for name, x in (load_file(path) | change).items() if x is not None}, path)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("max_shard_bytes", [10**9, 700, 1])
@pytest.mark.parametrize("style", STYLES)
def test_what_is_written_is_read_bit_for_bit(tmp_path: Path, style: str, max_shard_bytes: int, dtype: type) -> None:
    model = model_of(STYLES[style]).to(dtype)
    huggingface.export(model, tmp_path / "new" / "model", max_shard_bytes)
    state = octavo.nn.random.state()
    again = huggingface.load(tmp_path / "new" / "model")
    assert octavo.nn.random.state() == state
    assert json.loads((tmp_path / "new" / "model" / "config.json").read_text())["model_type"] == style.partition(",")[0]
    for (name, a), b in zip(model.named_parameters(), again.parameters(), strict=True):
        np.testing.assert_array_equal(a.data, b.data, err_msg=name)
        assert a.dtype == b.dtype == dtype
    np.testing.assert_array_equal(again(IDS).data, model(IDS).data)
    files = sorted(path.name for path in (tmp_path / "new" / "model").iterdir())
    assert ("model.safetensors" in files) == (max_shard_bytes == 10**9) and len(files) >= 2


def test_gpt2_s_matrices_lie_the_other_way(tmp_path: Path) -> None:
    model = model_of(GPT2)
    huggingface.export(model, tmp_path)
    found = load_file(tmp_path / "model.safetensors")
    attn = model.h[1].attn
    np.testing.assert_array_equal(found["transformer.h.1.attn.c_attn.weight"], attn.qkv.weight.data.T)
    np.testing.assert_array_equal(found["transformer.h.1.attn.c_attn.bias"], attn.qkv.bias.data)
    np.testing.assert_array_equal(found["transformer.wpe.weight"], model.wpe.weight.data)
    assert len(found) == 2 + 2 * 12 + 2


def test_llama_s_queries_keys_and_values_are_apart(tmp_path: Path) -> None:
    model = model_of(STYLES["qwen2"])
    huggingface.export(model, tmp_path)
    found = load_file(tmp_path / "model.safetensors")
    for name, rows in (("q", slice(0, 8)), ("k", slice(8, 12)), ("v", slice(12, 16))):
        at = f"model.layers.1.self_attn.{name}_proj"
        np.testing.assert_array_equal(found[f"{at}.weight"], model.h[1].attn.qkv.weight.data[rows])
        np.testing.assert_array_equal(found[f"{at}.bias"], model.h[1].attn.qkv.bias.data[rows])
    assert len(found) == 1 + 2 * 12 + 2


def test_biases_that_gpt2_needs_are_zeros(tmp_path: Path) -> None:
    model = model_of(replace(GPT2, bias=False, dropout=0.1)).eval()
    huggingface.export(model, tmp_path)
    again = huggingface.load(tmp_path)
    assert again.config == replace(GPT2, hidden=None) and not again.h[0].attn.qkv.bias.data.any()
    np.testing.assert_array_equal(again(IDS).data, model(IDS).data)
    assert huggingface.load(tmp_path, dropout=0.2).config.dropout == 0.2


def test_bfloat16_and_float16_become_float32(folder: Path) -> None:
    path = folder / "model.safetensors"
    arrays = load_file(path)
    header, data = {}, b""
    for i, (name, x) in enumerate(arrays.items()):
        part = (x.view(np.uint32) >> 16).astype(np.uint16) if i % 2 else x.astype(np.float16)
        header[name] = {"dtype": "BF16" if i % 2 else "F16", "shape": x.shape}
        header[name]["data_offsets"] = [len(data), len(data := data + part.tobytes())]
        arrays[name] = (part.astype(np.uint32) << 16).view(np.float32) if i % 2 else part.astype(np.float32)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    again = huggingface.load(folder)
    huggingface.export(again, folder.parent / "again")
    found = load_file(folder.parent / "again" / "model.safetensors")
    for name, x in arrays.items():
        np.testing.assert_array_equal(found[name], x, err_msg=name)


def test_older_files_are_read(tmp_path: Path) -> None:
    """Without prefix, with constants, and with a copy of the embedding that is tied to the head."""
    model = model_of(GPT2)
    huggingface.export(model, tmp_path)
    path = tmp_path / "model.safetensors"
    arrays = {name.removeprefix("transformer."): x for name, x in load_file(path).items()}
    arrays |= {"h.0.attn.bias": np.tril(np.ones((1, 1, 6, 6), np.float32)), "h.0.attn.masked_bias": np.float32([-1e4])}
    save_file(arrays | {"lm_head.weight": arrays["wte.weight"]}, path)
    change_config(tmp_path, {"n_ctx": 6, "bos_token_id": 10, "_name_or_path": "x"})
    np.testing.assert_array_equal(huggingface.load(tmp_path)(IDS).data, model(IDS).data)
    save_file(arrays | {"lm_head.weight": arrays["wte.weight"] + 1}, path)
    with pytest.raises(ValueError, match=r"lm_head.weight is not the embedding, though config.json says .* tied"):
        huggingface.load(tmp_path)


@pytest.mark.parametrize("style", ["transformers 4", "transformers 5"])
def test_both_ways_to_write_frequencies_are_read(folder: Path, style: str) -> None:
    expected = STYLES["llama"]
    if style == "transformers 5":
        change_config(
            folder,
            {"rope_theta": 7.0, "rope_scaling": None, "rope_parameters": SCALING | {"rope_theta": 100.0, "beta": None}},
        )
    found = huggingface.load(folder).config
    assert (found.rope_base, found.rope_scaling) == (expected.rope_base, expected.rope_scaling)
    change_config(folder, {"rope_theta": 5, "rope_scaling": {"type": "linear", "factor": 3.0}, "rope_parameters": None})
    found = huggingface.load(folder).config
    assert (found.rope_base, found.rope_scaling) == (5, {"rope_type": "linear", "factor": 3.0})


@pytest.mark.parametrize(
    ("folder", "change", "text"),
    [
        ("llama", {"model_type": "mamba"}, "model_type: expected one of gpt2, llama, qwen2, qwen3, got 'mamba'"),
        ("llama", {"model_type": ["llama"]}, "model_type: expected one of"),
        ("llama", {"quantization_config": {"bits": 4}}, "quantization_config: only None is supported"),
        ("llama", {"hidden_act": "gelu"}, "hidden_act: only 'silu' is supported here, got 'gelu'"),
        ("llama", {"attention_bias": True}, "mlp_bias: only True is supported here, got False"),
        ("llama", {"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, "rope_scaling: expected null or rope_type"),
        ("llama", {"rope_scaling": SCALING | {"surprise": 1}}, "rope_scaling: expected null or rope_type"),
        ("llama", {"rope_scaling": [1]}, "rope_scaling: expected null or an object"),
        ("llama", {"partial_rotary_factor": 0.5}, "partial_rotary_factor: only 1 is supported here, got 0.5"),
        ("llama", {"num_hidden_layers": "2"}, "layers: expected a positive integer, got '2'"),
        ("llama", {"num_key_value_heads": 3}, "kv_heads: expected a divisor of heads = 2, got 3"),
        ("qwen2", {"use_sliding_window": True, "sliding_window": 3}, "sliding windows are not supported"),
        ("qwen3", {"layer_types": ["full_attention", "sliding_attention"]}, "sliding windows are not supported"),
        ("qwen3", {"attention_bias": True}, "attention_bias: only False is supported here"),
        ("gpt2", {"activation_function": "silu"}, "activation_function: expected one of gelu_new, .*, got 'silu'"),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx: only False"),
        ("gpt2", {"scale_attn_weights": False}, "scale_attn_weights: only True"),
        ("gpt2", {"add_cross_attention": True}, "add_cross_attention: only False"),
        ("gpt2", {"layer_norm_epsilon": 0}, "norm_eps: expected a finite number above 0, got 0"),
    ],
    indirect=["folder"],
)
def test_a_config_that_cannot_be_honoured_is_refused(folder: Path, change: dict[str, Any], text: str) -> None:
    change_config(folder, change)
    with pytest.raises(ValueError, match=re.escape(str(folder / "config.json")) + ": .*" + text):
        huggingface.load(folder)


def test_a_config_that_is_none_is_refused(folder: Path) -> None:
    path = folder / "config.json"
    for text, expected in (
        ("{", "is not JSON"),
        ("[]", "expected an object, got list"),
        ('{"model_type":"gpt2"}', "missing vocab_size, n_positions"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=expected):
            huggingface.load(folder)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"config.json: no such file; name a folder"):
        huggingface.load(folder)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"model.norm.weight": None}, "missing model.norm.weight"),
        ({"model.layers.7.mlp.up_proj.weight": np.ones(2)}, "unexpected model.layers.7.mlp.up_proj.weight"),
        ({"model.norm.weight": np.ones(9)}, r"model.norm.weight: expected floats of shape \(8,\), got F64 \(9,\)"),
        ({"model.norm.weight": np.ones(8, np.int8)}, r"expected floats of shape \(8,\), got I8 \(8,\)"),
        ({"lm_head.weight": None, "model.norm.weight": None}, "missing model.norm.weight; missing lm_head.weight"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(folder: Path, change: dict[str, Any], text: str) -> None:
    change_tensors(folder, change)
    with pytest.raises(ValueError, match=f"the tensors do not fit config.json: .*{text}"):
        huggingface.load(folder)


def test_files_that_are_cut_off_or_missing_are_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    for size in (0, 5, 100, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=re.escape(f"{path}: is damaged or not a safetensors file")):
            huggingface.load(folder)
    path.rename(folder / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match=r"pickle files \(.bin\) are not read"):
        huggingface.load(folder)


def test_shards_that_do_not_fit_their_index_are_refused(tmp_path: Path) -> None:
    huggingface.export(model_of(STYLES["llama"]), tmp_path, 700)
    index = tmp_path / "model.safetensors.index.json"
    document = json.loads(index.read_text())
    places = document["weight_map"]
    first, second = sorted(set(places.values()))[:2]
    (tmp_path / first).rename(tmp_path / "away")
    with pytest.raises(FileNotFoundError, match=f"names files that are not there: {first}"):
        huggingface.load(tmp_path)
    (tmp_path / "away").rename(tmp_path / first)
    name = next(name for name, file in places.items() if file == first)
    for change in ({name: second}, {"surprise": first}):
        index.write_text(json.dumps({"weight_map": places | change}))
        with pytest.raises(ValueError, match=f"disagrees with its files about {next(iter(change))}"):
            huggingface.load(tmp_path)
    for wrong in (None, {name: "../elsewhere.safetensors"}, {name: 3}):
        index.write_text(json.dumps({"weight_map": wrong}))
        with pytest.raises(ValueError, match="weight_map: expected an object of tensors and file names"):
            huggingface.load(tmp_path)


def test_a_model_is_never_overwritten(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(FileExistsError, match=r"holds a model \(config.json\); name another folder"):
        huggingface.export(model_of(GPT2), folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    "change", [{"norm": "rms"}, {"kv_heads": 1}, {"qk_norm": True}, {"head_size": 6}, {"activation": "swiglu"}]
)
def test_a_style_of_no_type_is_not_exported(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="export: none of gpt2, llama, qwen2, qwen3 has this style"):
        huggingface.export(GPT(replace(GPT2, **change)), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_full_disk_leaves_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("octavo.kernels.files.os.fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        huggingface.export(model_of(GPT2), tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="max_shard_bytes: expected a positive number, got 0"):
        huggingface.export(model_of(GPT2), tmp_path, 0)
