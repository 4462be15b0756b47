"""A GPT's training step and decoding in Octavo."""

from collections.abc import Callable

import numpy as np
from place import DEVICE
from shapes import Shape

import octavo
from octavo import nn


def make_model(shape: Shape, bias: bool) -> nn.GPT:
    s = shape
    return nn.GPT(nn.GPTConfig(s.vocabulary, s.context, s.layers, s.heads, s.width, bias=bias))


def make_step(shape: Shape, recompute: bool = False) -> Callable[[], None]:
    """A function that runs one step: loss, gradients, clipping, AdamW."""
    model = make_model(shape, bias=False).to(DEVICE)
    model.recompute = recompute
    step, batch = _learner(model), shape.tokens()

    def call() -> None:
        step(*batch)

    return call


def losses(shape: Shape, rates: list[float]) -> list[float]:
    """Of steps on random walks at these learning rates."""
    step = _learner(initial(shape))
    return [step(*batch, lr).item() for batch, lr in zip(shape.walks(len(rates)), rates, strict=True)]


def initial(shape: Shape) -> nn.GPT:
    """The same weights each time."""
    octavo.seed(0)
    return make_model(shape, bias=False)


def _learner(model: nn.GPT) -> Callable[..., nn.Tensor]:
    """A step of training on inputs and targets: the loss before it."""
    optimizer = nn.AdamW(nn.decay_groups(model, 0.1), lr=0, betas=(0.9, 0.99))
    parameters = list(model.parameters())

    def step(inputs: np.ndarray, targets: np.ndarray, lr: float = 1e-3) -> nn.Tensor:
        optimizer.lr = lr
        optimizer.zero_grad()
        loss = model.loss(inputs, targets)
        loss.backward()
        _, scale = nn.clip_grad_norm(parameters, 1.0)
        optimizer.step(grad_scale=scale)
        return loss

    return step


def make_decode(shape: Shape, weights: str = "float32") -> Callable[[], np.ndarray]:
    """A function that continues a prompt, taking the most probable token each time."""
    model = make_model(shape, bias=True).to(DEVICE).eval()
    if weights != "float32":
        nn.quantize(model, weights)
    prompt, count = shape.decoding()
    return lambda: nn.generate(model, prompt, count, temperature=0)
