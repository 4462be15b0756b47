"""What backpropagation keeps in memory, and what activation checkpointing saves of it."""

import time

import numpy as np

from ... import nn
from ...kernels import device
from ..look import BLUE, ORANGE
from ..section import Page, section

BATCH, CONTEXT, WIDTH = 8, 128, 128
DEPTHS = [2, 4, 8, 16]


def model_of(layers: int) -> nn.GPT:
    """A small GPT, the same each time."""
    nn.random.seed(0)
    return nn.GPT(nn.GPTConfig(vocab_size=256, context=CONTEXT, layers=layers, heads=4, width=WIDTH))


def kept(model: nn.GPT, ids: np.ndarray, targets: np.ndarray) -> tuple[int, float, list[np.ndarray]]:
    """Bytes that a forward pass leaves in memory for the backward pass, seconds of both, and the gradients."""
    model.zero_grad()
    before, start = device.memory().current, time.perf_counter()
    loss = model.loss(ids, targets)
    used = device.memory().current - before
    loss.backward()
    return used, time.perf_counter() - start, [p.grad.copy() for p in model.parameters()]


@section
def memory(page: Page) -> None:
    """What backpropagation keeps in memory, and what activation checkpointing saves of it."""
    random = np.random.default_rng(0)
    ids, targets = random.integers(0, 256, (2, BATCH, CONTEXT))
    bytes_kept: dict[bool, list[int]] = {False: [], True: []}
    seconds: dict[bool, float] = {}
    same = True
    for layers in page.progress(DEPTHS, "layers"):
        model = model_of(layers)
        gradients = {}
        for again in (False, True):
            model.recompute = again
            kept(model, ids, targets)  # compiles, where it has to
            runs = [kept(model, ids, targets) for _ in range(3)]
            bytes_kept[again].append(runs[0][0])
            seconds[again] = min(run[1] for run in runs)
            gradients[again] = runs[0][2]
        same &= all(np.array_equal(a, b) for a, b in zip(gradients[False], gradients[True], strict=True))
    plain, spare = (np.array(bytes_kept[again]) / 2**20 for again in (False, True))
    slope, spare_slope = (np.polyfit(DEPTHS, values, 1)[0] for values in (plain, spare))
    page.tell(
        batch=BATCH,
        context=CONTEXT,
        width=WIDTH,
        activation=BATCH * CONTEXT * WIDTH * 4 / 2**20,
        per_layer=slope,
        spare_per_layer=spare_slope,
        longer=seconds[True] / seconds[False],
        deepest=DEPTHS[-1],
        plain=plain[-1],
        spare=spare[-1],
    )
    page.claim("gradients with and without checkpointing are the same, bit for bit", same)
    straight = np.polyval(np.polyfit(DEPTHS, plain, 1), DEPTHS)
    page.claim("what is kept grows by the same with every layer, to 1 %", abs(straight / plain - 1).max() < 0.01)
    page.claim("with checkpointing a layer keeps less than a fifth of that", spare_slope < slope / 5)

    with page.figure("kept", 7, 3.4) as figure:
        axes = figure.add_subplot(xlabel="layers", ylabel="kept for the backward pass, MiB")
        axes.plot(DEPTHS, plain, "o-", color=ORANGE)
        axes.plot(DEPTHS, spare, "o-", color=BLUE)
        axes.annotate("everything", (DEPTHS[-1], plain[-1]), (-8, 0), textcoords="offset points", ha="right")
        axes.annotate("each layer's input", (DEPTHS[-1], spare[-1]), (-8, 8), textcoords="offset points", ha="right")
        axes.set_ylim(0)
