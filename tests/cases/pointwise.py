"""Cases of what acts element by element: operands that broadcast, and one operand with its extremes."""

import numpy as np

from .case import EDGES, Bad, Case, Sample, normal

SHAPES = (
    ((2, 3), (2, 3)),
    ((2, 3), (3,)),
    ((3,), (2, 3)),
    ((2, 3), (2, 1)),
    ((2, 1, 3), (4, 1)),
    ((), (2, 3)),
    ((2, 3), ()),
    ((), ()),
    ((0, 3), (3,)),
    ((63, 1000), (1000,)),
    ((63, 1000), (63, 1)),
    ((3, 1, 40, 7), (1, 500, 1, 7)),
    ((2, 1, 2, 1, 2, 3), (1, 2, 1, 2, 1, 3)),  # more axes than the kernels take
    ((20_000,), (1,)),
)


def _pairs(low=-np.inf):
    for n in EDGES:
        yield Sample(normal(n), _away(normal(n, seed=1), low))
    for a, b in SHAPES:
        yield Sample(normal(*a), _away(normal(*b, seed=1), low))


def _away(x, low):
    """x, moved away from 0 by `low`, where a divisor may not be near it."""
    return x if low < 0 else np.asarray(x + np.copysign(low, x))


def _arrays(change=lambda x: x, extremes=()):
    for n in EDGES:
        yield Sample(change(normal(n)))
    for shape in ((), (0, 5), (2, 3, 4), (3, 40_000)):
        yield Sample(change(normal(*shape)))
    if extremes:
        yield Sample(np.tile(extremes, 301))  # too many for differences, which know no infinity


def binary(torch, low=-np.inf):
    return Case(
        samples=lambda: _pairs(low),
        bad=[
            Bad(
                ValueError,
                "y: expected float32, float64 or bfloat16 of shape (2, 3), got float64 (2,)",
                np.ones((2, 3)),
                np.ones(2),
            ),
            Bad(TypeError, "y: expected a NumPy array, got int", np.ones(3), 1),
            Bad(TypeError, "x: expected float32, float64 or bfloat16", np.ones(3, int), np.ones(3)),
        ],
        bench=lambda: [
            Sample(normal(4096, 768), normal(4096, 768)),
            Sample(normal(4096, 768), normal(768)),
            Sample(normal(8, 8), normal(8, 8)),
        ],
        torch=torch,
    )


def unary(torch, change=lambda x: x, extremes=(), ulps=16):
    return Case(
        samples=lambda: _arrays(change, extremes),
        bad=[
            Bad(TypeError, "x: expected float32, float64 or bfloat16 of shape (S...)", np.ones(3, int)),
            Bad(TypeError, "x: expected a NumPy array, got float", 1.0),
        ],
        bench=lambda: [Sample(change(normal(4096, 768))), Sample(change(normal(8, 8)))],
        torch=torch,
        ulps=ulps,
    )


def positive(x):
    return np.asarray(np.abs(x) + 0.125)


def off_the_kink(x):
    return np.asarray(x + np.copysign(0.125, x))
