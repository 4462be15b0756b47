"""Causality, made visible: how much each prediction depends on each token, and a model that cheats."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import nn, tokenizer
from ...nn import functional as F
from ...nn.data import Batches
from ..data import standard_library
from ..look import GREY
from ..section import Page, section

CONTEXT, WIDTH, HEADS = 32, 64, 4
BROKEN = "transformer, no mask"
SIZE: dict[str, Any] = {"vocab_size": 256, "context": CONTEXT}


class Peeking(nn.CausalSelfAttention):
    """Self-attention without its mask: each position attends to all, those after it as well."""

    def forward(self, x: nn.Tensor, cache: nn.KVCache | None = None) -> nn.Tensor:
        batch, time, _ = x.shape
        q, k, v = F.split(self.qkv(x).reshape(batch, time, -1, self.head_size), [self.heads] * 3, 2)
        return self.proj(F.attention(q, k, v, causal=False).reshape(batch, time, -1))


def transformer() -> nn.GPT:
    """Two blocks of causal attention."""
    return nn.GPT(nn.GPTConfig(**SIZE, layers=2, heads=HEADS, width=WIDTH))


def broken() -> nn.GPT:
    """The same, with attention that peeks."""
    model = transformer()
    for block in model.h:
        block.attn = Peeking(WIDTH, HEADS)
    return model


MODELS: dict[str, Callable[[], nn.LanguageModel]] = {
    "bigram": lambda: nn.Bigram(nn.ModelConfig(**SIZE)),
    "MLP": lambda: nn.MLPLanguageModel(nn.MLPConfig(**SIZE, width=32, hidden=128, taps=8)),
    "convolution": lambda: nn.ConvolutionLanguageModel(nn.ConvolutionConfig(**SIZE, layers=4, width=WIDTH)),
    "GRU": lambda: nn.RecurrentLanguageModel(nn.RecurrentConfig(**SIZE, layers=1, width=WIDTH)),
    "transformer": transformer,
    BROKEN: broken,
}


def influence(model: nn.LanguageModel, ids: np.ndarray) -> np.ndarray:
    """|∂ logit_t / ∂ x_s| as (T, T): t asks by the logit of the token that came, s is an embedded token."""
    kept: list[nn.Tensor] = []
    embedding = next(module for module in model.modules() if isinstance(module, nn.Embedding))
    hook = embedding.register_forward_hook(lambda module, given, x: kept.append(x))
    logits = model(np.tile(ids[:-1], (CONTEXT, 1)))
    hook.remove()
    kept[0].retain_grad()
    asked = np.zeros(logits.shape, np.float32)
    t = np.arange(CONTEXT)
    asked[t, t, ids[1:]] = 1
    logits.backward(asked)
    return np.linalg.norm(kept[0].grad, axis=2)


def learn(model: nn.LanguageModel, train: np.ndarray) -> None:
    """Trains a model for a moment."""
    lr = 1e-1 if isinstance(model, nn.Bigram) else 1e-2
    optimizer = "muon" if isinstance(model, nn.GPT) else "adamw"
    config = nn.TrainConfig(
        steps=300, batch_size=16, optimizer=optimizer, lr=lr, min_lr=lr / 10, warmup=30, eval_every=0
    )
    nn.Trainer(model, config, train).fit()
    model.eval()


def losses(model: nn.LanguageModel, ids: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
    """Bits per byte: at all positions, and at the last one, after which there is nothing to see."""
    with nn.no_grad():
        bits = model.loss(ids, targets, reduction="none").numpy().reshape(ids.shape) / math.log(2)
    return bits.mean(), bits[:, -1].mean()


def draw(page: Page, found: dict[str, np.ndarray]) -> None:
    """Each model's influences, and nothing where there is none."""
    with page.figure("influence", 5.2, 8) as figure:
        for axes, (name, grid) in zip(figure.subplots(3, 2).flat, found.items(), strict=True):
            with np.errstate(divide="ignore"):
                shades = np.log10(grid / grid.max())
            image = axes.imshow(np.where(grid > 0, shades, np.nan), vmin=-4, vmax=0)
            axes.plot([-0.5, CONTEXT - 0.5], [-0.5, CONTEXT - 0.5], color=GREY, linewidth=0.8)
            axes.grid(visible=False)
            axes.set(title=name, xlabel="token s", ylabel="prediction t")
        figure.colorbar(
            image, ax=figure.axes, location="bottom", shrink=0.6, label="influence: log₁₀ of the share of the largest"
        )


@section
def causality(page: Page) -> None:
    """Causality, made visible: how much each prediction depends on each token, and a model that cheats."""
    tok, texts = tokenizer.train("bytes"), standard_library()
    train, held_back = (tok.encode_batch(part)[0] for part in (texts.train, texts.val))
    window = held_back[: CONTEXT + 1].astype(np.int64)
    grids, bits = {}, {}
    for name in page.progress(MODELS, "models"):
        model = MODELS[name]()
        learn(model, train)
        grids[name] = influence(model, window)
        bits[name] = losses(model, *Batches(held_back, 2000, CONTEXT)[0])

    ahead = {name: np.triu(grid, 1).max() for name, grid in grids.items()}
    for name in list(MODELS)[:-1]:
        page.claim(f"{name}: the influence of every later token is exactly 0", ahead[name] == 0)
    page.claim(f"{BROKEN}: it is not", ahead[BROKEN] > 0)
    page.claim("that of tokens 8 and more back is exactly 0 in the MLP", np.tril(grids["MLP"], -8).max() == 0)
    page.claim("and 16 and more back in the convolution", np.tril(grids["convolution"], -16).max() == 0)
    draw(page, grids)

    honest, cheat = bits["transformer"], bits[BROKEN]
    page.claim(
        f"{BROKEN}: less than a third of the bits of any other model",
        3 * cheat[0] < min(x for x, _ in bits.values() if x != cheat[0]),
    )
    page.claim("but at the last position a quarter of a bit more than with its mask", cheat[1] > honest[1] + 0.25)
    rows = [[name, f"{everywhere:.2f}", f"{last:.2f}"] for name, (everywhere, last) in bits.items()]
    page.table("losses", ["model", "bits per byte, at all positions", "at the last one"], rows)
    page.tell(cheat=cheat, honest=honest, context=CONTEXT, before=CONTEXT - 1)
    prompt = tok.encode("def ")
    page.tell(sample=tok.decode(nn.generate(model, prompt, CONTEXT - len(prompt), temperature=0.7, seed=1)))
