"""The command on the GPU, and what becomes of a kernel whose file in the cache is damaged."""

import logging

import numpy as np
import pytest
from click.testing import CliRunner

from octavo.cli import main
from octavo.kernels import device, softmax

pytestmark = pytest.mark.cuda
TINY = "--layers 1 --width 32 --heads 2 --context 16 --batch-size 2 --eval-every 0 --sample-every 0 --tokenizer bytes"


def _octavo(*arguments: str) -> str:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_run_begins_on_the_gpu_and_goes_on_without(tmp_path):
    text, run = tmp_path / "text.txt", tmp_path / "run"
    text.write_text("a GPU is many small processors. " * 60)
    told = _octavo("train", str(text), "--device", "cuda", "--steps", "2", "--out", str(run), *TINY.split())
    assert f"device     cuda: {device.name()}" in told and "after step 2" in told
    assert "after step 3" in _octavo("train", "--resume", str(run), "--device", "cpu", "--steps", "3")
    there, here = (
        _octavo("generate", str(run), "--device", place, "--tokens", "5", "--temperature", "0", "--prompt", "a")
        for place in ("cuda", "cpu")
    )
    assert there == here


def test_a_damaged_kernel_is_made_anew(tmp_path, monkeypatch, caplog):
    from octavo.kernels import cache
    from octavo.kernels.cuda import kernel

    monkeypatch.setattr(cache, "folder", lambda backend, target: tmp_path)
    x = device.to(np.ones((2, 3), np.float32), "cuda")
    results = []
    for _ in range(2):
        for found in kernel.kernels:
            found._compiled.clear()
        with caplog.at_level(logging.WARNING):
            results.append(device.to(softmax(x), "cpu"))
        for path in tmp_path.iterdir():
            path.write_bytes(path.read_bytes()[:100])
    assert np.array_equal(*results)
    assert "unreadable" in caplog.text
    for found in kernel.kernels:
        found._compiled.clear()


@pytest.mark.parametrize("model", ["bigram", "convolution"])
def test_models_whose_steps_copy_train_as_on_the_cpu(tmp_path, model):
    text = tmp_path / "text.txt"
    text.write_text("a GPU is many small processors. " * 60)
    sizes = ["--width", "8", "--layers", "2"] if model == "convolution" else []
    told = f"--model {model} --context 8 --batch-size 2 --eval-every 0 --tokenizer bytes --precision highest --steps 4"
    results = []
    for place in ("cuda", "cpu"):
        run = str(tmp_path / place)
        shown = _octavo("train", str(text), *told.split(), *sizes, "--device", place, "--out", run)
        results.append(float(shown.split("validation split: loss ")[1].split(",")[0]))
    assert results[0] == pytest.approx(results[1], abs=2e-4)
