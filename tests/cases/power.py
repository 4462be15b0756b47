import numpy as np

from .case import Bad, Case, Sample, normal
from .pointwise import SHAPES, positive, unary


def _powers():
    for a, b in SHAPES:
        yield Sample(positive(normal(*a)), normal(*b, seed=1))
    whole = np.array([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])
    yield Sample(_away_from_zero(normal(55, 6)), whole)  # too many for differences in y, which are NaN
    x = np.array([0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, np.inf, -np.inf, np.nan])
    y = np.array([0.0, 1.0, 2.0, 3.0, -1.0, -2.0, 0.5, -0.5, 1.5, np.inf, -np.inf, np.nan])
    yield Sample(np.tile(x, 31)[:, None], y)


def _away_from_zero(x):
    return np.asarray(x + np.copysign(0.125, x))


CASES = {
    "pow": Case(
        samples=_powers,
        bad=[
            Bad(
                ValueError,
                "y: expected float32, float64 or bfloat16 of shape (2, 3), got float64 (2,)",
                *map(np.ones, [(2, 3), 2]),
            ),
            Bad(TypeError, "y: expected a NumPy array, got int", np.ones(3), 2),
        ],
        bench=lambda: [
            Sample(positive(normal(4096, 768)), normal(4096, 768)),
            Sample(positive(normal(4096, 768)), np.array(1.5)),
        ],
        torch=lambda torch, x, y: x**y,
    ),
    "square": unary(lambda torch, x: x * x, extremes=(0.0, -np.inf, np.nan)),
    "reciprocal": unary(lambda torch, x: 1 / x, _away_from_zero, extremes=(np.inf, -2.0, np.nan)),
    "rsqrt": unary(lambda torch, x: torch.rsqrt(x), positive, extremes=(-1.0, np.inf, np.nan)),
}
