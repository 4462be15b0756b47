"""The commands and tables of `bench/race.py`, on made-up results, and each job of its racers on the smallest shape."""

import sys
from importlib import import_module
from pathlib import Path

import pytest
from click import ClickException
from click.testing import CliRunner

import octavo

BENCH = Path(__file__).parents[1] / "bench"
JOBS = {"product": "4x8x16", "attention": "1x4x2x8", "loss": "4x8x16", "train": "nano", "decode": "nano"}


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    return import_module


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


@pytest.mark.parametrize("command", ["train", "decode", "product", "attention", "loss", "start", "nanogpt"])
def test_help(race, command):
    assert CliRunner().invoke(race.main, [command, "--help"]).exit_code == 0
    wrong = CliRunner().invoke(race.main, [command, "--rounds", "0"])
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
        rows = bench("shapes").work(job, shapes[0]) if job in ("product", "attention") else {}
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
        expected = {"octavo": {"highest"}, "torch": {"float32"}}
    if job == "train":
        expected["compiled"] = expected["torch"]
    assert set(asked) == {(side, p, shape) for side, precisions in expected.items() for p in precisions}


@pytest.mark.parametrize("job", JOBS)
def test_octavo_races(bench, monkeypatch, job):
    monkeypatch.setattr(octavo, "precision", lambda mode: mode, raising=False)
    told = bench("racer").race(job, "octavo", "highest", 0, [JOBS[job]])
    assert told["seconds"] > 0
    if job in ("product", "attention"):
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
@pytest.mark.parametrize(
    "job, precision",
    [*((job, "bf16") for job in JOBS if job != "decode"), ("decode", "float32"), ("start", "float32")],
)
def test_pytorch_races(bench, job, precision):
    result = bench("launch").racer(job, "torch", precision, 0, JOBS.get(job, "nano"))
    assert result.seconds > 0 and (job in ("product", "attention")) == bool(result.rows)
