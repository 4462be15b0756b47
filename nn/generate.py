"""Generation: one token after another from a model's next-token distribution.

When the context is full, the last half of it is kept and read again, so that the cost of reading is spread over many
tokens; a prompt longer than the context is cut to its end.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..kernels import device, registry
from . import random
from .models import LanguageModel
from .tape import no_grad

__all__ = ["generate", "stream_tokens"]


def generate(model: LanguageModel, prompt: Any, max_new_tokens: int, **options: Any) -> np.ndarray:
    """The prompt and what follows it: (T,) or (B, T) ids -> (T + new,) or (B, T + new) int64 ids.

    Takes the options of `stream_tokens`. Fewer than `max_new_tokens` come where every row has stopped.
    """
    steps = list(stream_tokens(model, prompt, max_new_tokens, **options))
    prompt = np.asarray(prompt, np.int64)
    rows = np.concatenate([np.atleast_2d(prompt), *(ids[:, None] for ids in steps)], 1)
    return rows[0] if prompt.ndim == 1 else rows


def stream_tokens(
    model: LanguageModel,
    prompt: Any,
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
    repetition_penalty: float = 1.0,
    stop: Sequence[int] = (),
    seed: int | None = None,
    cache: bool = True,
) -> Iterator[np.ndarray]:
    """Yield the (B,) ids of each step, until every row has stopped or `max_new_tokens` are there.

    Args:
        prompt: (T,) or (B, T) ids, at least one in each row.
        temperature: logits are divided by it; 0 takes the most probable token.
        top_k: how many of the most probable tokens may be drawn; 0 is all.
        top_p: the most probable tokens that together reach this probability may be drawn; 1 is all.
        min_p: tokens that are less probable than this share of the likeliest are not drawn.
        repetition_penalty: over 1, tokens that are in the row already, prompt included, become less likely.
        stop: ids that end a row; the row repeats the id that ended it while others go on.
        seed: makes the draws repeatable on their own; without it they follow `octavo.seed`.
        cache: keep keys and values, or the state, of what was read; without it every step reads all again.

    Raises:
        ValueError: an empty prompt, ids out of range, or an option out of its range.
    """
    ids = _checked(prompt, model.config.vocab_size)
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens: expected at least 0, got {max_new_tokens}")
    how = (temperature, top_k, top_p, min_p)
    return _steps(model, ids, max_new_tokens, how, repetition_penalty, stop, seed, cache)


def _steps(
    model: LanguageModel,
    ids: np.ndarray,
    max_new_tokens: int,
    how: tuple[float, int, float, float],
    penalty: float,
    stop: Sequence[int],
    seed: int | None,
    cache: bool,
) -> Iterator[np.ndarray]:
    context = model.config.context
    window = unread = ids[:, -context:]
    capacity = min(context, window.shape[1] + max_new_tokens)
    caches = model.caches(len(ids), capacity) if cache else None
    ended = np.zeros(len(ids), bool)
    last = window[:, -1]
    for step in range(max_new_tokens):
        logits = _logits(model, unread, caches)
        if penalty != 1:
            logits = registry["penalize_repetition"](logits, device.to(ids, device.of(logits)), penalty)
        draw = (
            (random.current_seed(), random.SAMPLING, random.next_offset())
            if seed is None
            else (seed, random.SAMPLING, step)
        )
        last = np.where(ended, last, device.to(registry["sample"](logits, *how, *draw), "cpu"))
        yield last
        if penalty != 1:
            ids = np.concatenate([ids, last[:, None]], 1)
        if len(stop):
            ended |= np.isin(last, stop)
        if ended.all():
            return
        window = unread = np.concatenate([window, last[:, None]], 1)
        if window.shape[1] > context:
            window = unread = window[:, -max(1, context // 2) :]
            caches = model.caches(len(ids), capacity) if cache else None
        elif caches is not None:
            unread = last[:, None]


def _logits(model: LanguageModel, ids: np.ndarray, caches: Any) -> np.ndarray:
    training = model.training
    if training:
        model.eval()
    try:
        with no_grad():
            return model.next_logits(ids, caches).data
    finally:
        if training:
            model.train()


def _checked(prompt: Any, vocab_size: int) -> np.ndarray:
    ids = np.asarray(prompt)
    if ids.ndim not in (1, 2) or not ids.size:
        raise ValueError(
            f"prompt: expected ids of shape (T,) or (B, T), at least one token in a row, got shape {ids.shape}"
        )
    if ids.dtype.kind not in "iu":
        raise ValueError(f"prompt: expected integer ids, got {ids.dtype}; encode the text first")
    if ids.min() < 0 or ids.max() >= vocab_size:
        raise ValueError(
            f"prompt: expected 0 <= id < {vocab_size} (the model's vocabulary), got {ids.min()} to {ids.max()}"
        )
    return np.atleast_2d(ids).astype(np.int64)
