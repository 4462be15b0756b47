"""Drawing tokens from logits."""

from typing import Annotated

import numpy as np

from ..dispatch import op
from ..signature import Floats, Interval, Ints, require_ids
from .philox import Seed, Word, words


def bad_row(row: int) -> ValueError:
    """The error for logits of which no token can be drawn."""
    return ValueError(
        f"sample: logits: expected finite numbers (or -inf, not everywhere), got otherwise in row {row}: the model has "
        "diverged, or every token is masked"
    )


def _check(logits, *_):
    if len(logits) and not logits.shape[1]:
        raise ValueError(f"sample: logits: expected at least one token to choose from, got shape {logits.shape}")


@op("B V -> B", no_gradient="a choice among tokens does not vary smoothly with the logits", check=_check)
def sample(
    logits: Floats,
    temperature: Annotated[float, Interval(0, open="high")],
    top_k: Annotated[int, Interval(0)],
    top_p: Annotated[float, Interval(0, 1, open="low")],
    min_p: Annotated[float, Interval(0, 1)],
    seed: Seed,
    stream: Word,
    offset: Word,
) -> Ints:
    """Draw a token for each row: of the most probable ones, by their probabilities.

    w = exp((logits − max) / temperature), 0 outside the top_k likeliest, then outside the likeliest whose share reaches
    top_p, then below min_p; the token drawn is the first id at which Σ w exceeds u · (the sum of all), u in [0, 1)

    Args:
        logits: (B, V) float32, float64 or bfloat16; -inf is never drawn.
        temperature: 0 takes the likeliest. top_k, min_p: 0 keeps all. top_p: 1 keeps all. The lower id wins a tie.
        seed, stream, offset: the key and two words of Philox's counter; row b draws u from counter b.

    Returns:
        (B) int64 ids.

    Raises:
        ValueError: a row has NaN or +inf, or nothing but -inf.

    Numerics: float64 throughout.
    Source: Fan, Lewis and Dauphin, Hierarchical Neural Story Generation (2018); Holtzman et al. (2020), section 3.1;
        Nguyen et al., Turning Up the Heat: Min-p Sampling (2024).

    >>> sample(np.array([[0.0, 2.0, 1.0]]), 0.0, 0, 1.0, 0.0, seed=0, stream=0, offset=0).tolist()
    [1]
    """
    u = words(len(logits), seed, stream, offset)[:, 0] * 2.0**-32
    out = np.empty(len(logits), np.int64)
    for b, row in enumerate(logits.astype(np.float64)):
        if not np.isfinite(row.max()):
            raise bad_row(b)
        depth = row.max() - row
        order = np.argsort(depth, kind="stable")
        w = np.exp(-depth / (temperature or 1.0))
        w[order[1 if temperature == 0 else top_k or len(row) :]] = 0
        if top_p < 1:
            share = np.cumsum(w[order])
            w[order[np.searchsorted(share, top_p * share[-1]) + 1 :]] = 0
        w[w < min_p] = 0
        total = np.cumsum(w)
        out[b] = np.searchsorted(total, u[b] * total[-1], side="right")
    return out


@op("B V, B T -> B V", no_gradient="it steers sampling and is not part of a loss")
def penalize_repetition(logits: Floats, ids: Ints, penalty: Annotated[float, Interval(0, open="low")]) -> Floats:
    """Logits in which the tokens that have come before are less likely, or likelier with a penalty below 1.

    out_bv = logits_bv / penalty where it is positive, else logits_bv · penalty, for v among ids_b; others as they are

    Args:
        logits: (B, V) float32, float64 or bfloat16.
        ids: (B, T) tokens in [0, V), of which repetitions count once.
        penalty: 1 changes nothing.

    Raises:
        ValueError: an id is not in [0, V).

    Source: Keskar et al., CTRL: A Conditional Transformer Language Model (2019), section 4.1.

    >>> penalize_repetition(np.array([[2.0, -1.0, 3.0]]), np.array([[0, 1]]), 2.0).tolist()
    [[1.0, -2.0, 3.0]]
    """
    require_ids("penalize_repetition: ids", ids, logits.shape[1])
    out = logits.copy()
    for b, seen in enumerate(ids):
        x = logits[b, seen]
        out[b, seen] = np.where(x > 0, x / penalty, x * penalty)
    return out
