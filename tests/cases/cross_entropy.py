import numpy as np

from .case import Bad, Case, Sample, integers, normal, score_rows

REDUCTIONS = ("mean", "sum", "none")


def _samples():
    for x in score_rows():
        yield Sample(x, integers(x.shape[1], len(x)))
    for reduction in REDUCTIONS:
        yield Sample(normal(5, 6), np.array([0, -100, 5, -100, 2]), reduction=reduction)
        yield Sample(normal(3, 4), np.full(3, -100), reduction=reduction)
        yield Sample(normal(0, 5), integers(5, 0), reduction=reduction)
    yield Sample(normal(4, 5), np.array([0, 4, 2, 2], np.uint8), 2, "none")
    yield Sample(normal(2, 5), np.array([-1, 3], np.int32), ignore_index=-1)
    yield Sample(normal(1, 1), np.array([0]))
    yield Sample(normal(1, 10007, scale=4), np.array([5]))
    yield Sample(np.array([[0.0, -np.inf, 1.0], [-np.inf, 3.0, 2.0]]), np.array([2, 1]))
    yield Sample(np.array([[0.0, 1e4, -1e4]]), np.array([2]))


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
            Bad(ValueError, "(or ignore_index, 7), got -100 at (1,)", normal(2, 3), np.array([7, -100]), 7, data=True),
            Bad(ValueError, "cross_entropy: targets: expected integer of shape (N=2)", normal(2, 3), np.zeros(3, int)),
            Bad(TypeError, "cross_entropy: targets: expected integer of shape (N=2)", normal(2, 3), np.zeros(2)),
            Bad(ValueError, "reduction: expected 'mean' or", normal(2, 3), np.zeros(2, int), reduction="max"),
            Bad(ValueError, "ignore_index: expected a whole number", normal(2, 3), np.zeros(2, int), 0.5),
        ],
        bench=lambda: [
            Sample(normal(4096, 1000), integers(1000, 4096)),
            Sample(normal(1024, 50304), integers(50304, 1024)),
        ],
        torch=lambda torch, *args, **kw: torch.nn.functional.cross_entropy(*args, **kw),
    ),
}
