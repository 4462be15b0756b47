"""Axes and shapes: what lies in memory while a model learns, and how much of it."""

from typing import Any

import numpy as np

import octavo

from ... import nn
from .. import look
from ..section import Page, section

B, T, C, V, HEADS = 8, 32, 48, 256, 3
LETTERS = {B: "B", T: "T", C: "C", 3 * C: "3C", 4 * C: "4C", V: "V"}  # all different: a size tells its axis
BATCHES = [1, 2, 4, 8, 16, 32, 64]
SHOWN = ("wte", "h.0.norm1", "h.0.attn.qkv", "h.0.attn.proj", "h.0.norm2", "h.0.mlp.fc", "h.0.mlp.proj", "norm")


def small_gpt() -> nn.GPT:
    """Two blocks of attention and MLP, over tokens that are bytes."""
    return nn.GPT(nn.GPTConfig(vocab_size=V, context=T, layers=2, heads=HEADS, width=C))


def record(model: nn.Module) -> tuple[dict[str, nn.Tensor], dict[str, np.ndarray]]:
    """Two dicts, filled by calls of the model: by module, what it returned and the gradient of that."""
    signals: dict[str, nn.Tensor] = {}
    gradients: dict[str, np.ndarray] = {}

    def watch(name: str, module: nn.Module) -> None:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            signals[name] = output[0] if isinstance(output, tuple) else output
            signals[name].register_hook(lambda gradient: gradients.update({name: gradient}))

        module.register_forward_hook(hook)

    for name, module in model.named_modules():
        watch(name, module)
    return signals, gradients


def kept(model: nn.LanguageModel, batch: int) -> int:
    """Bytes that a batch leaves on the tape, for the backward pass."""
    ids = np.zeros((batch, T), np.int64)
    before = octavo.memory().current
    loss = model.loss(ids, ids)
    found = octavo.memory().current - before
    del loss
    return found


def axes(shape: tuple[int, ...]) -> str:
    """A shape in letters: "B T C"."""
    return " ".join(LETTERS[n] for n in shape)


def draw_sizes(page: Page, signals: dict[str, nn.Tensor], weights: dict[str, nn.Parameter]) -> None:
    """Bars: bytes of each module's output, and of its weight."""
    with page.figure("sizes", 7, 4) as figure:
        axis, at = figure.subplots(), np.arange(len(SHOWN))
        axis.barh(at - 0.2, [signals[name].data.nbytes / 1024 for name in SHOWN], 0.4, color=look.ORANGE)
        axis.barh(at + 0.2, [weights[name].data.nbytes / 1024 for name in SHOWN], 0.4, color=look.BLUE)
        axis.set_yticks(at, SHOWN)
        axis.invert_yaxis()
        axis.set(xlabel="KiB")
        axis.grid(axis="y", visible=False)
        axis.set_title(f"output, for {B} sequences", color=look.ORANGE, loc="left")
        axis.set_title("weight", color=look.BLUE, loc="right")


def draw_batches(page: Page, activations: list[int], fixed: dict[str, int]) -> None:
    """Lines: bytes of all kinds, as the batch grows."""
    with page.figure("batch", 7, 4) as figure:
        axis = figure.subplots()
        axis.loglog(BATCHES, np.divide(activations, 2**20), "o-", color=look.ORANGE)
        axis.text(BATCHES[-2] * 0.9, activations[-2] / 2**20, "activations", color=look.ORANGE, ha="right", va="bottom")
        for (name, size), colour in zip(fixed.items(), (look.BLUE, look.GREEN), strict=True):
            axis.axhline(size / 2**20, color=colour)
            axis.text(BATCHES[-1], size / 2**20 * 1.04, name, color=colour, ha="right", va="bottom")
        axis.set(xlabel="batch, sequences", ylabel="MiB", xticks=BATCHES, xticklabels=BATCHES)
        axis.minorticks_off()


@section
def shapes(page: Page) -> None:
    """Axes and shapes: what lies in memory while a model learns, and how much of it."""
    model = small_gpt()
    optimizer = nn.AdamW(model.parameters())
    signals, gradients = record(model)
    ids = np.random.default_rng(0).integers(V, size=(B, T))
    model.loss(ids, ids).backward()

    parameters = list(model.parameters())
    of_outputs = {name: gradient.shape for name, gradient in gradients.items()}
    page.claim(
        "the gradient of a module's output has the shape of that output, everywhere",
        of_outputs == {name: signal.shape for name, signal in signals.items()},
    )
    page.claim(
        "the gradient of a weight has the shape of that weight", all(p.grad.shape == p.shape for p in parameters)
    )
    named = dict(model.named_parameters())
    weights = {name: named[f"{name}.weight"] for name in SHOWN}
    rows = []
    for name in SHOWN:
        out, weight = signals[name], weights[name]
        rows.append(
            [f"`{name}`", axes(out.shape), f"{out.data.nbytes:,}", axes(weight.shape), f"{weight.data.nbytes:,}"]
        )
    page.table("signal", ["module", "output", "bytes", "weight", "bytes"], rows)
    page.tell(B=B, T=T, C=C, V=V, heads=HEADS, parameters=model.num_parameters(), ids=ids.nbytes)

    activations = [kept(small_gpt(), batch) for batch in page.progress(BATCHES, "batches")]
    bytes_of_weights = sum(p.data.nbytes for p in parameters)
    averages = sum(x.nbytes for name, x in optimizer.state_dict().items() if name != "step")
    fixed = {"weights, and again gradients": bytes_of_weights, "AdamW's averages": averages}
    page.claim("gradients take what weights take", sum(p.grad.nbytes for p in parameters) == bytes_of_weights)
    page.claim("AdamW's averages take twice that", averages == 2 * bytes_of_weights)
    page.claim("from 32 sequences to 64, activations double, to 5 %", abs(activations[-1] / activations[-2] - 2) < 0.1)
    page.claim("of 64 sequences they take more than all else together", activations[-1] > 4 * bytes_of_weights)
    page.tell(each=(activations[-1] - activations[-2]) // 32, most=activations[-1], others=4 * bytes_of_weights)

    stored = {dtype: nn.summary(small_gpt().to(dtype))[0].bytes for dtype in ("float64", "float32", "bfloat16")}
    page.table("dtypes", ["weights in", "bytes"], [[f"`{dtype}`", f"{size:,}"] for dtype, size in stored.items()])
    page.claim(
        "float64 takes twice the bytes of float32, and bfloat16 half",
        stored["float64"] == 2 * stored["float32"] == 4 * stored["bfloat16"],
    )
    draw_sizes(page, signals, weights)
    draw_batches(page, activations, fixed)
