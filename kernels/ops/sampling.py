"""Drawing tokens from logits."""

from typing import Annotated

import numpy as np

from ..dispatch import op
from ..signature import Floats, Interval, Ints
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
    seed: Seed,
    stream: Word,
    offset: Word,
) -> Ints:
    """Draw a token for each row: of the most probable ones, by their probabilities.

    w = exp((logits − max) / temperature), 0 outside the top_k likeliest and then outside the likeliest whose
    share reaches top_p; the token drawn is the first id at which Σ w exceeds u · (the sum of all), u in [0, 1)

    Args:
        logits: (B, V) float32 or float64; -inf is never drawn.
        temperature: 0 takes the likeliest. top_k: 0 keeps all. top_p: 1 keeps all. The lower id wins a tie.
        seed, stream, offset: the key and two words of Philox's counter; row b draws u from counter b.

    Returns:
        (B) int64 ids.

    Raises:
        ValueError: a row has NaN or +inf, or nothing but -inf.

    Numerics: float64 throughout.
    Source: Fan, Lewis and Dauphin, Hierarchical Neural Story Generation (2018); Holtzman et al. (2020), section 3.1.

    >>> sample(np.array([[0.0, 2.0, 1.0]]), 0.0, 0, 1.0, seed=0, stream=0, offset=0).tolist()
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
        total = np.cumsum(w)
        out[b] = np.searchsorted(total, u[b] * total[-1], side="right")
    return out
