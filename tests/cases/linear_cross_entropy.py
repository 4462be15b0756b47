from itertools import product

import numpy as np

from .case import Bad, Case, Sample, integers, normal
from .cross_entropy import REDUCTIONS, option_product, probabilities


def _rows(n, c, v, ignored=0, **kwargs):
    targets = integers(v, n)
    targets[:ignored] = -100
    return Sample(normal(n, c), normal(v, c, seed=1), targets, **kwargs)


def _samples():
    for reduction in REDUCTIONS:
        yield _rows(4, 3, 5, ignored=1, reduction=reduction)
        yield _rows(63, 17, 1000, ignored=5, reduction=reduction)
    yield _rows(4, 3, 5, divisor=9.5)
    yield _rows(3, 4, 6, ignored=3)
    yield _rows(0, 4, 6)
    yield _rows(1, 1, 2)
    yield _rows(1100, 3, 4096)  # two chunks
    targets = integers(7, 5)
    yield Sample(normal(5, 4), normal(7, 4), targets, ignore_index=int(targets[0]))
    yield Sample(normal(6, 4, scale=100), normal(9, 4, scale=100), integers(9, 6))
    for options, reduction in product(option_product("class_weight"), REDUCTIONS):
        yield _rows(4, 3, 5, ignored=1, reduction=reduction, **options)
        yield Sample(normal(3, 4), normal(5, 4, seed=1), probabilities(3, 5), reduction=reduction, **options)
    hard = {"label_smoothing": 0.1, "z_loss": 1e-3, "softcap": 30.0}
    yield _rows(1100, 3, 4096, ignored=9, class_weight=np.abs(normal(4096)), **hard)
    yield Sample(normal(0, 4), normal(5, 4), np.zeros((0, 5)), **hard)


CASES = {
    "linear_cross_entropy": Case(
        samples=_samples,
        bad=[
            Bad(
                ValueError,
                "linear_cross_entropy: targets: expected 0 <= id < 5 (or ignore_index, -100), got 5",
                normal(2, 3),
                normal(5, 3),
                np.array([0, 5]),
                data=True,
            ),
            Bad(ValueError, "linear_cross_entropy: weight: expected", normal(2, 3), normal(5, 4), np.array([0, 1])),
            Bad(ValueError, "(N=2, V=5), got float64 (2,)", normal(2, 3), normal(5, 3), normal(2)),
            Bad(
                ValueError,
                "linear_cross_entropy: class_weight: exp",
                normal(2, 3),
                normal(5, 3),
                integers(5, 2),
                normal(4),
            ),
            Bad(
                ValueError,
                "linear_cross_entropy: divisor: expected",
                normal(2, 3),
                normal(5, 3),
                np.array([0, 1]),
                divisor=0.0,
            ),
        ],
        bench=lambda: [_rows(768, 128, 65), _rows(512, 768, 50304)],
        torch=lambda torch, x, w, targets: torch.nn.functional.cross_entropy(x @ w.T, targets),
        operations=lambda x, weight, *_: (2 * x.size * len(weight), 0),  # gradients come from the forward sweep
    ),
}
