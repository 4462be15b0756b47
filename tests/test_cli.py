"""The command: train, generate, evaluate, resume; errors in one sentence."""

import json
import re
import shutil
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from octavo.cli import main
from octavo.kernels.cpu import kernel
from octavo.nn import Trainer, checkpoint

TEXT = "".join(f"def f{i}(x):\n    return x + {i}\n\n" for i in range(200))
TINY = "--layers 1 --heads 2 --width 16 --context 16 --batch-size 4 --eval-every 4 --eval-batches 1 --save-every 4"


def octavo(*arguments, **options):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], **options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    (folder / "text.py").write_text(TEXT)
    arguments = f"--tokenizer bpe --vocab-size 300 --steps 10 {TINY}".split()
    result = octavo("train", folder / "text.py", *arguments, "--out", folder / "run")
    assert result.exit_code == 0, result.output
    return folder / "run", result.stdout


def test_train_ends_with_a_result_a_sample_and_what_to_type(trained):
    run, output = trained
    assert re.search(r"whole validation split: loss \d\.\d+, perplexity \d+\.\d+, \d\.\d+ bits per byte", output)
    assert f"octavo generate {run}" in output and "It writes:" in output
    files = {path.name for path in run.iterdir()}
    assert files == {
        "config.json",
        "tokenizer.json",
        "train.tokens",
        "val.tokens",
        "metrics.jsonl",
        "checkpoint.safetensors",
        "loss.png",
    }
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["final"] and last["step"] == 10 and last["val_bits_per_byte"] > 0


def test_generate_repeats_with_a_seed_and_stops(trained):
    run, _ = trained
    first, again, other = (octavo("generate", run, "--prompt", "def ", "--tokens", 30, "--seed", s) for s in (1, 1, 2))
    assert first.exit_code == 0 and first.stdout.startswith("def ") and first.stdout.endswith("\n")
    assert first.stdout == again.stdout != other.stdout
    text = first.stdout.removeprefix("def ")[:-1]
    stop = text[7:9]
    stopped = octavo("generate", run, "--prompt", "def ", "--tokens", 30, "--seed", 1, "--stop", stop)
    assert stopped.stdout == "def " + text[: text.index(stop)] + "\n"
    assert octavo("generate", run, "--tokens", 3, "--temperature", 0).exit_code == 0


@pytest.mark.parametrize("weights", ["bf16", "int8"])
def test_generate_with_fewer_bits(trained, weights):
    arguments = "generate", trained[0], "--prompt", "def ", "--tokens", 20, "--seed", 1
    first, again = (octavo(*arguments, "--weights", weights) for _ in range(2))
    assert first.exit_code == 0 and first.stdout.startswith("def ") and first.stdout == again.stdout
    refused = octavo(*arguments, "--weights", "int4")
    assert refused.exit_code == 2 and "'float32', 'bf16', 'int8'" in refused.stderr


def test_eval_repeats_the_result_of_training(trained, tmp_path):
    run, output = trained
    result = octavo("eval", run)
    assert result.exit_code == 0
    assert re.search(r"loss +(\d\.\d{4})", result.stdout)[1] == re.search(r"split: loss (\d\.\d{4})", output)[1]
    (tmp_path / "other.txt").write_text("print('hello')\n" * 20)
    other = octavo("eval", run, tmp_path / "other.txt")
    assert other.exit_code == 0 and "bits per byte" in other.stdout


def test_resume_goes_on_and_can_take_more_steps(trained, tmp_path):
    arguments = f"--tokenizer bytes --steps 8 --dropout 0.1 {TINY}".split()
    text = trained[0].parent / "text.py"
    assert octavo("train", text, *arguments, "--out", tmp_path / "run").exit_code == 0
    more = octavo("train", "--resume", tmp_path / "run", "--steps", 12)
    assert more.exit_code == 0 and "from step 8" in more.stdout
    assert checkpoint.load(tmp_path / "run" / "checkpoint.safetensors").extra["step"] == 12
    again = octavo("train", "--resume", tmp_path / "run")
    assert again.exit_code == 0 and "after step 12" in again.stdout


def test_runs_are_numbered(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = trained[0].parent / "text.py"
    for number, preset in (("1", "llama"), ("2", "nano")):
        result = octavo("train", text, "--preset", preset, "--steps", 2, *TINY.split())
        assert result.exit_code == 0 and f"octavo train --resume runs/{number} " in result.stdout
    config, llama = (json.loads((tmp_path / "runs" / n / "config.json").read_text()) for n in "21")
    assert llama["model"]["positions"] == "rotary" and config["model"]["positions"] == "learned"
    assert config["training"]["steps"] == 2 and config["training"]["minutes"] is None
    assert config["training"]["lr"] == 1e-3 and config["training"]["min_lr"] == 1e-4


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("train {tmp}/none", "there is no .*none'; give a file, a folder, or - for standard input"),
        ("train {text} --steps 0", "steps must be a whole number of at least 1"),
        ("train {text} --steps 5 --width 15", "multiple of heads"),
        ("train {text} --steps 5 --context 100000 --out {tmp}/new", "shorten the context or give more text"),
        ("train {text} --steps 5 --tokenizer bytes --vocab-size 9", "takes no vocab_size"),
        ("train {text} --steps 5 --out {run}", "is there already; give another --out"),
        ("train {text} --steps 5 --device cuda:99", "device 'cuda:99': "),
        (
            "train {text} --model lstm --heads 2",
            "lstm has no heads; leave out --heads, or name a --model that has: gpt",
        ),
        ("train {text} --model mlp --preset llama", "the preset llama is one of a gpt"),
        ("train {text} --model gru --width 9999999", "context 128, layers 2, width 9,999,999 .* needs .* GB of memory"),
        ("train --resume {tmp}", "is not the folder of a run"),
        ("generate {tmp}", "is not the folder of a run"),
        ("generate {run} --temperature -1", "temperature"),
        ("eval {run} {tmp}/none", "there is no .*none'"),
    ],
)
def test_errors_are_one_sentence(trained, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    run = trained[0]
    result = octavo(*arguments.format(run=run, tmp=tmp_path, text=run.parent / "text.py").split())
    assert result.exit_code == 1
    assert re.fullmatch(f"Error: .*{sentence}.*\n", result.stderr), result.stderr
    assert not (tmp_path / "new").exists() and not (tmp_path / "runs" / "1").exists()


def test_resume_refuses_what_would_make_another_run(trained):
    result = octavo("train", "text.py", "--resume", trained[0], "--width", 32)
    assert result.exit_code == 2 and "leave out SOURCE, --width" in result.stderr


def test_info_names_versions_and_finds_nothing_wrong():
    result = octavo("info")
    assert result.exit_code == 0, result.output
    for word in ("numba", "llvmlite", "processor", "vectors", "threading layer", "GPU", "cache", "Nothing is wrong"):
        assert word in result.stdout


def test_profile_ends_with_a_table(trained, tmp_path, monkeypatch):
    arguments = f"--tokenizer bytes --steps 4 --profile {TINY}".split()
    text, run = trained[0].parent / "text.py", tmp_path / "run"
    result = octavo("train", text, *arguments, "--out", run)
    table = r"mean of 3 steps: [\d.]+ ms\nop +calls +ms +share\n(.* +[\d.]+%\n)+rest \(Python, data, ...\) "
    assert result.exit_code == 0 and re.search(table, result.stdout), result.output
    assert result.stdout.index("linear_backward") < result.stdout.index("result")

    def stop(progress, trainer, path):
        raise KeyboardInterrupt

    monkeypatch.setattr("octavo.nn.progress.Progress.on_save", stop)
    stopped = octavo("train", "--resume", run, "--steps", 8, "--save-every", 3, "--profile")
    assert stopped.exit_code == 130, stopped.output
    assert "mean of 1 step: " in stopped.stdout and "stopped after step 6" in stopped.stderr


def test_warmup_runs_every_kernel_of_train_and_generate(trained, tmp_path, monkeypatch):
    def launched_by(*commands):
        for each in kernel.kernels:
            monkeypatch.setattr(each, "launched", 0)
        for command in commands:
            result = octavo(*command)
            assert result.exit_code == 0, result.output
        return {repr(each) for each in kernel.kernels if each.launched}, result.stdout

    text, tiny = trained[0].parent / "text.py", f"--steps 2 --sample-every 1 {TINY}".split()
    styles = ["quick", "--dropout", 0.1, "--bias"], ["llama", "--recompute", "--accumulate", 2], ["nano"]
    trainings = [("train", text, *tiny, "--out", tmp_path / s[0], "--preset", *s) for s in styles]
    generations = [("generate", tmp_path / s[0], "--tokens", 20, "--top-k", 3, "--top-p", 0.9) for s in styles]
    generations += [("generate", tmp_path / "nano", "--tokens", 9, "--weights", form) for form in ("bf16", "int8")]
    needed, _ = launched_by(*trainings, *generations)
    warm, output = launched_by(["warmup"])
    assert "<kernel attention.attention_backward" in str(needed) and needed <= warm
    assert re.search(r"kernels    \d+ compiled in \d+ s, \d+ were there already\ncache      .+\n$", output)


def test_a_warmup_that_is_stopped_tells_what_stays(tmp_path, monkeypatch):
    (tmp_path / "old.bin").touch()
    monkeypatch.setattr(kernel, "cache_folder", lambda: tmp_path)

    def compiles(*args):
        (tmp_path / "new.bin").touch()
        signal.raise_signal(signal.SIGINT)
        (tmp_path / "another.bin").touch()

    monkeypatch.setattr(Trainer, "_start", compiles)
    result = octavo("warmup")
    assert result.exit_code == 130 and not result.stderr
    assert result.stdout == f"kernels    1 compiled in 0 s, 1 were there already\ncache      {tmp_path}\n"


def test_help_imports_no_heavy_library():
    code = (
        "import sys; from click.testing import CliRunner; from octavo.cli import main\n"
        "for command in ([], ['train'], ['generate'], ['eval'], ['warmup'], ['info'], ['lr-find'], ['tune']):\n"
        "    result = CliRunner().invoke(main, [*command, '--help']); assert result.exit_code == 0, result.output\n"
        "heavy = {'numba', 'numpy', 'optuna', 'matplotlib', 'psutil', 'tqdm'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_plot_compares_runs(trained, tmp_path):
    run, _ = trained
    other = tmp_path / "other"
    shutil.copytree(run, other)
    for along, name in (("step", "a.png"), ("tokens", "b.svg"), ("seconds", "c.pdf")):
        result = octavo("plot", run, other, "--along", along, "--out", tmp_path / name)
        assert result.exit_code == 0, result.output
        assert (tmp_path / name).read_bytes().startswith({"a": b"\x89PNG", "b": b"<?xml", "c": b"%PDF"}[name[0]])
    assert "      10 steps, 640 tokens, " in result.stdout and "validation loss " in result.stdout


def test_plot_refuses_what_it_cannot_draw(trained, tmp_path):
    run, _ = trained
    for arguments, message in (
        ([run, "--out", tmp_path / "a.txt"], "ends in .png, .svg or .pdf"),
        ([run, run], "named twice"),
        ([tmp_path], "is not the folder of a run"),
    ):
        result = octavo("plot", *arguments)
        assert result.exit_code == 1 and message in result.output
    empty = tmp_path / "empty"
    shutil.copytree(run, empty)
    (empty / "metrics.jsonl").unlink()
    assert "no step of training yet" in octavo("plot", empty).output


@pytest.mark.parametrize(("model", "sizes"), [("mlp", "--hidden 24 --taps 3"), ("lstm", "--layers 1")])
def test_other_models_train_resume_write_and_are_measured(trained, tmp_path, model, sizes):
    text, run = trained[0].parent / "text.py", tmp_path / "run"
    options = f"--tokenizer bytes --model {model} --width 16 {sizes} --context 16 --steps 4 --batch-size 4".split()
    first = octavo("train", text, *options, "--out", run)
    assert first.exit_code == 0, first.output
    assert re.search(rf"model      {model}, [\d,]+ parameters: context 16, .*width 16", first.stdout)
    more = octavo("train", "--resume", run, "--steps", 6)
    assert more.exit_code == 0 and "from step 4" in more.stdout and f"model      {model}," in more.stdout
    for command in (["eval", run], ["plot", run, trained[0], "--out", tmp_path / "losses.png"]):
        assert octavo(*command).exit_code == 0
    texts = [octavo("generate", run, "--tokens", 5, "--seed", 1, "--weights", form) for form in ("float32", "int8")]
    assert not any(text.exit_code for text in texts), texts[1].output
