import numpy as np

from .case import Bad, Case, Sample, normal


def _lists(*shapes):
    return [[normal(*shape, seed=k) for shape in shapes] for k in range(3)]


def _samples():
    yield Sample(*_lists((3, 5), (5, 3), (4, 4), (1, 7), (2, 3, 4)), lr=0.02)
    yield Sample(*_lists((63, 100)), 0.02, 0.9, 0.1, 0.5, False, "match_rms_adamw")
    yield Sample(*_lists((3, 4)), 0.02, ns_steps=0)
    yield Sample([normal(2, 3)], [np.zeros((2, 3))], [np.zeros((2, 3))], 0.02)
    yield Sample([], [], [], 0.1)


CASES = {
    "muon_": Case(
        samples=_samples,
        bad=[
            Bad(ValueError, "params[0]: expected a matrix, got shape (3,)", [normal(3)], [normal(3)], [normal(3)], 0.1),
            Bad(ValueError, "params[0]: expected a writable", [normal(2, 3).T], [normal(3, 2)], [normal(3, 2)], 0.1),
            Bad(ValueError, "adjust_lr_fn: expected 'original' or 'match_rms", [], [], [], 0.1, adjust_lr_fn="none"),
        ],
        bench=lambda: [Sample(*_lists((768, 768), (768, 3072)), 0.02)],
        # Of five rounds each multiplies the rounding along the smallest singular values by up to 3.4445: 485 in all,
        # of which the learning rate leaves a fiftieth, as against parameters of size 3.
        ulps=16,
    )
}
