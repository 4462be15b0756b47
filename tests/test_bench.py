"""`bench/run.py`: what it counts, its table, and that ops take their benchmark samples."""

from dataclasses import replace

import numpy as np
import pytest
from cases import Sample, find
from click.testing import CliRunner

from octavo.kernels import registry
from octavo.kernels.cpu import limits


@pytest.fixture
def side(bench, monkeypatch):
    """`side.py` that measures nothing for long, on tiny samples."""
    side = bench("side")
    monkeypatch.setattr(side, "BUDGET", 0)
    small = {name: replace(find(name), bench=lambda s=sample: [s]) for name, sample in SMALL.items()}
    monkeypatch.setattr("cases.find", small.get)
    return side


X, W = np.ones((2, 3)), np.ones((5, 3))
SMALL = {
    "exp": Sample(X),
    "linear": Sample(X, W),
    "scale_": Sample([X.astype(np.float32)], 0.5),
    "adamw_": Sample(*([np.full((2, 3), k, np.float32)] for k in (1, 3, 5, 7)), step=1, lr=0.1),
}


def test_bytes_and_operations_are_counted(side):
    rows, work = side.ops("octavo", list(SMALL))
    assert rows.keys() == work.keys() and all(min(seconds) > 0 for seconds in rows.values())
    assert work["exp 2x3"] == (4 * (6 + 6), 0)
    assert work["linear 2x3, 5x3"] == (4 * (6 + 15 + 10), 2 * 2 * 3 * 5)
    assert work["linear 2x3, 5x3 backward"][1] == 4 * 2 * 3 * 5
    assert work["scale_ 2x3"] == (4 * (6 + 6), 0)
    assert work["adamw_ 2x3, 2x3, 2x3, 2x3"] == (4 * 6 * (4 + 3), 0)  # reads four lists, changes three


def test_table(bench, monkeypatch):
    run = bench("run")
    monkeypatch.setattr(run, "describe", lambda **packages: "here")
    times = {"octavo": {"exp 8": [1e-3] * 3, "tape": [4.56e-6]}, "numpy": {"exp 8": [2e-3]}}
    told = run._table(times, {"log": "wrong"}, {"exp 8": (10**7, 5 * 10**7)}, np.array([20e9, 100e9]))
    assert told.splitlines() == [
        "here",
        "",
        "Limits: 20 GB/s of a copy, read and written; 100 GFLOP/s of float32 in registers.",
        "",
        "| op | p20 | p50 | p80 | GB/s | GFLOP/s | numpy / octavo |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| exp 8 | 1.00 ms | 1.00 ms | 1.00 ms | 10 (50%) | 50 (50%) | 2.00 |",
        "| tape | 4.56 µs | 4.56 µs | 4.56 µs | - | - | - |",
        "| log | refused: wrong |",
    ]


def test_the_tape_is_timed(side):
    rows = side.tape("octavo")
    assert len(rows) == 2 and all(min(seconds) > 0 for seconds in rows.values())


def test_limits(monkeypatch):
    monkeypatch.setattr(limits, "TRIES", 1)
    assert limits.bandwidth() > 1e8 and limits.arithmetic() > 1e8


def test_an_unknown_op(bench):
    told = CliRunner().invoke(bench("run").main, ["exp2"])
    assert told.exit_code == 2 and "no op called exp2; there are" in told.output and "tape, step" in told.output


def test_ops_take_their_benchmark_samples(monkeypatch):
    for op in registry.values():
        if op.backward_of is not None or op.view:
            continue
        case = find(op.name)
        monkeypatch.setattr(f"cases.{op.family}.normal", lambda *shape, **how: np.zeros(shape), raising=False)
        for sample in case.bench():
            bound = op._bind(sample.args, sample.kwargs)
            op._check(bound)
            assert case.operations is None or case.operations(*bound)[0] > 0
