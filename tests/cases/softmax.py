import numpy as np

from .case import Bad, Case, Sample, normal, score_rows


def _samples(name):
    for x in score_rows():
        yield Sample(x)
    yield Sample(normal(7))
    yield Sample(normal(2, 3, 4, 5))
    yield Sample(normal(2, 3, 4), dim=1)
    yield Sample(normal(70, 33), dim=-2)
    yield Sample(normal(0, 5))
    rows = np.array([[0.0, -np.inf, 1.0], [-np.inf, -np.inf, 2.0]])
    if name == "softmax":
        yield Sample(rows)
    yield Sample(np.tile(rows, (60, 1)))  # too large for the gradient check: differences pass over outputs of -inf


def _case(name):
    return Case(
        samples=lambda: _samples(name),
        bad=[
            Bad(
                TypeError,
                f"{name}: x: expected float32, float64 or bfloat16 of shape (S... V), got int64 (2, 3)",
                np.zeros((2, 3), int),
            ),
            Bad(TypeError, f"{name}: x: expected a NumPy array, got list", [1.0]),
            Bad(
                ValueError,
                f"{name}: x: expected float32, float64 or bfloat16 of shape (S... V), got float64 ()",
                np.ones(()),
            ),
            Bad(ValueError, f"{name}: dim: expected an axis of a shape (2, 3), got 2", normal(2, 3), 2),
            Bad(ValueError, f"{name}: dim: expected an axis of a shape (2, 3), got (0, 1)", normal(2, 3), (0, 1)),
        ],
        bench=lambda: [Sample(normal(4096, 1000)), Sample(normal(1024, 50304))],
        torch=lambda torch, x, dim=-1: getattr(torch, name)(x, dim),
    )


CASES = {name: _case(name) for name in ("softmax", "log_softmax")}
