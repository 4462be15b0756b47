from itertools import cycle

import numpy as np

from .case import EDGES, Bad, Case, Sample, integers, normal

RANDOM = {"seed": 2**63 + 5, "stream": 1, "offset": 2}
# temperature, top_k, top_p, min_p
WAYS = (
    (0.0, 0, 1.0, 0.0),
    (1.0, 0, 1.0, 0.0),
    (0.7, 4, 1.0, 0.0),
    (1.3, 0, 0.8, 0.1),
    (1.0, 9, 0.9, 0.0),
    (1.0, 0, 1.0, 0.3),
)


def _samples():
    for v, how in zip(EDGES, cycle(WAYS), strict=False):
        yield Sample(normal(5, v, scale=3), *how, **RANDOM)
    ties = np.round(normal(200, 12))
    yield Sample(ties, 1.0, 3, 1.0, 0.0, **RANDOM)
    yield Sample(ties, 0.8, 5, 0.6, 0.2, **RANDOM)
    yield Sample(ties, 0, 0, 1.0, 0.0, **RANDOM)
    yield Sample(np.zeros((64, 10)), 1.0, 0, 0.5, 0.0, **RANDOM)
    masked = np.where(normal(20, 8) > 0, -np.inf, 0.0)
    masked[:, 7] = -1.0
    yield Sample(masked, 1.0, 3, 0.9, 0.0, **RANDOM)
    yield Sample(normal(1, 10007), 1.0, 50, 0.95, 0.0, **RANDOM)
    yield Sample(normal(300, 40, offset=1e4), 1.0, 10**30, 1.0, 1.0, **RANDOM)
    yield Sample(normal(4, 40, scale=1e4), 1e-320, 0, 0.9, 0.5, **RANDOM)
    yield Sample(normal(0, 5), 1.0, 0, 1.0, 0.0, **RANDOM)


def _torch(torch, logits, temperature, top_k, top_p, min_p, **random):
    values, ids = torch.sort(logits / temperature, descending=True)
    values[:, top_k:] = -torch.inf
    p = torch.softmax(values, -1)
    p[p.cumsum(-1) - p > top_p] = 0
    return ids.gather(1, torch.multinomial(p, 1))


CASES = {
    "sample": Case(
        samples=_samples,
        bad=[
            Bad(
                ValueError, "got otherwise in row 1", np.array([[0.0], [np.nan]]), 1.0, 0, 1.0, 0.0, **RANDOM, data=True
            ),
            Bad(ValueError, "got otherwise in row 0", np.array([[0.0, np.inf]]), 1.0, 1, 1.0, 0.0, **RANDOM, data=True),
            Bad(ValueError, "got otherwise in row 0", np.full((1, 3), -np.inf), 0.0, 0, 1.0, 0.0, **RANDOM, data=True),
            Bad(ValueError, "sample: logits: expected at least one token", normal(2, 0), 1.0, 0, 1.0, 0.0, **RANDOM),
            Bad(
                ValueError,
                "temperature: expected a number in [0, inf), got -1",
                normal(2, 3),
                -1,
                0,
                1.0,
                0.0,
                **RANDOM,
            ),
            Bad(
                ValueError,
                "top_k: expected a whole number in [0, inf], got 2.5",
                normal(2, 3),
                1,
                2.5,
                1,
                0.0,
                **RANDOM,
            ),
            Bad(ValueError, "top_p: expected a number in (0, 1], got 0", normal(2, 3), 1.0, 0, 0, 0.0, **RANDOM),
            Bad(
                ValueError,
                "sample: logits: expected float32, float64 or bfloat16 of shape (B V)",
                normal(3),
                1,
                0,
                1,
                0.0,
                **RANDOM,
            ),
        ],
        bench=lambda: [
            Sample(normal(8, 50304, scale=3), 0.8, 200, 1.0, 0.0, **RANDOM),
            Sample(normal(1, 50304, scale=3), 0.8, 200, 0.95, 0.0, **RANDOM),
        ],
        torch=_torch,
    ),
    "penalize_repetition": Case(
        samples=lambda: [
            *(Sample(normal(3, v, scale=3), integers(v, 3, 7), 1.3) for v in EDGES),
            Sample(normal(2, 5), integers(5, 2, 0), 2.0),
            Sample(normal(2, 5), integers(5, 2, 9), 0.5),
            Sample(np.array([[0.0, -np.inf, 1e4]]), np.array([[0, 1, 2]]), 3),
        ],
        bad=[
            Bad(
                ValueError, "ids: expected 0 <= id < 4, got 4 at (0, 1)", normal(1, 4), np.array([[0, 4]]), 2, data=True
            ),
            Bad(ValueError, "penalty: expected a number in (0, inf], got 0", normal(1, 4), np.array([[0]]), 0),
            Bad(ValueError, "ids: expected integer of shape (B=2 T)", normal(2, 4), np.array([[0]]), 1),
        ],
        bench=lambda: [Sample(normal(8, 50304), integers(50304, 8, 1024), 1.2)],
    ),
}
