"""Checkpoints: a run goes on as if it had never stopped, and what is not a checkpoint is refused in one sentence."""

import errno
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import octavo
from octavo.nn import GPT, SGD, AdamW, GPTConfig, checkpoint, decay_groups

CONFIG = GPTConfig(vocab_size=11, context=6, layers=1, heads=2, width=8, dropout=0.2)
IDS = np.random.default_rng(0).integers(0, 11, (2, 6))


def run() -> tuple[GPT, AdamW]:
    model = GPT(CONFIG)
    return model, AdamW(decay_groups(model, 0.1), lr=0.01)


def train(model: GPT, optimizer: AdamW, steps: int) -> list[float]:
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model.loss(IDS, IDS)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    octavo.seed(1)
    model, optimizer = run()
    train(model, optimizer, 2)
    checkpoint.save(tmp_path / "model.safetensors", model, optimizer, {"step": 2, "best": 1.5})
    return tmp_path / "model.safetensors"


def test_a_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    octavo.seed(1)
    model, optimizer = run()
    train(model, optimizer, 2)
    checkpoint.save(tmp_path / "a.safetensors", model, optimizer, {"step": 2})
    expected = train(model, optimizer, 3)
    octavo.seed(99)
    found = checkpoint.load(tmp_path / "a.safetensors")
    assert found.extra == {"step": 2} and found.config == CONFIG
    other, other_optimizer = run()
    found.restore(other, other_optimizer)
    assert train(other, other_optimizer, 3) == expected
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(a.data, b.data)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_model_comes_from_its_file_alone(tmp_path: Path, dtype: type) -> None:
    model = GPT(replace(CONFIG, tied=False)).to(dtype).eval()
    checkpoint.save(tmp_path / "m.safetensors", model)
    state = octavo.nn.random.state()
    again = checkpoint.load(tmp_path / "m.safetensors").model().eval()
    assert octavo.nn.random.state() == state
    np.testing.assert_array_equal(again(IDS).data, model(IDS).data)
    assert load_file(tmp_path / "m.safetensors").keys() == {f"model.{name}" for name in model.state_dict()}
    with pytest.raises(ValueError, match="was saved without an optimiser"):
        checkpoint.load(tmp_path / "m.safetensors").restore(again, SGD(again.parameters(), lr=0.1))


def test_a_file_that_is_cut_off_is_refused(saved: Path) -> None:
    whole = saved.read_bytes()
    for size in (0, 5, 100, len(whole) // 2, len(whole) - 1):
        saved.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=re.escape(f"{saved}: is damaged or not a safetensors file")):
            checkpoint.load(saved)


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    with pytest.raises(FileNotFoundError, match="no such checkpoint file"):
        checkpoint.load(path)
    save_file({"weight": np.ones(3)}, path)
    with pytest.raises(ValueError, match="is a safetensors file, but no Octavo checkpoint"):
        checkpoint.load(path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"version": 3}, "has format 3, and this Octavo reads 2"),
        ({"architecture": ["GPT"]}, "expected the fields"),
        ({"surprise": 1}, "expected the fields"),
        ({"config": {"vocab_size": 11}}, "GPTConfig: missing context"),
        ({"config": CONFIG.to_dict() | {"rope": True}}, "GPTConfig: unknown rope"),
        ({"random": [1]}, "random: expected an object"),
    ],
)
def test_changed_metadata_are_refused(saved: Path, change: dict, text: str) -> None:
    rewrite(saved, load_file(saved), change)
    with pytest.raises(ValueError, match=rf"{re.escape(str(saved))}: {text}"):
        checkpoint.load(saved)


def test_changed_arrays_are_refused(saved: Path) -> None:
    arrays = load_file(saved)
    rewrite(saved, arrays | {"foreign": np.ones(1)}, {})
    with pytest.raises(ValueError, match="neither the model's nor the optimiser's"):
        checkpoint.load(saved)
    rewrite(saved, arrays | {"model.wte.weight": np.ones((3, 8), np.float32)}, {})
    with pytest.raises(ValueError, match=r"model.safetensors: .*wte.weight: expected floats of shape \(11, 8\)"):
        checkpoint.load(saved).model()
    rewrite(saved, arrays, {"random": {"seed": -1, "offset": 0, "initialised": 0}})
    with pytest.raises(ValueError, match=r"model.safetensors: seed: expected an integer"):
        checkpoint.load(saved).restore(*run())


def test_a_changed_byte_is_noticed(saved: Path) -> None:
    whole = saved.read_bytes()
    for place in (whole.index(b'step\\": 2') + 8, len(whole) - 1):
        saved.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ValueError, match=rf"{re.escape(str(saved))}: is damaged: .* checksum; use an earlier"):
            checkpoint.load(saved)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_neither_saved_nor_loaded(saved: Path, value: float) -> None:
    before = saved.read_bytes()
    model = GPT(CONFIG)
    model.wte.weight.data[3, 2] = value
    with pytest.raises(ValueError, match=r"not written, since model.wte.weight has NaN.*old file is kept"):
        checkpoint.save(saved, model)
    assert saved.read_bytes() == before
    arrays = load_file(saved)
    arrays["model.wte.weight"][3, 2] = value
    rewrite(saved, arrays, {})
    with pytest.raises(ValueError, match=r"model.wte.weight has NaN or infinity: training had diverged"):
        checkpoint.load(saved)


def test_another_model_is_refused(saved: Path) -> None:
    with pytest.raises(ValueError, match=r"unexpected h.0.norm1.bias.*use the model that it was saved from"):
        checkpoint.load(saved).restore(GPT(replace(CONFIG, bias=False)))


def test_what_json_cannot_hold_is_refused_and_the_old_file_stays(saved: Path) -> None:
    before = saved.read_bytes()
    with pytest.raises(ValueError, match="extra: expected what JSON can hold"):
        checkpoint.save(saved, GPT(CONFIG), extra={"array": np.ones(2)})
    assert saved.read_bytes() == before and [p.name for p in saved.parent.iterdir()] == [saved.name]


def test_a_full_disk_leaves_the_old_file(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("octavo.kernels.files.os.fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(saved, GPT(CONFIG))
    assert saved.read_bytes() == before and [p.name for p in saved.parent.iterdir()] == [saved.name]


def rewrite(path: Path, arrays: dict, change: dict) -> None:
    size = int.from_bytes(path.read_bytes()[:8], "little")
    meta = json.loads(json.loads(path.read_bytes()[8 : 8 + size])["__metadata__"]["octavo"])
    text = json.dumps(meta | change)
    save_file(arrays, path, {"octavo": text, "crc32": checkpoint.checksum(text, arrays)})
