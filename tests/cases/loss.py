from itertools import product

import numpy as np

from .case import Bad, Case, Sample, integers, normal
from .cross_entropy import REDUCTIONS, probabilities

SHAPES = ((3, 4), (0, 3), ())
LARGE = (63, 1000)


def _positive(*shape, seed=0):
    return np.asarray(np.abs(normal(*shape, seed=seed)) + 0.125)


def _pairs(**options):
    for shape, reduction in product(SHAPES, REDUCTIONS):
        yield Sample(normal(*shape, scale=2), normal(*shape, seed=1), reduction=reduction, **options)
    yield Sample(normal(*LARGE, scale=2), normal(*LARGE, seed=1), **options)


def _binary():
    for shape, reduction in product(SHAPES, REDUCTIONS):
        x, y = normal(*shape, scale=3), np.asarray(_positive(*shape, seed=1) / 8)
        yield Sample(x, y, reduction=reduction)
    x, y = normal(3, 4, scale=3), integers(2, 3, 4).astype(float)
    for weight, positive in product((None, _positive(3, 1)), (None, _positive(4))):
        yield Sample(x, y, weight, positive)
    rows = _positive(63, 1)
    yield Sample(normal(*LARGE, scale=9), integers(2, *LARGE).astype(float), rows, _positive(1000))
    yield Sample(np.array([1e4, -1e4, 1e4, -1e4]), np.array([0.0, 1.0, 1.0, 0.0]), reduction="none")
    yield Sample(np.array([20.0, -20.0]), np.array([1.0, 0.0]), None, np.array(3.0))  # losses of 1e-9
    yield Sample(np.array([1e4, -1e4]), np.array([0.0, 1.0]), None, np.array(3.0), "none")


def _gaussian():
    for shape, reduction, full in product(SHAPES, REDUCTIONS, (False, True)):
        var = _positive(*shape, seed=2)
        yield Sample(normal(*shape), normal(*shape, seed=1), var, full, reduction=reduction)
    for rows in ((3, 1), (1, 3), (3,), ()):  # (3,) are variances of rows, as in PyTorch, also of a square
        yield Sample(normal(3, 3), normal(3, 3, seed=1), _positive(*rows))
    yield Sample(normal(*LARGE), normal(*LARGE, seed=1), _positive(1, 1000))
    yield Sample(normal(1, 301), normal(1, 301, seed=1), _positive(1, 301), eps=0.3)


def _divergence():
    for (rows, columns), reduction in product(((3, 4), (0, 3), (9, 65)), (*REDUCTIONS, "batchmean")):
        x, q = np.log(probabilities(rows, columns) + 0.1), probabilities(rows, columns)[::-1].copy()
        yield Sample(x, q, reduction)
        yield Sample(x, np.log(q + 0.01), reduction, log_target=True)
    yield Sample(np.array([-np.inf, -0.5]), np.array([0.0, 1.0]))
    yield Sample(np.array([-1.0, -0.5]), np.array([-np.inf, 0.0]), log_target=True)


def _bad(name, *more):
    return [
        Bad(ValueError, f"{name}: target", normal(2, 3), normal(3), *more),
        Bad(ValueError, f"{name}: reduction: expected 'mean' or", normal(3), normal(3), *more, reduction="max"),
    ]


def _torch(name):
    return lambda torch, *args, **kw: getattr(torch.nn.functional, name)(*args, **kw)


def _bench(*more):
    return lambda: [Sample(normal(4096, 1000), probabilities(4096, 1000), *more)]


CASES = {
    "binary_cross_entropy_with_logits": Case(
        samples=_binary,
        bad=[
            *_bad("binary_cross_entropy_with_logits"),
            Bad(
                ValueError,
                "weight: expected a shape that broadcasts to (3,), got (2, 3)",
                normal(3),
                normal(3),
                normal(2, 3),
            ),
            Bad(ValueError, "pos_weight: expected a shape that br", normal(2, 3), normal(2, 3), None, normal(2, 1, 3)),
        ],
        bench=_bench(),
        torch=_torch("binary_cross_entropy_with_logits"),
    ),
    "mse_loss": Case(samples=_pairs, bad=_bad("mse_loss"), bench=_bench(), torch=_torch("mse_loss")),
    "huber_loss": Case(
        samples=lambda: [*_pairs(), *_pairs(delta=0.7)],
        bad=[
            *_bad("huber_loss"),
            Bad(ValueError, "huber_loss: delta: expected a number in (0, inf), got 0", normal(3), normal(3), delta=0),
        ],
        bench=_bench(),
        torch=_torch("huber_loss"),
    ),
    "gaussian_nll_loss": Case(
        samples=_gaussian,
        bad=[
            *_bad("gaussian_nll_loss", normal(3)),
            Bad(ValueError, "var: expected the shape (3,), with", normal(3), normal(3), normal(2)),
            Bad(ValueError, "without the last one, got (3,)", normal(2, 3), normal(2, 3), _positive(3)),
            Bad(
                ValueError,
                "var: expected variances >= 0, got -1 at (1,)",
                normal(2),
                normal(2),
                np.array([0.0, -1]),
                data=True,
            ),
        ],
        bench=_bench(np.ones((1, 1000))),
        torch=_torch("gaussian_nll_loss"),
    ),
    "kl_div": Case(samples=_divergence, bad=_bad("kl_div"), bench=_bench(), torch=_torch("kl_div")),
}
