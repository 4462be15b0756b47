"""Speed: a Python loop against an op, and the two roofs over every op of this machine."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import octavo

from ... import nn
from ...kernels.cpu.limits import arithmetic, bandwidth
from ...nn import functional as F
from .. import look
from ..section import Page, section

SIZES = [10**k for k in range(1, 7)]
LARGE = 1 << 25  # numbers, in 128 MiB: more than caches hold
WIDTHS = [4, 8, 16, 32, 64, 128, 256, 512, 1024]
ROUNDS = 3
NOISE = 1.25  # two measurements of the same on a busy machine


class Work(NamedTuple):
    """An op on given tensors, the bytes that it has to read and write, and its additions and multiplications."""

    name: str
    run: Callable[[], Any]
    bytes: int
    flops: int

    @property
    def intensity(self) -> float:
        """Operations for each byte."""
        return self.flops / self.bytes


def seconds(run: Callable[[], Any], least: float = 0.1) -> float:
    """The shortest of at least three runs, and of as many as fit into so many seconds."""
    run()  # what is made once is not counted
    tries: list[float] = []
    while len(tries) < 3 or sum(tries) < least:
        start = time.perf_counter()
        run()
        tries.append(time.perf_counter() - start)
    return min(tries)


def loop(numbers: list[float]) -> list[float]:
    """One more than each number, one after another."""
    return [number + 1 for number in numbers]


def random(*shape: int) -> nn.Tensor:
    """Numbers between 0 and 1."""
    return nn.Tensor(np.random.default_rng(0).random(shape, np.float32))


def elementwise() -> list[Work]:
    """Ops that touch each number once or twice."""
    x, y, rows = random(LARGE), random(LARGE), random(LARGE // 1024, 1024)
    weight, bias, square, row = random(1024), random(1024), random(LARGE // 4096, 4096), random(1, 4096)
    return [
        Work("x + y", lambda: x + y, 12 * LARGE, LARGE),
        Work("row × matrix", lambda: F.linear(row, square), 4 * LARGE, 2 * LARGE),
        Work("layer norm", lambda: F.layer_norm(rows, weight, bias), 8 * LARGE, 8 * LARGE),
    ]


def product(width: int) -> Work:
    """A tall matrix of so many columns times a square one."""
    rows = min(LARGE // 2 // width, (1 << 31) // width**2)  # of the wide ones fewer are enough: they take their time
    tall, square = random(rows, width), random(width, width)
    return Work(f"{width}", lambda: tall @ square, 4 * (2 * tall.size + square.size), 2 * tall.size * width)


def draw_loop(page: Page, loops: list[float], ops: list[float]) -> None:
    """Time of each number, in a loop and in an op."""
    with page.figure("loop", 6, 3.6) as figure:
        axis = figure.subplots()
        for times, name, colour in ((loops, "Python loop", look.ORANGE), (ops, "op", look.BLUE)):
            axis.loglog(SIZES, 1e9 * np.divide(times, SIZES), "o-", color=colour)
            axis.text(SIZES[3], 1.4e9 * times[3] / SIZES[3], name, color=colour)
        axis.set(xlabel="numbers", ylabel="nanoseconds for each number")


def draw_roofs(page: Page, done: list[tuple[Work, float]], slope: float, flat: float) -> None:
    """Each op at its intensity and its rate, under what memory and arithmetic allow."""
    with page.figure("roofs", 6, 4.8) as figure:
        axis = figure.subplots()
        ridge, last = flat / slope, done[-1][0].intensity * 2
        axis.loglog([0.05, ridge, last], [0.05 * slope / 1e9, flat / 1e9, flat / 1e9], color=look.GREY)
        axis.text(0.06, 0.06 * slope * 1.5 / 1e9, "memory", color=look.GREY)
        axis.text(last, flat * 1.08 / 1e9, "arithmetic", color=look.GREY, ha="right")
        for work, rate in done:
            is_product = work.name.isdigit()
            colour = look.BLUE if is_product else look.ORANGE
            axis.plot(work.intensity, rate / 1e9, "o", color=colour)
            axis.annotate(work.name, (work.intensity, rate / 1e9), (6, -9), textcoords="offset points", color=colour)
        axis.set(xlabel="operations for each byte", ylabel="billions of operations a second")


@section
def speed(page: Page) -> None:
    """Speed: a Python loop against an op, and the two roofs over every op of this machine."""
    loops, ops = [], []
    for size in page.progress(SIZES, "sizes"):
        x = random(size)
        numbers = x.data.tolist()
        loops.append(seconds(lambda numbers=numbers: loop(numbers)))  # type: ignore[misc]
        ops.append(seconds(lambda x=x: x + 1))  # type: ignore[misc]
    times = np.divide(loops, ops)
    page.claim("for a million numbers the op is at least 20 times faster than the loop", times[-1] > 20)
    page.claim("for ten numbers the loop is faster", times[0] < 1)
    page.tell(
        million=times[-1], loop_ns=1e3 * loops[-1], op_ns=1e3 * ops[-1], ten=1e6 * ops[0], ten_loop=1e6 * loops[0]
    )

    works, total = [*elementwise(), *map(product, WIDTHS)], random(LARGE)
    best, slope, flat = [np.inf] * len(works), 0.0, 0.0
    for _ in page.progress(range(ROUNDS), "rounds"):  # others may be busy in one of them
        for i, work in enumerate(works):
            best[i] = min(best[i], seconds(work.run))
            flat = max(flat, arithmetic())
        slope = max(slope, bandwidth(), total.data.nbytes / seconds(total.sum))
    done = [(work, work.flops / taken) for work, taken in zip(works, best, strict=True)]
    shares = {work.name: rate / min(flat, slope * work.intensity) for work, rate in done}
    page.claim("no op is above a roof by more than measuring allows, a quarter", max(shares.values()) < NOISE)
    addition, (fastest, product_rate) = done[0][1], max(done, key=lambda pair: pair[1])
    page.claim("the fastest product comes nearer to the roof of arithmetic than addition", product_rate > 4 * addition)
    page.claim("the fastest product makes at least a quarter of what arithmetic allows", product_rate > flat / 4)
    page.claim("addition makes at least a quarter of what memory allows", shares["x + y"] > 0.25)
    page.tell(
        bandwidth=slope / 1e9,
        arithmetic=flat / 1e9,
        ridge=flat / slope,
        threads=octavo.threads(),
        addition=addition / 1e9,
        addition_share=shares["x + y"],
        product=product_rate / 1e9,
        product_share=product_rate / flat,
        row_share=shares["row × matrix"],
        narrow_share=shares["4"],
        fastest=fastest.name,
    )
    draw_loop(page, loops, ops)
    draw_roofs(page, done, slope, flat)
