"""Bad input from files, flags and the machine: one sentence, an exit code, and nothing that was saved is lost."""

import errno
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from bad_input import CASES, TEXT, TINY, WEIGHTS, flip
from click.testing import CliRunner

from octavo.cli import main
from octavo.nn import checkpoint
from octavo.nn.callback import Callback
from octavo.nn.metrics import Metrics


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A text and a run trained on it, which every case copies."""
    folder = tmp_path_factory.mktemp("bad") / "template"
    folder.mkdir()
    (folder / "text.py").write_text(TEXT)
    result = octavo("train", folder / "text.py", *TINY, "--out", folder / "run")
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def place(template, tmp_path, monkeypatch):
    """A copy of it, as the current folder: the commands are relative to it."""
    shutil.copytree(template, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def octavo(*arguments, **options):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], **options)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check(result, sentence: str, code: int = 1) -> None:
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    *_, last = result.stderr.splitlines()
    assert re.match("Error: ", last) and re.search(sentence, last), result.stderr


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_one_sentence_and_changes_nothing(place, case):
    case.make()
    before = contents(place)
    check(octavo(*(case.command.split() if isinstance(case.command, str) else case.command)), case.sentence, case.code)
    assert contents(place) == before
    assert not (place / "new").exists()


MORE = ["train", "--resume", "run", "--steps", "40", "--save-every", "1"]


@contextmanager
def file_limit(size):
    """A disk on which a file can have so many bytes: writing more fails, for every user and without any mount."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_no_room_for_a_checkpoint_keeps_the_old_one(place):
    before = contents(place)
    with file_limit(len(before[WEIGHTS]) - 1):
        check(octavo(*MORE), r"cannot write .*checkpoint.safetensors: File too large; raise the limit")
    after = contents(place)
    assert after.keys() == before.keys() and after[WEIGHTS] == before[WEIGHTS]
    assert octavo(*MORE).exit_code == 0 and checkpoint.load(WEIGHTS).extra["step"] == 40


def test_no_room_for_metrics_or_a_new_run(place):
    before = contents(place)
    with file_limit(len(before["run/metrics.jsonl"]) + 200):
        check(octavo("train", "text.py", *TINY, "--out", "new"), "cannot write .*new/tokenizer.json: File too large")
    assert contents(place) == before and not (place / "new").exists()
    (place / WEIGHTS).write_bytes(before[WEIGHTS])
    metrics = Metrics("run/metrics.jsonl")
    metrics._file = open("/dev/full", "w", buffering=1)  # noqa: SIM115
    with pytest.raises(OSError, match=r"cannot write run/metrics.jsonl: No space left on device; free space"):
        metrics._write({"step": 1})
    metrics.on_end(None)


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "No space left on device; free space on that disk and try again"),
        (errno.EROFS, "Read-only file system; make its folder writable, or choose another"),
        (errno.EACCES, "Permission denied; make its folder writable, or choose another"),
        (errno.EIO, "Input/output error; choose another place"),
    ],
)
@pytest.mark.parametrize("call", ["os.fsync", "os.replace", "open"])
def test_whatever_fails_while_saving_is_told(place, monkeypatch, number, sentence, call):
    before = contents(place)

    def fail(path, *_):
        raise OSError(number, os.strerror(number), *([] if call == "os.fsync" else [os.fspath(path)]))

    monkeypatch.setattr(f"octavo.kernels.files.{call}", fail, raising=False)
    check(octavo(*MORE), f"cannot write .*run/config.json: {sentence}")
    assert contents(place) == before


class After(Callback):
    """Does something after a step."""

    def __init__(self, step, action):
        self.step, self.action = step, action

    def on_step(self, trainer, step):
        if step.step == self.step:
            self.action()


def meanwhile(monkeypatch, step, action):
    """Has something happen to the folder while the command trains."""
    act = After(step, action)
    monkeypatch.setattr(Metrics, "on_step", lambda self, trainer, step: act.on_step(trainer, step))


def test_a_run_that_vanishes_while_it_trains(place, monkeypatch):
    meanwhile(monkeypatch, 8, lambda: shutil.rmtree("run"))
    check(octavo(*MORE), r"cannot write .*checkpoint.safetensors: there is no folder .*run; create it first")


def test_files_that_vanish_while_they_are_read(place, monkeypatch):
    meanwhile(monkeypatch, 8, lambda: [os.unlink(f"run/{name}.tokens") for name in ("train", "val")])
    result = octavo(*MORE)
    assert result.exit_code == 0, result.output
    assert checkpoint.load(WEIGHTS).extra["step"] == 40


def test_damaged_metrics_are_dropped(place):
    path = place / "run" / "metrics.jsonl"
    lines = path.read_bytes().splitlines()
    junk = [b"\xff\0", b"[" * 10000, b"7", b'{"step": "x"}', b'{"step": 3, "loss": "x"}', b'{"step": 3, "loss": [1]}']
    junk += [b'{"step": %d}' % 10**400, b'{"step": 3, "loss": %d}' % 10**400, b'{"step": 4, "lo']
    path.write_bytes(b"\n".join(lines[:-1] + junk))
    result = octavo("train", "--resume", "run", "--steps", 8)
    assert result.exit_code == 0, result.output
    kept = path.read_bytes().splitlines()
    assert kept[: len(lines) - 1] == lines[:-1] and not set(junk) & set(kept)


def test_litter_goes_with_the_next_run(place):
    litter = place / "run" / ".octavo-0123456789abcdef.tmp"
    litter.write_bytes(b"half a checkpoint")
    assert octavo("train", "--resume", "run", "--steps", 7).exit_code == 0
    assert not litter.exists()


def start(*arguments, **options):
    command = [sys.executable, "-m", "octavo.cli", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


@pytest.mark.parametrize(
    ("command", "code", "sentence"),
    [
        ("train --resume run", 1, r"Error: \S*checkpoint.safetensors: is damaged.*\n"),
        ("generate run --tokens x", 2, "Usage: .*\n.*\n\nError: .*'x' is not a valid integer range.\n"),
        ("eval none", 1, "Error: 'none' is not the folder of a run.*\n"),
    ],
)
def test_a_process_ends_with_one_sentence(place, command, code, sentence):
    flip(WEIGHTS, -1)()
    before = contents(place)
    process = start(*command.split())
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code and re.fullmatch(sentence, errors), errors
    assert contents(place) == before


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_saves_and_says_how_to_go_on(place):
    process = start("train", "--resume", "run", "--steps", "1000000", "--save-every", "0", "--eval-every", "0")
    deadline = time.monotonic() + 60
    while (place / "run/metrics.jsonl").read_bytes().count(b"lr") < 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in errors
    told = re.search(r"stopped after step ([\d,]+); go on with: octavo train --resume run", errors)
    step = int(told[1].replace(",", ""))
    assert checkpoint.load(WEIGHTS).extra["step"] == step >= 14


def test_an_output_that_lacks_characters_shows_question_marks(place):
    latin = os.environ | {"PYTHONIOENCODING": "latin-1"}
    process = start("generate", "run", "--tokens", "3", "--seed", "1", "--prompt", "n→", env=latin)
    text, errors = process.communicate(timeout=60)
    assert process.returncode == 0 and text.startswith("n?"), errors
