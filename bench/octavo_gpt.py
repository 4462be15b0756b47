"""A GPT's training step and decoding in Octavo."""

from collections.abc import Callable

import numpy as np
from shapes import Shape

from octavo import nn


def make_model(shape: Shape, bias: bool) -> nn.GPT:
    s = shape
    return nn.GPT(nn.GPTConfig(s.vocabulary, s.context, s.layers, s.heads, s.width, bias=bias))


def make_step(shape: Shape) -> Callable[[], None]:
    """A function that runs one step: loss, gradients, clipping, AdamW."""
    model = make_model(shape, bias=False)
    optimizer = nn.AdamW(nn.decay_groups(model, 0.1), lr=1e-3, betas=(0.9, 0.99))
    parameters = list(model.parameters())
    inputs, targets = shape.tokens()

    def step() -> None:
        optimizer.zero_grad()
        model.loss(inputs, targets).backward()
        _, scale = nn.clip_grad_norm(parameters, 1.0)
        optimizer.step(grad_scale=scale)

    return step


def make_decode(shape: Shape, weights: str = "float32") -> Callable[[], np.ndarray]:
    """A function that continues a prompt, taking the most probable token each time."""
    model = make_model(shape, bias=True).eval()
    if weights != "float32":
        nn.quantize(model, weights)
    prompt, count = shape.decoding()
    return lambda: nn.generate(model, prompt, count, temperature=0)
