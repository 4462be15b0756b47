"""A density over images: digits pixel by pixel, and new ones drawn from it."""

import math

import numpy as np

from ... import nn, seed
from .. import look
from ..data import digits, split
from ..digits import train_classifier
from ..section import Page, section

SIDE, PIXELS, LEVELS = 8, 64, 17
STEPS, BATCH, RATE = 500, 32, 0.02
DRAWN = 20  # new images of each digit
MARGIN = 0.5


def tokens(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the model reads, the digit and then all pixels but the last, and what it shall say, all pixels."""
    pixels = (images * (LEVELS - 1)).round().astype(np.int64).reshape(-1, PIXELS)
    return np.concatenate([labels[:, None], pixels[:, :-1]], 1), pixels


def train(page: Page, ids: np.ndarray, targets: np.ndarray) -> nn.GPT:
    """A small GPT over pixels; Muon turns the matrices of its blocks, AdamW the rest."""
    config = nn.GPTConfig(vocab_size=LEVELS, context=PIXELS, layers=3, heads=4, width=64, dropout=0.1)
    model, rng = nn.GPT(config), np.random.default_rng(0)
    inner = [p for block in model.h for p in block.parameters() if p.ndim == 2]
    rest = [p for p in model.parameters() if all(p is not q for q in inner)]
    optimizers = [nn.Muon(inner, adjust_lr_fn="match_rms_adamw"), nn.AdamW(rest, betas=(0.9, 0.98))]
    rate = nn.schedule("cosine", RATE, STEPS, warmup=20, floor=RATE / 10)
    for step in page.progress(range(STEPS), "training"):
        chosen = rng.integers(len(ids), size=BATCH)
        model.loss(ids[chosen], targets[chosen]).backward()
        _, scale = nn.clip_grad_norm(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step(scale, lr=rate(step))
        model.zero_grad()
    model.eval()
    return model


def bits(model: nn.GPT, ids: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Bits that each pixel costs, (images, pixels): minus the binary logarithm of the probability it was given."""
    with nn.no_grad():
        return model.loss(ids, targets, reduction="none").numpy().reshape(targets.shape) / math.log(2)


def bits_alone(seen: np.ndarray, held: np.ndarray) -> np.ndarray:
    """The same where each pixel has a histogram of its own, and knows of no other."""
    counts = (seen[:, :, None] == np.arange(LEVELS)).sum(0) + 0.1  # a little for what was never seen
    chances = counts / counts.sum(1, keepdims=True)
    return -np.log2(chances[np.arange(PIXELS), held])


def draw(model: nn.GPT, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """New images (N, 1, 8, 8), pixel after pixel, and the digits that were asked for."""
    asked = np.repeat(np.arange(10), DRAWN)
    ids = nn.generate(model, asked[:, None], PIXELS, temperature=temperature, seed=0)
    return (ids[:, 1:].reshape(-1, 1, SIDE, SIDE) / (LEVELS - 1)).astype(np.float32), asked


def confidence(classifier: nn.Module, images: np.ndarray, labels: np.ndarray) -> float:
    """The probability that the classifier gives to what each image shall be, on average."""
    with nn.no_grad():
        chances = classifier(nn.Tensor(images)).softmax(-1).numpy()
    return float(chances[np.arange(len(labels)), labels].mean())


def distances(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How far each image is from the nearest of the others: the grey levels that differ, summed over its pixels."""
    flat, known = (LEVELS - 1) * images.reshape(-1, PIXELS), (LEVELS - 1) * others.reshape(-1, PIXELS)
    return np.array([np.abs(known - image).sum(1).min() for image in flat])


def draw_digits(page: Page, real: np.ndarray, new: np.ndarray) -> None:
    """Two rows of real digits above, and three of new ones below: (10, rows, 8, 8) each."""
    with page.figure("digits", 7, 4.2) as figure:
        grid = figure.subplots(5, 10)
        for row, images in zip(grid, [*real.swapaxes(0, 1), *new.swapaxes(0, 1)], strict=True):
            for axes, image in zip(row, images, strict=True):
                axes.imshow(image, cmap="Greys", vmin=0, vmax=1)
                axes.set(xticks=[], yticks=[])
                axes.grid(False)
                axes.spines[:].set_visible(False)
        grid[0, 0].set_title("real", loc="left")
        grid[2, 0].set_title("new", loc="left", color=look.BLUE)


def draw_costs(page: Page, alone: np.ndarray, costs: np.ndarray) -> None:
    """Where bits are spent: each pixel's mean cost by itself, and when all before it are known."""
    with page.figure("costs", 7, 3.6) as figure:
        for axes, (name, bits) in zip(
            figure.subplots(1, 2), {"each pixel by itself": alone, "after all before it": costs}.items(), strict=True
        ):
            shown = axes.imshow(bits.mean(0).reshape(SIDE, SIDE), vmin=0, vmax=math.log2(LEVELS), alpha=0.85)
            axes.set(title=name, xticks=[], yticks=[])
            axes.grid(False)
        figure.colorbar(shown, ax=figure.axes, label="bits", shrink=0.8)


@section
def pixels(page: Page) -> None:
    """A density over images: digits pixel by pixel, and new ones drawn from it."""
    images, labels = digits()
    seen, held = split(len(images), 0.2)
    ids, targets = tokens(images, labels)
    model = train(page, ids[seen], targets[seen])
    costs, alone = bits(model, ids[held], targets[held]), bits_alone(targets[seen], targets[held])
    page.tell(bits=costs.mean(), alone=alone.mean(), of_seen=bits(model, ids[seen], targets[seen]).mean())
    page.tell(parameters=model.num_parameters(), steps=STEPS, levels=LEVELS, pixels=PIXELS, seen=len(seen))
    page.claim(f"on images held out it saves at least {MARGIN} bits a pixel", alone.mean() - costs.mean() > MARGIN)
    grid = {"saves": (alone - costs).mean(0).reshape(SIDE, SIDE), "pays": costs.mean(0).reshape(SIDE, SIDE)}
    for what, each in grid.items():
        inner, outer = each[:, 2:6].mean(), each[:, [0, 1, 6, 7]].mean()
        page.claim(f"it {what} more in the four columns of the middle than in the outer ones", inner > outer)

    seed(0)  # the classifier's weights are its own, whatever was drawn before
    classifier = train_classifier(images[seen], labels[seen], page.progress)
    new, asked = draw(model, temperature=1)
    cold, _ = draw(model, temperature=0.8)
    sure = confidence(classifier, new, asked)
    page.tell(real=confidence(classifier, images[held], labels[held]), sure=sure, new=len(new))
    page.tell(cold=confidence(classifier, cold, asked))
    page.claim("the classifier gives new digits what was asked for with at least 90 %, on average", sure >= 0.9)
    apart = distances(new, images[seen])
    page.claim("no new digit is a copy of one that was seen", apart.min() > 0)
    page.tell(nearest=apart.mean(), nearest_held=distances(images[held], images[seen]).mean())

    order = np.concatenate([held[labels[held] == digit][:2] for digit in range(10)])
    draw_digits(page, images[order, 0].reshape(10, 2, SIDE, SIDE), new[:, 0].reshape(10, -1, SIDE, SIDE)[:, :3])
    draw_costs(page, alone, costs)
