"""The chain rule of probability: a text's probability, token by token."""

import itertools
import math
import zlib

import numpy as np

from ... import nn, tokenizer
from ...nn import functional as F
from ...nn.data import EvalBatches
from ...nn.progress import Progress
from ..data import standard_library
from ..look import BLUE
from ..section import Page, section

LINE = "for name, value in sorted(self.items()):"
VARIANTS = {
    "as a programmer writes it": LINE,
    "a space on the wrong side": LINE.replace(", ", " ,"),
    "the words in reverse order": " ".join(LINE.split()[::-1]),
    "the letters in reverse order": LINE[::-1],
}
BEFORE = "\n    "  # what every line is read after
CONTEXT = 64


def learn(tok: tokenizer.Tokenizer, texts: list[str]) -> nn.LanguageModel:
    """A small recurrent model, trained for a few seconds on these texts."""
    model = nn.RecurrentLanguageModel(nn.RecurrentConfig(tok.vocab_size, CONTEXT, layers=1, width=128))
    config = nn.TrainConfig(steps=400, batch_size=16, lr=1e-2, min_lr=1e-3, warmup=20, eval_every=0)
    nn.Trainer(model, config, tok.encode_batch(texts)[0], callbacks=[Progress()]).fit()
    model.eval()
    return model


def surprises(model: nn.LanguageModel, ids: np.ndarray) -> np.ndarray:
    """−log p of each token but the first, given those before it, in nats: all from one call."""
    with nn.no_grad():
        return model.loss(ids[None, :-1], ids[None, 1:], reduction="none").numpy()


def one_by_one(model: nn.LanguageModel, ids: np.ndarray) -> tuple[list[float], list[float]]:
    """The same, each token from a call of its own; and the sum of the probabilities of all that could have come."""
    found, sums = [], []
    with nn.no_grad():
        for t in range(1, len(ids)):
            p = F.softmax(model.next_logits(ids[None, :t])).numpy()[0].astype(float)
            found.append(-math.log(p[ids[t]]))
            sums.append(p.sum())
    return found, sums


def every_sequence(length: int = 3, vocabulary: int = 4) -> np.ndarray:
    """Probabilities of all sequences of so many tokens after token 0, by a model that has learnt nothing."""
    model = nn.RecurrentLanguageModel(nn.RecurrentConfig(vocabulary, CONTEXT, layers=1, width=8))
    sequences = itertools.product(range(vocabulary), repeat=length)
    return np.array([math.exp(-surprises(model, np.array([0, *ids])).sum(dtype=float)) for ids in sequences])


def draw(page: Page, tokens: list[str], bits: np.ndarray) -> None:
    """A bar for each token: its surprise."""
    with page.figure("surprise", 5.2, 0.26 * len(tokens) + 0.8) as figure:
        axes = figure.subplots()
        bars = axes.barh(range(len(tokens)), bits, color=BLUE)
        axes.bar_label(bars, [f"1 in {2**b:,.0f}" if b >= 1 else f"{2**-b:.0%}" for b in bits], padding=3, fontsize=8)
        axes.set_yticks(range(len(tokens)), tokens, family="monospace")
        axes.tick_params(axis="y", length=0)
        axes.set(xlabel="surprise, bits", xlim=(0, 1.2 * bits.max()), ylim=(len(tokens) - 0.5, -0.5))
        axes.grid(axis="y", visible=False)


@section
def chain(page: Page) -> None:
    """The chain rule of probability: a text's probability, token by token."""
    texts = standard_library()
    tok = tokenizer.train("bpe", texts.train[:200], vocab_size=512)
    model = learn(tok, texts.train)

    ids = tok.encode(BEFORE + LINE)
    nats = surprises(model, ids)
    single, sums = one_by_one(model, ids)
    page.claim("the surprises of all tokens are those of one call each, to 1e-4", np.allclose(nats, single, atol=1e-4))
    page.claim("the probabilities of all next tokens have the sum 1, to 1e-6", np.allclose(sums, 1, atol=1e-6))
    total = nats.sum(dtype=float)
    bits, size = total / math.log(2), len(tok.decode_bytes(ids[1:]))
    page.tell(count=len(nats), bits=bits, exponent=-total / math.log(10))
    page.tell(
        perplexity=math.exp(total / len(nats)), bits_per_byte=bits / size, vocabulary=tok.vocab_size, context=CONTEXT
    )
    tokens = [tok.decode([i]).replace(" ", "·") for i in ids[1:]]
    page.tell(hardest=tokens[nats.argmax()], easiest=tokens[nats.argmin()])
    draw(page, tokens, nats / math.log(2))

    found = {name: surprises(model, tok.encode(BEFORE + line)).sum(dtype=float) for name, line in VARIANTS.items()}
    rows = [[f"`{VARIANTS[name]}`", name, f"{x / math.log(2):.0f}"] for name, x in found.items()]
    page.table("variants", ["line", "which is", "bits"], rows)
    page.claim("every other version of the line is less probable", min([*found.values()][1:]) > total)

    each = every_sequence()
    page.tell(sequences=len(each), likeliest=each.max(), least=each.min())
    page.claim("the probabilities of all sequences of three tokens have the sum 1, to 1e-6", abs(each.sum() - 1) < 1e-6)

    held_back = "".join(texts.val)[:100_000]
    ids, size = tok.encode(held_back), len(held_back.encode())
    score = nn.evaluate(model, EvalBatches(ids, 16, CONTEXT), size / len(ids))
    packed = 8 * len(zlib.compress(held_back.encode(), 9)) / size
    page.tell(size=size, text_perplexity=score.perplexity, text_bits=score.bits_per_byte, zlib_bits=packed)
    page.claim("the model needs less than half of the 8 bits of a byte", score.bits_per_byte < 4)
