"""Race Octavo against its peers.

The sides run in turn, each in a process of its own with all threads, for several rounds. Prints a Markdown table of
medians; ratios are how many times as long the peer takes (of the medians; in brackets the lowest and the highest of the
rounds). Needs Linux or macOS.
"""

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from launch import launch, racer, run
from machine import describe
from place import VARIABLE
from shapes import ATTENTION, LINEAR, LOSS, RECURRENT, SHAPES, sizes, work
from table import PEERS, Result, curves, sides, speeds

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


class Sizes(click.ParamType):
    """So many numbers as 4096x768."""

    def __init__(self, letters: str):
        self.name = letters

    def convert(self, value: str, param: Any, ctx: Any) -> str:
        try:
            if len(sizes(value)) == len(self.name.split("x")):
                return value
        except ValueError:
            pass
        self.fail(f"expected {self.name}, sizes of at least 1, got {value!r}", param, ctx)


_shape = click.option("--shape", type=click.Choice(list(SHAPES)), required=True, help="Of the model and its batch.")
_rounds = click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Processes of each side.")
_precision = click.option(
    "--precision", multiple=True, type=click.Choice(list(PEERS)), help="Octavo's; several are raced. [all]"
)
_folder = click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path)


def _seconds(default: float) -> Callable[[Any], Any]:
    return click.option(
        "--seconds",
        type=click.FloatRange(0),
        default=default,
        show_default=True,
        help="Of calls for a row of a process.",
    )


@click.group(help=__doc__)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", help="Of both sides. [cpu]")
def main(device: str) -> None:
    os.environ[VARIABLE] = device


@main.command()
@_shape
@_precision
@_seconds(5)
@_rounds
@click.option("--recompute", is_flag=True, help="Race Octavo also computing blocks again instead of keeping them.")
def train(shape: str, precision: tuple[str, ...], seconds: float, rounds: int, recompute: bool) -> None:
    """Training steps: PyTorch eager and compiled, in float32 and with bf16 autocast."""
    _require("torch")
    peers = {"PyTorch eager": "torch", "PyTorch compiled": "compiled"}
    racers = _racers("train", peers, precision, seconds, shape)
    if recompute:
        last = (precision or tuple(PEERS))[-1]
        racers |= {f"Octavo {last}, recomputing": partial(racer, "train", "recomputing", last, seconds, shape)}
    results = run(racers, rounds)
    s = SHAPES[shape]
    words = f"{s.layers} layers, {s.heads} heads, {s.width} wide, {s.batch} x {s.context} tokens"
    print(sides(results, f"Training, {shape}: {words}", s.batch * s.context))
    print("\n" + describe(PyTorch="torch"))


@main.command()
@_shape
@_seconds(5)
@_rounds
def decode(shape: str, seconds: float, rounds: int) -> None:
    """Greedy decoding, Octavo with weights in float32, bf16 and int8: transformers' generate in float32 and bf16."""
    _require("torch", "transformers")
    names = {f"Octavo {form}": ("octavo", form) for form in ("float32", "bf16", "int8")}
    names |= {f"transformers {dtype}": ("torch", dtype) for dtype in ("float32", "bf16")}
    results = run({name: partial(racer, "decode", *side, seconds, shape) for name, side in names.items()}, rounds)
    prompt, count = SHAPES[shape].decoding()
    print(sides(results, f"Decoding, {shape}: {count} tokens after {len(prompt)}", count, peer="transformers"))
    print("\n" + describe(PyTorch="torch", transformers="transformers"))


@main.command()
@_shape
@_precision
@click.option("--steps", type=click.IntRange(1), default=50, show_default=True, help="Of training.")
@click.option("--batch", type=click.IntRange(1), help="Sequences, instead of the shape's.")
@click.option("--context", type=click.IntRange(1), help="Tokens in each, instead of the shape's.")
@click.option("--lr", default=6e-4, show_default=True, help="Learning rate, after a rise over a fifth of the steps.")
def curve(
    shape: str, precision: tuple[str, ...], steps: int, batch: int | None, context: int | None, lr: float
) -> None:
    """Losses of a training run: PyTorch eager, in float32 and bf16, from the same weights, on the same random walks."""
    _require("torch")
    s = SHAPES[shape]
    s = s._replace(batch=batch or s.batch, context=context or s.context)
    names = {f"PyTorch {p}": ("torch", p) for p in ("float32", "bf16")}
    names |= {f"Octavo {p}": ("octavo", p) for p in precision or PEERS}
    what = "x".join(map(str, s)), str(steps), str(lr)
    results = run({name: partial(racer, "curve", *side, 0, *what) for name, side in names.items()}, 1)
    print(curves(results, f"Training, {shape}: {s.batch} x {s.context} tokens", "PyTorch float32"))
    print("\n" + describe(PyTorch="torch"))


@main.command()
@click.argument("shapes", nargs=-1, type=Sizes("ROWSxINPUTSxOUTPUTS"))
@_precision
@_seconds(0.3)
@_rounds
def product(shapes: tuple[str, ...], **options: Any) -> None:
    """Products of linear layers, forward and backward: PyTorch's linear and mm, in float32 and on bf16 operands.

    Without SHAPES those of GPT-2, small to XL, and of the vocabulary. Octavo's operands are float32, which it rounds
    itself where its precision is less.
    """
    _race_ops("product", "Products", shapes or LINEAR, **options)


@main.command()
@click.argument("shapes", nargs=-1, type=Sizes("BxTxHxD"))
@_precision
@_seconds(0.3)
@_rounds
def attention(shapes: tuple[str, ...], **options: Any) -> None:
    """Causal attention with its gradients: PyTorch's scaled_dot_product_attention, in float32 and in bf16."""
    _race_ops("attention", "Causal attention and gradients, B x T x H x D", shapes or ATTENTION, **options)


@main.command()
@click.argument("shape", type=Sizes("NxCxV"), default=LOSS)
@_precision
@_seconds(1)
@_rounds
def loss(shape: str, precision: tuple[str, ...], seconds: float, rounds: int) -> None:
    """The last layer and its cross-entropy, with gradients: PyTorch's linear and cross_entropy, in float32 and bf16."""
    _require("torch")
    results = run(_racers("loss", {"PyTorch": "torch"}, precision, seconds, shape), rounds)
    title = f"Last layer, cross-entropy and gradients, N x C x V = {shape}"
    print(sides(results, title, sizes(shape)[0], "memory beyond its inputs"))
    print("\n" + describe(PyTorch="torch"))


@main.command()
@click.argument("shapes", nargs=-1, type=Sizes("BxTxIxH"))
@_precision
@_seconds(1)
@_rounds
def recurrent(shapes: tuple[str, ...], **options: Any) -> None:
    """A GRU and an LSTM layer with all gradients: PyTorch's, in float32 and in bf16.

    What Octavo's states are multiplied with stays float32 in every precision.
    """
    _race_ops("recurrent", "Recurrent layers and gradients, B x T x inputs x H", shapes or RECURRENT, **options)


@main.command()
@_rounds
def start(rounds: int) -> None:
    """From the command to the first loss: `octavo train TEXT --preset nano`, cold (no kernel is compiled) and warm.

    Where PyTorch is installed, also a process that imports it and runs one eager step of that shape.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "text.txt").write_text("The quick brown fox jumps over the lazy dog.\n" * 1000, encoding="utf-8")
        racers = {f"Octavo, {cache}": partial(_first_loss, Path(folder), cache) for cache in ("cold", "warm")}
        torch = {"PyTorch": "torch"} if find_spec("torch") else {}
        if torch:
            racers["PyTorch, import and step"] = partial(racer, "start", "torch", "float32", 0, "nano")
        print(sides(run(racers, rounds), "From the command to the first loss"))
    print("\n" + describe(**({"PyTorch": "torch"} if torch else {})))


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
    racers: dict[str, Any] = {"Octavo": partial(_octavo, data), "nanoGPT": partial(_nanogpt, checkout, data)}
    for side in racers.values():
        side(short=True)
    print(sides(run(racers, rounds), "nanoGPT's recipe for a processor"))
    print("\nOctavo's loss is that of the whole validation split, nanoGPT's that of 20 random batches of it.")
    print("\n" + describe(PyTorch="torch"))


def _race_ops(
    job: str, title: str, shapes: Sequence[str], precision: tuple[str, ...], seconds: float, rounds: int
) -> None:
    _require("torch")
    results = run(_racers(job, {"PyTorch": "torch"}, precision, seconds, *shapes), rounds)
    operations = {row: count for shape in shapes for row, count in work(job, shape).items()}
    print(speeds(results, f"{title}, GFLOP/s", operations))
    print("\n" + describe(PyTorch="torch"))


def _racers(job: str, peers: dict[str, str], precision: Sequence[str], seconds: float, *shapes: str) -> dict[str, Any]:
    """Octavo in each precision, and each peer in each dtype."""
    names = {f"Octavo {p}": ("octavo", p) for p in precision or PEERS}
    names |= {
        f"{name} {dtype}": (side, dtype) for name, side in peers.items() for dtype in dict.fromkeys(PEERS.values())
    }
    return {name: partial(racer, job, *side, seconds, *shapes) for name, side in names.items()}


def _first_loss(folder: Path, cache: str) -> Result:
    """The run is stopped when its first line of metrics is there; a cold one leaves its kernels for the warm one."""
    if cache == "cold":
        shutil.rmtree(folder / "cache", ignore_errors=True)
    shutil.rmtree(folder / "run", ignore_errors=True)
    metrics = folder / "run" / "metrics.jsonl"
    command = [sys.executable, "-m", "octavo.cli", "train", "text.txt", "--preset", "nano", "--out", "run"]
    _, seconds, peak = launch(
        command, folder, lambda: metrics.exists() and metrics.stat().st_size > 0, OCTAVO_CACHE=str(folder / "cache")
    )
    return Result(seconds, peak)


def _octavo(data: Path, short: bool = False) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--preset", "nano", "--out", folder, *(["--steps", "1", "--eval-every", "1"] if short else [])]
        _, seconds, peak = launch([sys.executable, "-m", "octavo.cli", "train", str(data / "input.txt"), *flags])
        last = Path(folder, "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1]
        return Result(seconds, peak, json.loads(last)["val_loss"])


def _nanogpt(checkout: Path, data: Path, short: bool = False) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        options = NANOGPT | {"dataset": data, "out_dir": folder} | ({"max_iters": 1} if short else {})
        flags = [f"--{name}={value}" for name, value in options.items()]
        output, seconds, peak = launch(
            [sys.executable, "train.py", "config/train_shakespeare_char.py", *flags], checkout
        )
        return Result(seconds, peak, float(re.findall(r"val loss ([\d.]+)", output)[-1]))


def _require(*packages: str) -> None:
    if missing := [package for package in packages if not find_spec(package)]:
        raise click.ClickException(f"the peer is not installed; pip install {' '.join(missing)}")


def _require_files(option: str, folder: Path, *names: str) -> None:
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise click.BadParameter(f"{folder} has no {', '.join(missing)}", param_hint=option)


if __name__ == "__main__":
    main()
