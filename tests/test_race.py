"""The table of `bench/race.py`, on made-up results."""

from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner

BENCH = Path(__file__).parents[1] / "bench"


@pytest.fixture
def race(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    return import_module("race")


def test_table(race):
    ours = [race.Result(seconds, 100_000_000) for seconds in (1.0, 2.0, 4.0)]
    theirs = [race.Result(seconds, 250_000_000) for seconds in (3.0, 3.0, 16.0)]
    lines = race.table({"Octavo": ours, "peer": theirs, "other": "no compiler"}, "Work", 3000).splitlines()
    assert lines == [
        "| Work | tokens/s | / octavo | peak memory |",
        "| --- | --- | --- | --- |",
        "| Octavo | 1,500 |  | 100 MB |",
        "| peer | 1,000 | 1.50 (1.50 to 4.00) | 250 MB |",
        "| other | no compiler |  |  |",
    ]


def test_a_side_that_is_unable_is_asked_once(race):
    asked = []

    def unable():
        asked.append(1)
        raise race.Unable("no compiler")

    done = race.Result(1.0, 1)
    assert race.run({"Octavo": lambda: done, "peer": unable}, 2) == {"Octavo": [done, done], "peer": "no compiler"}
    assert asked == [1]


@pytest.mark.parametrize("command", ["train", "decode", "nanogpt"])
def test_command(race, command):
    assert CliRunner().invoke(race.main, [command, "--help"]).exit_code == 0
    wrong = CliRunner().invoke(race.main, [command, "--shape", "huge", "--rounds", "0"])
    assert wrong.exit_code == 2 and "Error:" in wrong.output


def test_a_missing_peer_is_named(race, monkeypatch):
    monkeypatch.setattr(race, "find_spec", lambda package: None)
    told = CliRunner().invoke(race.main, ["train", "--shape", "nano"])
    assert told.exit_code == 1 and "pip install torch" in told.output
