import numpy as np

from .case import EDGES, Bad, Case, Sample, integers, normal


def _samples():
    for c in EDGES:
        yield Sample(integers(5, 4), normal(5, c))
    yield Sample(integers(3, 2, 3), normal(3, 2))
    yield Sample(np.array(1), normal(3, 2))
    yield Sample(np.array([2, 2, 2], np.uint8), normal(3, 2))
    yield Sample(integers(1, 5).astype(np.int32), normal(1, 3))
    yield Sample(integers(3, 0), normal(3, 2))
    yield Sample(integers(3, 1000), normal(3, 17))
    yield Sample(integers(2, 300), normal(2, 8))
    yield Sample(integers(1000, 63), normal(1000, 33))


CASES = {
    "embedding": Case(
        samples=_samples,
        bad=[
            Bad(
                ValueError,
                "embedding: ids: expected 0 <= id < 5, got 5 at (1, 0)",
                np.array([[0, 4], [5, 6]]),
                normal(5, 2),
                data=True,
            ),
            Bad(ValueError, "expected 0 <= id < 5, got -1 at (0,)", np.array([-1]), normal(5, 2), data=True),
            Bad(TypeError, "embedding: ids: expected integer of shape", np.zeros(3), normal(5, 2)),
            Bad(
                ValueError,
                "embedding: weight: expected float32, float64 or bfloat16 of shape (V C)",
                integers(3, 2),
                normal(3),
            ),
        ],
        bench=lambda: [Sample(integers(50304, 4096), normal(50304, 768)), Sample(integers(65, 4096), normal(65, 384))],
        torch=lambda torch, ids, weight: torch.nn.functional.embedding(ids, weight),
    ),
}
