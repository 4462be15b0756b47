"""A run that is killed again and again ends with the weights of one that was not, and that had one thread."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import victim

from octavo.nn import checkpoint

KILLS = 10
TEXT = "".join(f"value_{i} = {i * i}\n" for i in range(2000))
SETTINGS = (
    "--tokenizer bytes --layers 1 --heads 2 --width 32 --context 32 --dropout 0.1 --batch-size 4 --accumulate 2 "
    f"--steps {KILLS * 15} --eval-every 7 --eval-batches 2 --save-every 3"
).split()


def start(*arguments):
    command = [sys.executable, "-m", "octavo.cli", "train", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(process):
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors.decode()


def steps_done(run):
    try:
        return (run / "metrics.jsonl").read_bytes().count(b'"lr"')
    except FileNotFoundError:
        return 0


def assert_same_end(whole, killed, step):
    ends = [checkpoint.load(run / "checkpoint.safetensors") for run in (whole, killed)]
    assert ends[0].extra["step"] == ends[1].extra["step"] == step
    assert ends[0].random == ends[1].random
    for arrays in ("weights", "optimizer"):
        a, b = (getattr(end, arrays) for end in ends)
        assert a.keys() == b.keys()
        assert all(np.array_equal(a[name], b[name]) for name in a)


def test_a_killed_run_ends_with_the_same_bits(tmp_path):
    (tmp_path / "text").write_text(TEXT)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(start(tmp_path / "text", *SETTINGS, "--threads", 1, "--out", whole))

    draw = random.Random(11)
    arguments = [tmp_path / "text", *SETTINGS, "--out", killed]
    reached = 0
    for _ in range(KILLS):
        process = start(*arguments)
        target = reached + draw.randint(1, 12)
        deadline = time.monotonic() + 120
        while steps_done(killed) < target and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(draw.random() * 0.02)
        os.kill(process.pid, signal.SIGKILL)
        _, errors = process.communicate()
        assert process.returncode == -signal.SIGKILL, f"ended before it was killed: {errors.decode()}"
        reached = steps_done(killed)
        arguments = ["--resume", killed]
    finish(start(*arguments))

    assert_same_end(whole, killed, KILLS * 15)
    assert steps_done(killed) == KILLS * 15
    assert not unfinished(killed), "unfinished files are left"


def reported(folder):
    """The last step whose checkpoint the process said was safe."""
    try:
        return int((folder / "reported").read_bytes().splitlines()[-1])
    except (FileNotFoundError, IndexError):
        return 0


def unfinished(folder):
    return list(folder.glob(".octavo-*"))


def wait(process, happened):
    deadline = time.monotonic() + 60
    while not happened() and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.001)


@pytest.mark.slow
def test_a_hundred_kills_lose_nothing_that_was_saved(tmp_path, monkeypatch):
    # The server's imports do not see this process's sys.path, and say nothing of it.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["victim"])
    draw = random.Random(7)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    saved = while_saving = 0
    for number in range(100):
        process = server.Process(target=victim.train, args=(killed, 10**6, 1))
        process.start()
        if number % 10 == 0:  # while it starts
            time.sleep(0.3 * draw.random())
        else:
            wait(process, lambda saved=saved: reported(killed) > saved)
            if number % 2:  # while it saves
                wait(process, lambda: unfinished(killed))
            time.sleep((0.01 if number % 2 else 0.05) * draw.random())
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        while_saving += bool(unfinished(killed))
        found = checkpoint.load(killed / "checkpoint.safetensors").extra["step"] if reported(killed) else 0
        assert found >= max(saved, reported(killed))
        saved = found
    assert while_saving >= 10, "some kills should come while a checkpoint is being written"
    for folder in (whole, killed):
        process = server.Process(target=victim.train, args=(folder, saved + 3, 0))
        process.start()
        process.join()
        assert process.exitcode == 0
    assert_same_end(whole, killed, saved + 3)
    assert not unfinished(killed), "unfinished files are left"
