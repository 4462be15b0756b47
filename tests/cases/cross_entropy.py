from itertools import product

import numpy as np

from .case import Bad, Case, Sample, integers, normal, score_rows

REDUCTIONS = ("mean", "sum", "none")


def probabilities(n, v):
    """(n, v) soft targets, some of them 0."""
    x = np.maximum(normal(n, v, seed=3), 0) + (np.arange(v) == 0)
    return (x / x.sum(-1, keepdims=True)).astype(np.float32).astype(np.float64)


def option_product(weight="weight"):
    """Every combination of the options, as keywords; `weight` is the name of the class weights' argument."""
    for weights, smoothing, z, cap in product(
        (None, normal(5, scale=0.3, offset=1)), (0.0, 0.1), (0.0, 0.01), (None, 2.0)
    ):
        yield {weight: weights, "label_smoothing": smoothing, "z_loss": z, "softcap": cap}


def _samples():
    for x in score_rows():
        yield Sample(x, integers(x.shape[1], len(x)))
    for reduction in REDUCTIONS:
        yield Sample(normal(5, 6), np.array([0, -100, 5, -100, 2]), reduction=reduction)
        yield Sample(normal(3, 4), np.full(3, -100), reduction=reduction)
        yield Sample(normal(0, 5), integers(5, 0), reduction=reduction)
    yield Sample(normal(4, 5), np.array([0, 4, 2, 2], np.uint8), ignore_index=2, reduction="none")
    yield Sample(normal(2, 5), np.array([-1, 3], np.int32), ignore_index=-1)
    yield Sample(normal(1, 1), np.array([0]))
    yield Sample(normal(1, 10007, scale=4), np.array([5]))
    yield Sample(np.array([[0.0, -np.inf, 1.0], [-np.inf, 3.0, 2.0]]), np.array([2, 1]))
    yield Sample(np.array([[0.0, 1e4, -1e4]]), np.array([2]))
    for options, reduction in product(option_product(), REDUCTIONS):
        yield Sample(normal(4, 5, scale=2), np.array([4, -100, 0, 2]), reduction=reduction, **options)
        yield Sample(normal(3, 5, scale=2), probabilities(3, 5), reduction=reduction, **options)
    hard = {"label_smoothing": 0.1, "z_loss": 1e-3, "softcap": 30.0}
    for v in (3, 63, 64, 1000, 10007):
        weight = np.abs(normal(v)) + 0.1
        yield Sample(normal(3, v, scale=20), integers(v, 3), weight, **hard)
        yield Sample(normal(3, v, scale=20), probabilities(3, v), weight, **hard)
    for x in (normal(4, 50, offset=1e4), np.where(normal(4, 50) > 0, 1e4, -1e4)):
        for targets in (integers(50, 4), probabilities(4, 50)):
            yield Sample(x, targets, label_smoothing=0.1)
            yield Sample(x, targets, label_smoothing=0.1, z_loss=1e-3)
    yield Sample(np.array([[0.0, -np.inf, 1.0]]), np.array([[0.5, 0.0, 0.5]]))
    yield Sample(normal(2, 1), np.array([0, 0]), label_smoothing=0.1, z_loss=1.0)
    yield Sample(normal(2, 3), np.array([0, 1]), np.array([0.0, 0.0, 1.0]), label_smoothing=0.1)
    for targets in (integers(5, 0), np.zeros((0, 5))):
        yield Sample(normal(0, 5), targets, **hard)
    yield Sample(normal(2, 4), np.full(2, -100), **hard)


CASES = {
    "cross_entropy": Case(
        samples=_samples,
        bad=[
            Bad(
                ValueError,
                "cross_entropy: targets: expected 0 <= id < 3 (or ignore_index, -100), got 3 at (1,)",
                normal(2, 3),
                np.array([0, 3]),
                data=True,
            ),
            Bad(ValueError, "got -1 at (0,)", normal(2, 3), np.array([-1, 0]), data=True),
            Bad(
                ValueError,
                "(or ignore_index, 7), got -100 at (1,)",
                normal(2, 3),
                np.array([7, -100]),
                None,
                7,
                data=True,
            ),
            Bad(
                ValueError,
                "cross_entropy: targets: expected integer ids of shape (N=2)",
                normal(2, 3),
                np.zeros(3, int),
            ),
            Bad(ValueError, "probabilities of shape (N=2, V=3), got float64 (2,)", normal(2, 3), np.zeros(2)),
            Bad(ValueError, "(N=2, V=3), got int64 (2, 3)", normal(2, 3), np.zeros((2, 3), int)),
            Bad(TypeError, "cross_entropy: targets: expected", normal(2, 3), np.zeros(2, bool)),
            Bad(
                ValueError,
                "weight: expected float32, float64 or bfloat16 of shape (V=3)",
                normal(2, 3),
                integers(3, 2),
                normal(4),
            ),
            Bad(
                ValueError,
                "label_smoothing: expected a number in [0, 1]",
                normal(2, 3),
                integers(3, 2),
                label_smoothing=2,
            ),
            Bad(ValueError, "z_loss: expected a number in [0, inf)", normal(2, 3), integers(3, 2), z_loss=-1.0),
            Bad(ValueError, "softcap: expected a number in (0, inf)", normal(2, 3), integers(3, 2), softcap=0.0),
            Bad(ValueError, "reduction: expected 'mean' or", normal(2, 3), np.zeros(2, int), reduction="max"),
            Bad(ValueError, "ignore_index: expected a whole number", normal(2, 3), np.zeros(2, int), ignore_index=0.5),
        ],
        bench=lambda: [
            Sample(normal(4096, 1000), integers(1000, 4096)),
            Sample(normal(1024, 50304), integers(50304, 1024)),
        ],
        torch=lambda torch, *args, **kw: torch.nn.functional.cross_entropy(*args, **kw),
    ),
}
