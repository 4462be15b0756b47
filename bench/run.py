"""Time every op of the registry and a whole training step, against NumPy and, where installed, PyTorch.

    python bench/run.py                    everything
    python bench/run.py softmax step       some ops; `step` is the training step, `tape` a tiny op through nn

The sides run in turn, each in a process of its own, for several rounds. An op whose generic checks fail is refused.
Prints a Markdown table: p20, p50 and p80 of our time, the bytes and the operations of a second, each with its share of
what this machine does, measured in between, and how many times as long the others take (p50 over p50).
"""

import json
import os
import subprocess
import sys
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import numpy as np
from machine import describe
from place import VARIABLE
from tqdm import tqdm

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))


@click.command(help=__doc__)
@click.argument("names", nargs=-1)
@click.option("--rounds", default=3, show_default=True, help="Processes of each side.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write the table here too.")
def main(names: tuple[str, ...], rounds: int, device: str, out: Path | None) -> None:
    from octavo.kernels import registry

    known = [name for name, op in registry.items() if op.backward_of is None and not op.view]
    extras = ["tape", "step"]
    unknown = set(names) - {*known, *extras}
    if unknown:
        raise click.UsageError(f"no op called {', '.join(sorted(unknown))}; there are {', '.join([*known, *extras])}")
    chosen, refused = [], {}
    for name in tqdm([n for n in known if not names or n in names], desc="checking", leave=False):
        try:
            _check(registry[name], device)
            chosen.append(name)
        except AssertionError as error:
            refused[name] = str(error).splitlines()[0]
    chosen += [name for name in extras if not names or name in names]

    os.environ[VARIABLE] = device
    sides = ["octavo", *(["numpy"] if device == "cpu" else []), *(["torch"] if find_spec("torch") else [])]
    times: dict[str, dict[str, list[float]]] = {side: defaultdict(list) for side in sides}
    work: dict[str, list[int]] = {}
    limits = np.zeros(2)
    for _, side in tqdm([(r, s) for r in range(rounds) for s in sides], desc="timing", leave=False):
        told = _run(side, chosen)
        for row, seconds in told["rows"].items():
            times[side][row] += seconds
        work |= told["work"]
        limits = np.maximum(limits, told["limits"])
    table = _table(times, refused, work, limits)
    print(table)
    if out:
        out.write_text(table + "\n", encoding="utf-8")


def _check(op, device: str) -> None:
    import checks

    checks.complete(op, device)
    if device != "cpu":
        for one in (op, op.backward) if op.backward_name else (op,):
            checks.on_device(one)
        return
    if op.backward_name:
        checks.gradient(op)
        checks.parity(op.backward)
    checks.parity(op)


def _run(side: str, names: list[str]) -> dict[str, Any]:
    environment = dict(os.environ, OCTAVO_REFERENCE="1" if side == "numpy" else "0")
    command = [sys.executable, str(HERE / "side.py"), side, *names]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise click.ClickException(f"the {side} side failed")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {key: {k: v for line in lines for k, v in line[key].items()} for key in ("rows", "work")} | {
        "limits": next((line["limits"] for line in lines if "limits" in line), 0)
    }


def _table(times, refused, work, limits) -> str:
    peers = [side for side in times if side != "octavo"]
    heads = ["op", "p20", "p50", "p80", "GB/s", "GFLOP/s", *(f"{peer} / octavo" for peer in peers)]
    lines = [
        describe(NumPy="numpy", **({"PyTorch": "torch"} if "torch" in times else {})),
        "",
        f"Limits: {limits[0] / 1e9:.0f} GB/s of a copy, read and written"
        + (f"; {limits[1] / 1e9:.0f} GFLOP/s of float32 in registers." if limits[1] else "."),
        "",
        f"| {' | '.join(heads)} |",
        "| --- |" + " --- |" * (len(heads) - 1),
    ]
    for row, ours in times["octavo"].items():
        p20, p50, p80 = np.percentile(ours, (20, 50, 80))
        rates = np.array(work.get(row, (0, 0))) / p50
        shares = [
            f"{r / 1e9:.3g}" + (f" ({r / most:.0%})" if most else "") if r else "-"
            for r, most in zip(rates, limits, strict=True)
        ]
        ratios = [f"{np.median(times[p][row]) / p50:.2f}" if row in times[p] else "-" for p in peers]
        lines.append(f"| {row} | " + " | ".join([*map(_seconds, (p20, p50, p80)), *shares, *ratios]) + " |")
    lines += [f"| {name} | refused: {why} |" for name, why in refused.items()]
    return "\n".join(lines)


def _seconds(t: float) -> str:
    return f"{t * 1e6:.3g} µs" if t < 1e-3 else f"{t * 1e3:.2f} ms" if t < 1 else f"{t:.2f} s"


if __name__ == "__main__":
    main()
