"""How fast the ops are on this machine: what bench/side.py measures, kept until its sources change."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import click
from tqdm import tqdm

from ..kernels import registry

__all__ = ["Speeds", "measure"]

_PEERS = {"numpy": "NumPy", "torch": "PyTorch"}


def measure(clone: Path, folder: Path, sources: str, fresh: bool) -> None:
    """Writes a file of lines for each side, Octavo, NumPy and, if it is installed, PyTorch: a line for each op.

    Args:
        clone: where bench/ and tests/cases/ are.
        folder: where the files go; what they hold already of the same sources stays.
        sources: names the state of the kernels.

    Raises:
        click.ClickException: a side fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = [name for name, op in registry.items() if op.backward_of is None and not op.view]
    sides = ["octavo", "numpy", *(["torch"] if find_spec("torch") else [])]
    state = _state(clone, sources)
    left = {side: [n for n in names if fresh or n not in _read(folder / f"{side}.jsonl", state)] for side in sides}
    with tqdm(total=sum(map(len, left.values())), desc="speeds", disable=None) as shown:
        for side, missing in left.items():
            if missing:
                _start(folder / f"{side}.jsonl", state, clone, fresh)
                for name in _run(clone, folder / f"{side}.jsonl", side, missing):
                    shown.set_postfix_str(f"{name}, {side}")
                    shown.update()


class Speeds:
    """What `measure` has written.

    Attributes:
        machine: the machine and what is compared, in words.
        peers: the other sides, and what they call themselves.
    """

    def __init__(self, folder: Path) -> None:
        heads = {side: next(_lines(folder / f"{side}.jsonl"), {}) for side in ("octavo", *_PEERS)}
        state = heads["octavo"]["state"]
        self.ops = {side: _read(folder / f"{side}.jsonl", state) for side in heads}
        self.peers = {side: title for side, title in _PEERS.items() if self.ops[side]}
        self.machine = heads[[*self.peers][-1]]["machine"]
        self.limits = max(line["limits"] for line in self.ops["octavo"].values() if "limits" in line)

    def told(self) -> str:
        """The machine and its limits, in a sentence."""
        bandwidth, arithmetic = (limit / 1e9 for limit in self.limits)
        return (
            f"{self.machine}. Limits of this machine: {bandwidth:.0f} GB/s of a copy, read and written; "
            f"{arithmetic:.0f} GFLOP/s of float32 in registers. Arrays that caches hold are faster than such a copy; – "
            "stands where nothing is copied."
        )

    def table(self, name: str) -> list[list[str]]:
        """Rows, the first one titles: time, bytes and operations of a second, how many times as long others take."""
        ours = self.ops["octavo"][name]
        rows = [["float32", "time", "GB/s", "GFLOP/s", *self.peers.values()]]
        for row, time in ours["rows"].items():
            rates = [work / time for work in ours["work"][row]]
            shares = [_share(rate, limit) for rate, limit in zip(rates, self.limits, strict=True)]
            theirs = [self.ops[side].get(name, {"rows": {}})["rows"].get(row) for side in self.peers]
            ratios = [f"{_number(other / time)} ×" if other else "" for other in theirs]
            rows.append([row.removeprefix(name).strip(), _time(time), *shares, *ratios])
        return rows


def _share(rate: float, limit: float) -> str:
    if rate > 10 * limit:
        return "–"
    return f"{_number(rate / 1e9)} ({rate / limit:.0%})" if rate else ""


def _time(seconds: float) -> str:
    return f"{_number(seconds * 1e6)} µs" if seconds < 1e-3 else f"{_number(seconds * 1e3)} ms"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _start(file: Path, state: str, clone: Path, fresh: bool) -> None:
    """Begins a file, unless it holds results of this state."""
    if fresh or not _read(file, state):
        machine = subprocess.run([sys.executable, "bench/machine.py"], cwd=clone, stdout=subprocess.PIPE, text=True)
        file.write_text(json.dumps({"state": state, "machine": machine.stdout.strip()}) + "\n", encoding="utf-8")


def _run(clone: Path, file: Path, side: str, names: list[str]) -> Iterator[str]:
    """Adds lines of a side to its file; yields their names."""
    environment = os.environ | {"OCTAVO_BENCH_QUICK": "1", "OCTAVO_REFERENCE": "1" if side == "numpy" else "0"}
    command = [sys.executable, "bench/side.py", side, *names]
    log = file.with_suffix(".log")
    with open(log, "w") as errors, open(file, "a", encoding="utf-8") as kept:
        process = subprocess.Popen(
            command, cwd=clone, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True, encoding="utf-8"
        )
        done = []
        try:
            for line in process.stdout or ():
                told = json.loads(line)
                told["rows"] = {row: median(seconds) for row, seconds in told["rows"].items()}
                done.append(told["name"])
                kept.write(json.dumps(told) + "\n")
                kept.flush()
                yield done[-1]
        finally:
            if len(done) < len(names):
                process.kill()
            process.wait()
    if len(done) < len(names):
        raise click.ClickException(
            f"bench/side.py {side} failed at {names[len(done)]}: {last_line(log.read_text())}; see {log}"
        )


def last_line(text: str) -> str:
    """What a program said at last."""
    return (text.strip().splitlines() or ["it said nothing"])[-1].removeprefix("Error: ")


def _read(file: Path, state: str) -> dict[str, Any]:
    """Lines of a file by op, if they are of this state."""
    lines = list(_lines(file))
    return {line["name"]: line for line in lines[1:]} if lines and lines[0].get("state") == state else {}


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        with suppress(ValueError):  # cut off when the power was
            yield json.loads(line)


def _state(clone: Path, sources: str) -> str:
    digest = hashlib.sha256(sources.encode())
    for path in [
        Path(__file__),
        clone / "bench/side.py",
        *sorted((clone / "tests/cases").glob("*.py")),
    ]:
        digest.update(path.read_bytes())
    return digest.hexdigest()
