import numpy as np

from .case import Bad, Case, Sample, normal, score_rows


def _samples():
    for x in score_rows():
        yield Sample(x)
    yield Sample(normal(7))
    yield Sample(normal(2, 3, 4, 5))
    yield Sample(normal(0, 5))
    yield Sample(np.array([[0.0, -np.inf, 1.0], [-np.inf, -np.inf, 2.0]]))


CASES = {
    "softmax": Case(
        samples=_samples,
        bad=[
            Bad(
                TypeError,
                "softmax: x: expected float32 or float64 of shape (S... V), got int64 (2, 3)",
                np.zeros((2, 3), int),
            ),
            Bad(TypeError, "softmax: x: expected a NumPy array, got list", [1.0]),
            Bad(
                ValueError,
                "softmax: x: expected float32 or float64 of shape (S... V), got float64 ()",
                np.ones(()),
            ),
        ],
        bench=lambda: [Sample(normal(4096, 1000)), Sample(normal(1024, 50304))],
        torch=lambda torch, x: torch.softmax(x, -1),
    ),
}
