import numpy as np

from .case import EDGES, Bad, Case, Sample, integers, normal
from .pointwise import SHAPES

EXTREMES = (0.0, -0.0, 1.0, np.inf, -np.inf, np.nan)


def _pairs():
    for n in EDGES:
        yield Sample(integers(3, n).astype(float), integers(3, n, seed=1).astype(float))
    for a, b in SHAPES:
        yield Sample(np.asarray(np.round(normal(*a))), np.asarray(np.round(normal(*b, seed=1))))
    yield Sample(np.array(EXTREMES)[:, None], np.array(EXTREMES))
    yield Sample(integers(5, 7, 9), integers(5, 9, seed=1))
    yield Sample(integers(5, 33).astype(np.uint8), integers(5, 33, low=-5).astype(np.int32))


def _comparison(torch):
    return Case(
        samples=_pairs,
        bad=[
            Bad(TypeError, "expected two arrays of floats or two of integers", np.ones(3), np.ones(3, int)),
            Bad(TypeError, "x: expected float32, float64, bfloat16 or integer", np.ones(3, bool), np.ones(3)),
            Bad(ValueError, "y: expected", np.ones((2, 3)), np.ones(2)),
            Bad(TypeError, "y: expected a NumPy array, got int", np.ones(3), 1),
        ],
        bench=lambda: [Sample(normal(4096, 768), normal(768))],
        torch=torch,
    )


def _choices():
    for n in EDGES:
        yield Sample(normal(n) > 0, normal(n, seed=1), normal(n, seed=2))
    for a, b in SHAPES:
        yield Sample(normal(*a) > 0, normal(*b, seed=1), np.array(2.0))
        yield Sample(normal(*b) > 0, normal(*a, seed=1), normal(*b, seed=2))
    yield Sample(np.array(True), np.array([np.nan, 1.0]), np.array([[np.inf], [0.0]]))


def _logic(torch):
    return Case(
        samples=lambda: [Sample(normal(*a) > 0, normal(*b, seed=1) > 0) for a, b in SHAPES],
        bad=[
            Bad(TypeError, "y: expected boolean of shape", np.ones(3, bool), np.ones(3)),
            Bad(ValueError, "y: expected boolean of shape", np.ones(3, bool), np.ones(2, bool)),
        ],
        torch=torch,
    )


CASES = {
    "eq": _comparison(lambda torch, x, y: x == y),
    "ne": _comparison(lambda torch, x, y: x != y),
    "lt": _comparison(lambda torch, x, y: x < y),
    "le": _comparison(lambda torch, x, y: x <= y),
    "gt": _comparison(lambda torch, x, y: x > y),
    "ge": _comparison(lambda torch, x, y: x >= y),
    "where": Case(
        samples=_choices,
        bad=[
            Bad(TypeError, "condition: expected boolean of shape", np.ones(3), np.ones(3), np.ones(3)),
            Bad(
                ValueError,
                "y: expected float32, float64 or bfloat16 of shape (3)",
                np.ones(3, bool),
                np.ones(3),
                np.ones(2),
            ),
        ],
        bench=lambda: [Sample(normal(4096, 768) > 0, normal(4096, 768), np.array(0.0))],
        torch=lambda torch, condition, x, y: torch.where(condition, x, y),
    ),
    "logical_not": Case(
        samples=lambda: [Sample(normal(*shape) > 0) for shape, _ in SHAPES],
        bad=[Bad(TypeError, "x: expected boolean of shape", np.ones(3))],
        torch=lambda torch, x: ~x,
    ),
    "logical_and": _logic(lambda torch, x, y: x & y),
    "logical_or": _logic(lambda torch, x, y: x | y),
}
