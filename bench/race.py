"""Race whole jobs, Octavo against a peer, in float32.

The sides run in turn, each in a process of its own with all threads, for several rounds. Prints a Markdown table:
medians, how many times as long the peer takes (of the medians; in brackets the lowest and the highest of the rounds),
and the peak of resident memory, the median of the rounds. Needs Linux or macOS.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import click
from machine import describe
from shapes import SHAPES
from tqdm import tqdm

HERE = Path(__file__).parent
NANOGPT = {  # nanoGPT's README, "I only have a macbook"
    "device": "cpu",
    "compile": False,
    "eval_iters": 20,
    "log_interval": 1,
    "block_size": 64,
    "batch_size": 12,
    "n_layer": 4,
    "n_head": 4,
    "n_embd": 128,
    "max_iters": 2000,
    "lr_decay_iters": 2000,
    "dropout": 0.0,
}


class Result(NamedTuple):
    """Seconds of the work, peak resident bytes of its process, and the validation loss where there is one."""

    seconds: float
    peak: int
    loss: float | None = None


class Unable(Exception):
    """Why a side cannot run here."""


Side = Callable[[], Result]
_shape = click.option("--shape", type=click.Choice(list(SHAPES)), required=True, help="Of the model and its batch.")
_rounds = click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Processes of each side.")
_folder = click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path)


@click.group(help=__doc__)
def main() -> None:
    pass


@main.command()
@_shape
@_rounds
def train(shape: str, rounds: int) -> None:
    """Training steps: PyTorch eager and compiled, of which the faster counts."""
    _require("torch")
    sides = {"Octavo": "octavo", "PyTorch eager": "torch", "PyTorch compiled": "compiled"}
    results = run({name: partial(_racer, "train", side, shape) for name, side in sides.items()}, rounds)
    print(table(results, f"Training, {shape}: {_words(shape)}", SHAPES[shape].batch * SHAPES[shape].context))
    print("\n" + describe(PyTorch="torch"))


@main.command()
@_shape
@_rounds
def decode(shape: str, rounds: int) -> None:
    """Greedy decoding: transformers' generate."""
    _require("torch", "transformers")
    sides = {"Octavo": "octavo", "transformers": "torch"}
    results = run({name: partial(_racer, "decode", side, shape) for name, side in sides.items()}, rounds)
    prompt, count = SHAPES[shape].decoding()
    print(table(results, f"Decoding, {shape}: {count} tokens after {len(prompt)}", count))
    print("\n" + describe(PyTorch="torch", transformers="transformers"))


@main.command()
@click.option("--checkout", type=_folder, required=True, help="nanoGPT's folder.")
@click.option("--data", type=_folder, required=True, help="Its prepared data: input.txt, train.bin, val.bin, meta.pkl.")
@_rounds
def nanogpt(checkout: Path, data: Path, rounds: int) -> None:
    """Whole commands: nanoGPT's CPU recipe.

    Against `octavo train FILE --preset nano`, both with warm caches.
    """
    _require("torch")
    _require_files("--checkout", checkout, "train.py", "config/train_shakespeare_char.py")
    _require_files("--data", data, "input.txt", "train.bin", "val.bin", "meta.pkl")
    sides: dict[str, Any] = {"Octavo": partial(_octavo, data), "nanoGPT": partial(_nanogpt, checkout, data)}
    for side in sides.values():
        side(short=True)
    print(table(run(sides, rounds), "nanoGPT's recipe for a processor"))
    print("\nOctavo's loss is that of the whole validation split, nanoGPT's that of 20 random batches of it.")
    print("\n" + describe(PyTorch="torch"))


def run(sides: dict[str, Side], rounds: int) -> dict[str, list[Result] | str]:
    """The results of each side in every round, or why it is unable."""
    results: dict[str, list[Result] | str] = {name: [] for name in sides}
    for _, name in tqdm([(r, s) for r in range(rounds) for s in sides], desc="racing", leave=False):
        done = results[name]
        if isinstance(done, str):
            continue
        try:
            done.append(sides[name]())
        except Unable as why:
            results[name] = str(why)
    return results


def compare(ours: list[float], theirs: list[float]) -> tuple[float, float, float]:
    """Theirs over ours: of the medians, and the lowest and the highest of the pairs of a round."""
    pairs = [t / o for o, t in zip(ours, theirs, strict=True)]
    return statistics.median(theirs) / statistics.median(ours), min(pairs), max(pairs)


def table(results: dict[str, list[Result] | str], title: str, tokens: int | None = None) -> str:
    """Markdown, Octavo first; where the work has so many tokens, speeds instead of seconds."""
    head = [title, "tokens/s" if tokens else "seconds", "/ octavo", "peak memory"]
    head += ["validation loss"] if results["Octavo"][0].loss is not None else []
    rows = [head, ["---"] * len(head)]
    ours = [result.seconds for result in results["Octavo"]]
    for name, done in results.items():
        if isinstance(done, str):
            rows.append([name, done] + [""] * (len(head) - 2))
            continue
        theirs, peaks, losses = zip(*done, strict=True)
        seconds = statistics.median(theirs)
        cells = [
            f"{tokens / seconds:,.0f}" if tokens else f"{seconds:.1f}",
            "" if name == "Octavo" else "{:.2f} ({:.2f} to {:.2f})".format(*compare(ours, theirs)),
            f"{statistics.median(peaks) / 1e6:,.0f} MB",
        ]
        rows.append([name, *cells, *([f"{statistics.median(losses):.4f}"] if None not in losses else [])])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _racer(job: str, side: str, shape: str) -> Result:
    output, _, peak = _launch([sys.executable, str(HERE / "racer.py"), job, side, shape])
    told = json.loads(output.splitlines()[-1])
    if "unable" in told:
        raise Unable(told["unable"])
    return Result(told["seconds"], peak)


def _octavo(data: Path, short: bool = False) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--preset", "nano", "--out", folder, *(["--steps", "1", "--eval-every", "1"] if short else [])]
        _, seconds, peak = _launch([sys.executable, "-m", "octavo.cli", "train", str(data / "input.txt"), *flags])
        last = Path(folder, "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1]
        return Result(seconds, peak, json.loads(last)["val_loss"])


def _nanogpt(checkout: Path, data: Path, short: bool = False) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        options = NANOGPT | {"dataset": data, "out_dir": folder} | ({"max_iters": 1} if short else {})
        flags = [f"--{name}={value}" for name, value in options.items()]
        output, seconds, peak = _launch(
            [sys.executable, "train.py", "config/train_shakespeare_char.py", *flags], checkout
        )
        return Result(seconds, peak, float(re.findall(r"val loss ([\d.]+)", output)[-1]))


def _launch(command: list[str], folder: Path | None = None) -> tuple[str, float, int]:
    """What a command prints, its seconds, and the peak of its resident bytes."""
    from octavo import threads

    environment = dict(os.environ, OMP_NUM_THREADS=str(threads()))
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            raise click.ClickException(f"{' '.join(command)} failed:\n{errors.read()}")
        return output.read(), seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _words(shape: str) -> str:
    s = SHAPES[shape]
    return f"{s.layers} layers, {s.heads} heads, {s.width} wide, {s.batch} x {s.context} tokens"


def _require(*packages: str) -> None:
    if missing := [package for package in packages if not find_spec(package)]:
        raise click.ClickException(f"the peer is not installed; pip install {' '.join(missing)}")


def _require_files(option: str, folder: Path, *names: str) -> None:
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise click.BadParameter(f"{folder} has no {', '.join(missing)}", param_hint=option)


if __name__ == "__main__":
    main()
