import numpy as np

from .case import EDGES, Bad, Case, Sample, normal
from .reduce import NOT_FINITE, bad_dims


def _samples():
    for dim in (0, 1, 2, -1):
        yield Sample(normal(3, 4, 5), dim)
    for n in EDGES:
        yield Sample(normal(3, n), -1)
        yield Sample(normal(n, 3), 0)
    yield Sample(normal(2, 700, 1500), 1)
    yield Sample(normal(40_000, offset=1e4), 0)
    yield Sample(normal(0, 5), 1)
    yield Sample(normal(4, 0), 1)
    yield Sample(NOT_FINITE, 0)
    yield Sample(NOT_FINITE, 1)


CASES = {
    "cumsum": Case(
        samples=_samples,
        bad=[
            *bad_dims(dims=(2, -3, (0,), None, 1.0, True)),
            Bad(TypeError, "cumsum: missing argument 'dim'", normal(3)),
            Bad(TypeError, "x: expected float32, float64 or bfloat16", np.ones(3, int), 0),
        ],
        bench=lambda: [Sample(normal(4096, 768), -1), Sample(normal(4096, 768), 0), Sample(normal(4_000_000), 0)],
        torch=lambda torch, x, dim: torch.cumsum(x, dim),
    ),
}
