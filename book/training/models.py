"""Six models that guess the next byte, trained on the same text under the same budget."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import nn, tokenizer
from ...nn.data import EvalBatches
from ..data import standard_library
from ..section import Page, section

VOCABULARY, CONTEXT, BATCH, STEPS = 256, 64, 8, 500
TAPS = 8
SIZE: dict[str, Any] = {"vocab_size": VOCABULARY, "context": CONTEXT}
ROTARY: dict[str, Any] = {"norm": "rms", "positions": "rotary", "activation": "swiglu", "qk_norm": True, "bias": False}

Make = Callable[[], nn.LanguageModel]
MODELS: dict[str, tuple[str, float, Make]] = {  # the optimiser and learning rate of each, and how it is made
    "bigram": ("adamw", 1e-1, lambda: nn.Bigram(nn.ModelConfig(**SIZE))),
    "MLP": ("adamw", 1e-2, lambda: nn.MLPLanguageModel(nn.MLPConfig(**SIZE, width=32, hidden=192, taps=TAPS))),
    "convolution": (
        "muon",
        1e-2,
        lambda: nn.ConvolutionLanguageModel(nn.ConvolutionConfig(**SIZE, layers=5, width=64)),
    ),
    "GRU": ("muon", 1e-2, lambda: nn.RecurrentLanguageModel(nn.RecurrentConfig(**SIZE, layers=1, width=128))),
    "LSTM": (
        "muon",
        1e-2,
        lambda: nn.RecurrentLanguageModel(nn.RecurrentConfig(**SIZE, layers=1, width=112, cell="lstm")),
    ),
    "transformer": ("muon", 1e-2, lambda: nn.GPT(nn.GPTConfig(**SIZE, layers=2, heads=4, width=64, **ROTARY))),
}


class Curve(nn.Callback):
    """Keeps the loss of every step, in bits."""

    def __init__(self) -> None:
        self.bits: list[float] = []

    def on_step(self, trainer: nn.Trainer, step: nn.callback.Step) -> None:
        self.bits.append(step.loss / math.log(2))


def learn(model: nn.LanguageModel, optimizer: str, lr: float, train: np.ndarray) -> tuple[list[float], float]:
    """Trains a model for the budget; its loss at each step, and the seconds it took."""
    curve = Curve()
    config = nn.TrainConfig(
        steps=STEPS, batch_size=BATCH, optimizer=optimizer, lr=lr, min_lr=lr / 20, warmup=30, eval_every=0
    )
    trainer = nn.Trainer(model, config, train, callbacks=[curve])
    trainer.fit()
    model.eval()
    return curve.bits, trainer.elapsed


def influence(model: nn.LanguageModel, ids: np.ndarray) -> np.ndarray:
    """Whether another token at s changes any logit at t: (T, T) of t and s, found by trying."""
    same = np.tile(ids, (len(ids), 1))
    changed = same + np.eye(len(ids), dtype=int)
    with nn.no_grad():
        before, after = model(same).numpy(), model(changed % VOCABULARY).numpy()
    return (before != after).any(2).T


def reach(touched: np.ndarray) -> int:
    """Over how many tokens, the present one included, the last prediction looks back."""
    return len(touched) - int(np.flatnonzero(touched[-1])[0])


def smooth(values: list[float], window: int = 30) -> np.ndarray:
    """Means over so many values."""
    return np.convolve(values, np.full(window, 1 / window), "valid")


def draw_curves(page: Page, curves: dict[str, list[float]]) -> None:
    """The loss of each model while it learns."""
    with page.figure("curves", 6, 3.8) as figure:
        axes = figure.subplots()
        for name, bits in curves.items():
            line = smooth(bits)
            axes.plot(np.arange(STEPS - len(line), STEPS) * BATCH * CONTEXT / 1000, line, label=name)
        axes.set(xlabel="thousands of bytes read", ylabel="training loss, bits per byte", xlim=0, ylim=(None, 6))
        axes.legend(ncols=2)


def draw_costs(page: Page, found: dict[str, tuple[int, int, float, float]]) -> None:
    """The loss that each model ends with, against what it is made of and what it took."""
    with page.figure("costs", 6, 3.4) as figure:
        for axes, place, label in zip(
            figure.subplots(1, 2, sharey=True), (0, 2), ("parameters", "seconds"), strict=True
        ):
            for name, row in found.items():
                axes.plot(row[place], row[3], "o", markersize=8, label=name)
            axes.set(xlabel=label, xscale="log")
            axes.xaxis.set_major_formatter("{x:,.0f}")
        figure.axes[0].set(ylabel="bits per held-back byte")
        figure.axes[1].legend()


@section
def models(page: Page) -> None:
    """Six models that guess the next byte, trained on the same text under the same budget."""
    tok, texts = tokenizer.train("bytes"), standard_library()
    train, held_back = (tok.encode_batch(part)[0] for part in (texts.train, texts.val))
    window = held_back[:CONTEXT].astype(np.int64)
    curves: dict[str, list[float]] = {}
    found: dict[str, tuple[int, int, float, float]] = {}
    samples = {}
    for name in page.progress(MODELS, "models"):
        optimizer, lr, make = MODELS[name]
        model = make()
        curves[name], seconds = learn(model, optimizer, lr, train)
        touched = influence(model, window)
        page.claim(f"{name}: no token changes a prediction before it", not np.triu(touched, 1).any())
        score = nn.evaluate(model, EvalBatches(held_back, 32, CONTEXT), 1)
        found[name] = model.num_parameters(), reach(touched), seconds, score.bits_per_byte
        samples[name] = tok.decode(nn.generate(model, tok.encode("def "), 160, temperature=0.7, seed=1))

    bits = {name: row[3] for name, row in found.items()}
    far = [bits[name] for name in ("convolution", "GRU", "LSTM", "transformer")]
    page.claim("the MLP needs half a bit less than the bigram", bits["MLP"] + 0.5 < bits["bigram"])
    page.claim("all that look back further need less than the MLP, by 0.05 bits", max(far) + 0.05 < bits["MLP"])
    page.claim("and end within a quarter of a bit of each other", max(far) - min(far) < 0.25)
    backs = {name: row[1] for name, row in found.items()}
    page.claim("the bigram looks back over 1 byte, the MLP over 8", backs["bigram"] == 1 and backs["MLP"] == TAPS)
    page.claim("five layers of convolution look back over 32", backs["convolution"] == 32)
    rows = [[name, f"{n:,}", back, f"{t:.1f}", f"{loss:.2f}"] for name, (n, back, t, loss) in found.items()]
    page.table("models", ["model", "parameters", "looks back over", "seconds", "bits per byte"], rows)
    page.tell(
        samples=samples,
        bits=bits,
        spread=max(far) - min(far),
        order=sorted(bits, key=bits.__getitem__),
        budget=STEPS * BATCH * CONTEXT,
    )
    page.tell(corpus=len(train), context=CONTEXT, taps=TAPS)
    draw_curves(page, curves)
    draw_costs(page, found)
