"""The commands and tables of `bench/race.py`, on made-up results, and each job of its racers on the smallest shape."""

import sys

import numpy as np
import pytest
from click import ClickException
from click.testing import CliRunner

import octavo

ROWS = ("product", "attention", "recurrent")  # jobs of several rows
JOBS = {
    "product": "4x8x16",
    "attention": "1x4x2x8",
    "loss": "4x8x16",
    "recurrent": "2x3x4x5",
    "train": "nano",
    "decode": "nano",
}


@pytest.fixture
def race(bench):
    return bench("race")


@pytest.fixture
def table(bench):
    return bench("table")


def test_a_table_of_sides(table):
    ours = [table.Result(seconds, 100_000_000) for seconds in (1.0, 2.0, 4.0)]
    slow = [table.Result(2 * seconds, 100_000_000) for seconds in (1.0, 2.0, 4.0)]
    theirs = [table.Result(seconds, 250_000_000) for seconds in (3.0, 3.0, 16.0)]
    results = {"Octavo highest": slow, "Octavo medium": ours, "peer": theirs, "other": "no compiler"}
    assert table.sides(results, "Work", 3000).splitlines() == [
        "| Work | tokens/s | / best Octavo | peak memory |",
        "| --- | --- | --- | --- |",
        "| Octavo highest | 750 | 2.00 (2.00 to 2.00) | 100 MB |",
        "| Octavo medium | 1,500 |  | 100 MB |",
        "| peer | 1,000 | 1.50 (1.50 to 4.00) | 250 MB |",
        "| other | no compiler |  |  |",
    ]


def test_a_table_of_sides_against_a_peer(table):
    seconds = {"Octavo float32": 2.0, "Octavo int8": 1.0, "peer float32": 5.0, "peer bf16": 4.0}
    results = {name: [table.Result(s, 10**6)] for name, s in seconds.items()}
    assert table.sides(results, "Work", peer="peer").splitlines() == [
        "| Work | seconds | best peer / this | peak memory |",
        "| --- | --- | --- | --- |",
        "| Octavo float32 | 2.00 | 2.00 (2.00 to 2.00) | 1 MB |",
        "| Octavo int8 | 1.00 | 4.00 (4.00 to 4.00) | 1 MB |",
        "| peer float32 | 5.00 |  | 1 MB |",
        "| peer bf16 | 4.00 |  | 1 MB |",
    ]


def test_a_table_of_curves(table):
    theirs, ours = [4.0] * 25, [4.0] * 25
    ours[9], ours[11] = 4.01, 3.98
    results = {name: [table.Result(0.0, 0, losses=run)] for name, run in (("peer", theirs), ("Octavo highest", ours))}
    assert table.curves(results | {"Octavo high": "no unit"}, "Work", "peer").splitlines() == [
        "| Work, step | loss of peer | Octavo highest |",
        "| --- | --- | --- |",
        "| 1 | 4.0000 | +0.000% |",
        "| 10 | 4.0000 | +0.250% |",
        "| 20 | 4.0000 | +0.000% |",
        "| largest difference |  | 0.500% |",
        "",
        "Octavo high: no unit.",
    ]


def test_walks_can_be_learnt(bench):
    shape = bench("shapes").SHAPES["gpt2"]._replace(batch=8, context=500)
    following = {}
    for inputs, targets in shape.walks(2):
        assert inputs.shape == targets.shape == (8, 500) and np.array_equal(inputs[:, 1:], targets[:, :-1])
        for token, after in zip(inputs.flat, targets.flat, strict=True):
            following.setdefault(token, set()).add(after)
    assert 50 < len(following) <= 64 and max(map(len, following.values())) == 4 and max(following) < shape.vocabulary


def test_a_table_of_speeds(table):
    sides = {"Octavo highest": (1.0, 1.0), "PyTorch float32": (2.0, 0.5), "PyTorch bf16": (0.1, 0.1)}
    results = {
        name: [table.Result(0.0, 0, rows=dict(zip("ab", rows, strict=True)))] * 2 for name, rows in sides.items()
    }
    told = table.speeds(results | {"Octavo medium": "no unit"}, "Work", {"a": 3 * 10**9, "b": 10**12})
    assert told.splitlines() == [
        "| Work | Octavo highest | PyTorch float32 | PyTorch bf16 | highest / float32 |",
        "| --- | --- | --- | --- | --- |",
        "| a | 3 | 2 | 30 | 2.00 |",
        "| b | 1,000 | 2,000 | 10,000 | 0.50 |",
        "| geometric mean |  |  |  | 1.00 |",
        "| minimum |  |  |  | 0.50 |",
        "",
        "Octavo medium: no unit.",
    ]


def test_a_side_that_is_unable_is_asked_once(bench, table):
    launch, asked = bench("launch"), []

    def unable():
        asked.append(1)
        raise launch.Unable("no compiler")

    done = table.Result(1.0, 1)
    assert launch.run({"Octavo": lambda: done, "peer": unable}, 2) == {"Octavo": [done, done], "peer": "no compiler"}
    assert asked == [1]
    with pytest.raises(ClickException, match="Octavo cannot race: no compiler"):
        launch.run({"Octavo": unable, "peer": lambda: done}, 1)


def test_a_command_is_stopped_when_it_has_done_enough(bench, tmp_path):
    launch, there = bench("launch").launch, tmp_path / "there"
    program = f"import pathlib, time; pathlib.Path({str(there)!r}).touch(); time.sleep(60)"
    _, seconds, peak = launch([sys.executable, "-c", program], until=there.exists)
    assert seconds < 60 and peak > 1e6


@pytest.mark.parametrize(
    "command", ["train", "decode", "curve", "product", "attention", "loss", "recurrent", "start", "nanogpt"]
)
def test_help(race, command):
    assert CliRunner().invoke(race.main, [command, "--help"]).exit_code == 0
    wrong = CliRunner().invoke(race.main, [command, "--steps" if command == "curve" else "--rounds", "0"])
    assert wrong.exit_code == 2 and "Error:" in wrong.output


@pytest.mark.parametrize("shape", ["4x8", "4x8xy", "4x8x0"])
def test_a_wrong_shape(race, shape):
    wrong = CliRunner().invoke(race.main, ["loss", shape])
    assert wrong.exit_code == 2 and f"expected NxCxV, sizes of at least 1, got '{shape}'" in wrong.output


def test_a_missing_peer_is_named(race, monkeypatch):
    monkeypatch.setattr(race, "find_spec", lambda package: None)
    told = CliRunner().invoke(race.main, ["train", "--shape", "nano"])
    assert told.exit_code == 1 and "pip install torch" in told.output


@pytest.mark.parametrize("job", JOBS)
def test_command(race, bench, monkeypatch, capsys, job):
    """What a racer is asked and what becomes of its answer, without one."""
    asked = []

    def racer(job, side, precision, budget, *shapes):
        asked.append((side, precision, *shapes))
        rows = bench("shapes").work(job, shapes[0]) if job in ROWS else {}
        return race.Result(1.0, 10**6, rows=dict.fromkeys(rows, 1.0))

    monkeypatch.setattr(race, "racer", racer)
    monkeypatch.setattr(race, "find_spec", lambda package: True)
    monkeypatch.setattr(race, "describe", lambda **packages: "here")
    shape = JOBS[job]
    options = ["--shape", shape] if shape == "nano" else [shape]
    race.main([job, *options, "--rounds", "1"], standalone_mode=False)
    table = capsys.readouterr().out
    assert table.startswith("| ") and table.endswith("here\n")
    expected = {"octavo": {"highest", "high", "medium"}, "torch": {"float32", "bf16"}}
    if job == "decode":
        expected["octavo"] = {"float32", "bf16", "int8"}
    if job == "train":
        expected["compiled"] = expected["torch"]
    assert set(asked) == {(side, p, shape) for side, precisions in expected.items() for p in precisions}


def test_curve(race, monkeypatch, capsys):
    asked = []

    def racer(job, side, precision, budget, *what):
        asked.append((side, precision, *what))
        return race.Result(1.0, 10**6, losses=[4.0] * 3)

    monkeypatch.setattr(race, "racer", racer)
    monkeypatch.setattr(race, "find_spec", lambda package: True)
    monkeypatch.setattr(race, "describe", lambda **packages: "here")
    options = ["--shape", "nano", "--steps", "3", "--context", "8", "--precision", "medium"]
    race.main(["curve", *options], standalone_mode=False)
    assert "| 1 | 4.0000 | +0.000% | +0.000% |" in capsys.readouterr().out
    sides = ("torch", "float32"), ("torch", "bf16"), ("octavo", "medium")
    assert asked == [(*side, "4x4x128x65x12x8", "3", "0.0006") for side in sides]


def test_octavo_learns_walks(bench):
    losses = bench("racer").race("curve", "octavo", "highest", 0, ["1x1x16x8x4x8", "40", "1e-2"])["losses"]
    assert len(losses) == 40 and losses[-1] < losses[0] - 0.1


@pytest.mark.parametrize("job", JOBS)
def test_octavo_races(bench, monkeypatch, job):
    monkeypatch.setattr(octavo, "precision", lambda mode: mode, raising=False)
    told = bench("racer").race(job, "octavo", "int8" if job == "decode" else "highest", 0, [JOBS[job]])
    assert told["seconds"] > 0
    if job in ROWS:
        assert told["rows"].keys() == bench("shapes").work(job, JOBS[job]).keys()


def test_a_precision_that_the_processor_lacks(bench, monkeypatch):
    monkeypatch.setattr(octavo, "precision", lambda mode: "highest", raising=False)
    told = bench("racer").race("product", "octavo", "medium", 0, ["4x8x16"])
    assert told == {"unable": "this processor has no unit for it; it would run as highest"}


@pytest.mark.slow
def test_start(race):
    told = CliRunner().invoke(race.main, ["start", "--rounds", "1"], catch_exceptions=False)
    assert told.exit_code == 0 and "| Octavo, cold |" in told.output and "| Octavo, warm |" in told.output


@pytest.mark.peers
@pytest.mark.parametrize("job, precision", [*((job, "bf16") for job in JOBS), ("start", "float32")])
def test_pytorch_races(bench, job, precision):
    result = bench("launch").racer(job, "torch", precision, 0, JOBS.get(job, "nano"))
    assert result.seconds > 0 and (job in ROWS) == bool(result.rows)


@pytest.mark.peers
def test_losses_are_pytorchs(race):
    options = ["--shape", "nano", "--steps", "12", "--batch", "2", "--context", "16", "--precision", "highest"]
    told = CliRunner().invoke(race.main, ["curve", *options], catch_exceptions=False)
    last = next(line for line in told.output.splitlines() if line.startswith("| largest difference |"))
    assert float(last.split("|")[-2].strip(" %")) < 0.01
