"""Race Octavo's tokenizer against tiktoken and Hugging Face's tokenizers.

The sides run in turn, each in a process of its own, for several rounds, after one in which all must give the same ids.
Prints Markdown tables of medians; ratios are how many times as long the peer takes. The vocabularies are trained here,
on the standard library, on Python's help and on made-up words of other scripts. Needs Linux or macOS.
"""

import json
import statistics
import sys
import tempfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from launch import HERE, launch, run
from machine import describe
from table import Result, markdown, rates, sides
from texts import corpus, library

SIZES = (8192, 50257, 100_000)
PEERS = {"tiktoken": "tiktoken", "tokenizers": "tokenizers"}

_rounds = click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Processes of each side.")
_seconds = click.option(
    "--seconds", type=click.FloatRange(0.001), default=0.3, show_default=True, help="Of calls for a row of a process."
)


@click.group(help=__doc__)
def main() -> None:
    if missing := [package for package in PEERS if not find_spec(package)]:
        raise click.ClickException(f"the peer is not installed; pip install {' '.join(missing)}")


@main.command()
@click.option("--pattern", multiple=True, default=["gpt2", "cl100k"], show_default=True)
@click.option("--size", multiple=True, type=click.IntRange(257), default=SIZES, show_default=True)
@_seconds
@_rounds
def encode(pattern: tuple[str, ...], size: tuple[int, ...], seconds: float, rounds: int) -> None:
    """Megabytes of text a second, one thread: tiktoken's encode_ordinary, Octavo's encode to an array and to a list."""
    with tempfile.TemporaryDirectory() as folder:
        names = [_vocabulary(folder, p, n) for p in pattern for n in size]
        sides_of = {"Octavo": "octavo", "Octavo, list": "list", "tiktoken": "tiktoken"}
        print(_race("encode", "Encoding", sides_of, folder, seconds, rounds, *names))


@main.command()
@_seconds
@_rounds
def batch(seconds: float, rounds: int) -> None:
    """Documents of some kilobytes over all threads: encode_ordinary_batch and encode_batch_fast."""
    with tempfile.TemporaryDirectory() as folder:
        name = _vocabulary(folder, "gpt2", 50257)
        sides_of = {"Octavo": "octavo", "tiktoken": "tiktoken", "tokenizers": "tokenizers"}
        print(_race("batch", "Encoding batches", sides_of, folder, seconds, rounds, name))


@main.command()
@_seconds
@_rounds
def decode(seconds: float, rounds: int) -> None:
    """Ids in an array and in a list to text: tiktoken's decode."""
    with tempfile.TemporaryDirectory() as folder:
        name = _vocabulary(folder, "gpt2", 50257)
        sides_of = {"Octavo": "octavo", "tiktoken": "tiktoken"}
        print(_race("decode", "Decoding", sides_of, folder, seconds, rounds, name, tables=("array", "list")))


@main.command()
@_seconds
@_rounds
def worst(seconds: float, rounds: int) -> None:
    """Texts of a megabyte that tokenizers are slow on, beside English: Octavo alone, one thread."""
    with tempfile.TemporaryDirectory() as folder:
        names = [_vocabulary(folder, p, 50257) for p in ("gpt2", "cl100k")]
        results = run({"Octavo": partial(_side, "slow", "octavo", folder, seconds, *names)}, rounds)["Octavo"]
        print(_slowness(results, names))


@main.command()
@click.option("--size", multiple=True, type=click.IntRange(257), default=SIZES[:2], show_default=True)
@_rounds
def train(size: tuple[int, ...], rounds: int) -> None:
    """The standard library's source, 25 MB: train_from_iterator of files and of one batch of all; the same merges.

    The memory is the peak of the training beyond the text and what was imported.
    """
    sides_of = {"Octavo": "octavo", "tokenizers, files": "files", "tokenizers, a batch": "batch"}
    for n in size:
        results = run({k: partial(_side, "train", v, ".", 0, str(n)) for k, v in sides_of.items()}, rounds)
        _demand_same(results)
        print(sides(results, f"Training {n:,} tokens", memory="memory") + "\n")
    print(describe(**PEERS))


@main.command()
@click.option("--megabytes", type=click.IntRange(100), default=1000, show_default=True)
def stream(megabytes: int) -> None:
    """Training on a stream of so much text, never the same twice: MB/s in each tenth, memory of the whole process."""
    [result] = run({"Octavo": partial(_side, "long", "octavo", ".", 0, str(megabytes))}, 1)["Octavo"]
    tenths = {row: f"{megabytes / 10 / seconds:,.0f} MB/s" for row, seconds in result.rows.items()}
    tenths |= {"whole": f"{result.seconds:.1f} s", "peak memory": f"{result.memory / 1e6:,.0f} MB"}
    print(markdown([[f"Training on {megabytes:,} MB", "Octavo"], ["---"] * 2, *map(list, tenths.items())]))


@main.command()
@_rounds
def load(rounds: int) -> None:
    """A process that loads a file of 100,000 tokens and encodes a word, all kernels compiled before."""
    with tempfile.TemporaryDirectory() as folder:
        side = partial(_side, "load", "octavo", folder, 0, _vocabulary(folder, "gpt2", 100_000))
        side()
        print(sides(run({"Octavo": side}, rounds), "Load and encode a word"))


def _race(
    job: str,
    title: str,
    names: dict[str, str],
    folder: str,
    seconds: float,
    rounds: int,
    *vocabularies: str,
    tables: tuple[str, ...] = ("",),
) -> str:
    check = {name: partial(_side, job, side, folder, 0, *vocabularies) for name, side in names.items()}
    _demand_same(run(check, 1))
    timed = {name: partial(_side, job, side, folder, seconds, *vocabularies) for name, side in names.items()}
    results = run(timed, rounds)
    return "\n\n".join([*(rates(results, title, "MB/s", 1e6, only) for only in tables), describe(**PEERS)])


def _slowness(results: list[Result], names: list[str]) -> str:
    seconds = {row: statistics.median(result.rows[row] for result in results) for row in results[0].rows}
    rows = [["Encoding a megabyte, ms", *(c for name in names for c in (name, "/ English"))], ["---"] * 5]
    for kind in dict.fromkeys(row.split(", ")[1] for row in seconds):
        pairs = [(seconds[f"{name}, {kind}"], seconds[f"{name}, English"]) for name in names]
        rows.append([kind, *(c for mine, english in pairs for c in (f"{mine * 1e3:.1f}", f"{mine / english:.2f}"))])
    return markdown(rows)


def _side(job: str, side: str, folder: str, seconds: float, *what: str) -> Result:
    output, whole, peak = launch([sys.executable, str(HERE / "tokens.py"), job, side, folder, str(seconds), *what])
    return Result(**{"seconds": whole, "memory": peak} | json.loads(output.splitlines()[-1]))


def _demand_same(results: dict[str, Any]) -> None:
    first, *others = [(name, done[0].ids) for name, done in results.items()]
    for name, ids in others:
        for row in ids:
            if ids[row] != first[1][row]:
                raise click.ClickException(f"{row}: {name} gives other ids than {first[0]}; nothing is timed")


def _vocabulary(folder: str, pattern: str, size: int) -> str:
    from octavo.tokenizer import BPETokenizer

    name = f"{pattern} {size}"
    texts = [*library(), *corpus().values()]
    BPETokenizer.train(texts, size, pattern=pattern).save(Path(folder, name))
    return name


if __name__ == "__main__":
    main()
