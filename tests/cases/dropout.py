import numpy as np

from .case import EDGES, Bad, Case, Sample, normal

RANDOM = {"seed": 2**64 - 1, "stream": 2**32 - 1, "offset": 3}


def _samples():
    for n in EDGES:
        yield Sample(normal(n), 0.3, seed=5, stream=0, offset=0)
    yield Sample(normal(3, 4, 5), 0.1, **RANDOM)
    yield Sample(normal(5, 7), 0, **RANDOM)
    yield Sample(normal(5, 7), 1.0, **RANDOM)
    yield Sample(np.array(1.5), 0.5, **RANDOM)
    yield Sample(normal(0, 3), 0.5, **RANDOM)
    yield Sample(normal(63, 1000), 0.2, **RANDOM)
    yield Sample(np.full((4, 4), np.nan), 0.5, **RANDOM)


CASES = {
    "dropout": Case(
        samples=_samples,
        bad=[
            Bad(ValueError, "dropout: p: expected a number in [0, 1], got 1.5", normal(3), 1.5, **RANDOM),
            Bad(ValueError, "dropout: p: expected a number in [0, 1], got nan", normal(3), np.nan, **RANDOM),
            Bad(ValueError, "dropout: seed: expected a whole number in [0, ", normal(3), 0.5, -1, 0, 0),
            Bad(ValueError, "dropout: seed: expected a whole number in [0, ", normal(3), 0.5, 2**64, 0, 0),
            Bad(ValueError, "dropout: stream: expected a whole number in [0, ", normal(3), 0.5, 0, 1.0, 0),
            Bad(ValueError, "dropout: offset: expected a whole number in [0, ", normal(3), 0.5, 0, 0, 2**32),
            Bad(TypeError, "dropout: x: expected float32, float64 or bfloat16", np.zeros(3, int), 0.5, 0, 0, 0),
        ],
        bench=lambda: [Sample(normal(4096, 768), 0.1, seed=1, stream=2, offset=3)],
        torch=lambda torch, x, p, seed, stream, offset: torch.dropout(x, p, True),
    ),
}
