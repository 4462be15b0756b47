"""A section of the book as a program: what it finds is kept; what does not hold ends it with one sentence."""

import json
import subprocess
import sys

import numpy as np
import pytest

from octavo.book.section import FINDINGS, section


@section
def circle(page):
    """Of circles."""
    page.claim("π is over 3", np.pi > 3)
    page.tell(pi=np.float32(3.25), digits=[np.int64(3), 1])
    page.table("areas", ["r", "area"], [[1, 3.14], [2, "12.6"]])
    with page.figure("round", 3, 2) as figure:
        figure.subplots().plot([0, 1], [0, 1])


@section
def wrong(page):
    """Of what is not so."""
    page.claim("1 is 2", 1 == 2)


def run(made, folder, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["program", "--out", str(folder)])
    with pytest.raises(SystemExit) as end:
        made.main()
    return end.value.code


def test_findings_are_written(tmp_path, monkeypatch, capsys):
    assert run(circle, tmp_path, monkeypatch) == 0
    folder = tmp_path / circle.program.__module__.rpartition(".")[2]
    found = json.loads((folder / FINDINGS).read_text(encoding="utf-8"))
    assert found.pop("seconds") > 0
    assert found == {
        "claims": ["π is over 3"],
        "facts": {"pi": 3.25, "digits": [3, 1]},
        "tables": {"areas": [["r", "area"], ["1", "3.14"], ["2", "12.6"]]},
        "figures": ["round"],
    }
    assert "<svg" in (folder / "round.svg").read_text(encoding="utf-8")
    shown = capsys.readouterr().out
    assert "holds   π is over 3" in shown and "found   pi = 3.25" in shown and "2  12.6" in shown


def test_the_same_program_draws_the_same_figure(tmp_path):
    for name in "ab":
        circle.run(tmp_path / name)
    assert (tmp_path / "a/round.svg").read_bytes() == (tmp_path / "b/round.svg").read_bytes()


def test_a_claim_that_does_not_hold(tmp_path, monkeypatch, capsys):
    with pytest.raises(ValueError, match="this does not hold: 1 is 2"):
        wrong.run(tmp_path / "first")
    assert run(wrong, tmp_path, monkeypatch) == 1
    assert capsys.readouterr().err == "Error: this does not hold: 1 is 2\n"
    assert not [*tmp_path.rglob(FINDINGS)]


def test_a_section_is_a_command():
    command = [sys.executable, "-m", "octavo.book.training.binary", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Binary cross-entropy" in done.stdout and "--out" in done.stdout
