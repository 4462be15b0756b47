"""Block sizes of the matrix product: GFLOP/s of each, for the table `BLOCKS` in kernels/cpu/matmul.py.

Tries them on the products of a GPT-2's training step, packed before, in every precision that this processor has.
Prints a Markdown table, the best first: panels of the left and of the right operand in a task, elements of depth,
median GFLOP/s of each product in several rounds, and their geometric mean.
"""

import statistics
import time
from itertools import product

import click
import numpy as np
from machine import describe
from tqdm import tqdm

import octavo
from octavo.kernels import device
from octavo.kernels.cpu import matmul
from octavo.kernels.cpu.unit import unit

SIZES = list(product((2, 4, 8), (4, 8), (128, 256, 512, 768)))
PRODUCTS = [(4096, 768, 2304), (4096, 3072, 768), (3072, 4096, 768), (616, 768, 4096)]  # rows, depth, columns


@click.command(help=__doc__)
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Measurements of each.")
def main(rounds: int) -> None:
    for precision in device.PRECISIONS:
        if octavo.precision(precision) == precision:
            print(table(precision, rounds) + "\n")
    print(describe())


def table(precision: str, rounds: int) -> str:
    kind = unit(np.dtype(np.float32), precision).kind
    random = np.random.default_rng(0)
    calls = []
    for rows, depth, columns in PRODUCTS:
        a = matmul.pack_left(random.standard_normal((1, rows, depth), np.float32))
        b = matmul.pack_right(random.standard_normal((1, depth, columns), np.float32))
        out = device.empty((1, rows, columns), np.float32)
        calls.append((2e-9 * rows * depth * columns, lambda out=out, a=a, b=b: matmul.product(out, a, b)))
    speeds: dict[tuple[int, ...], list[list[float]]] = {sizes: [[] for _ in PRODUCTS] for sizes in SIZES}
    kept = matmul.BLOCKS[kind]
    for _, sizes in tqdm([(r, s) for r in range(rounds) for s in SIZES], desc=f"{precision}, {kind}", leave=False):
        matmul.BLOCKS[kind] = np.array(sizes)
        for (operations, call), found in zip(calls, speeds[sizes], strict=True):
            call()
            start = time.perf_counter()
            call()
            found.append(operations / (time.perf_counter() - start))
    matmul.BLOCKS[kind] = kept
    medians = {sizes: [*map(statistics.median, found)] for sizes, found in speeds.items()}
    means = {sizes: statistics.geometric_mean(found) for sizes, found in medians.items()}
    head = [f"{precision}: {kind}", *("x".join(map(str, p)) for p in PRODUCTS), "mean"]
    lines = [head, ["---"] * len(head)]
    for sizes in sorted(SIZES, key=lambda s: -means[s]):
        lines.append([", ".join(map(str, sizes)), *(f"{s:.0f}" for s in [*medians[sizes], means[sizes]])])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
