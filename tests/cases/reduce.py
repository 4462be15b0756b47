import numpy as np

from .case import EDGES, Bad, Case, Sample, normal

DIMS = (None, 0, 1, 2, -1, (0, 1), (1, 2), (0, 2), (2, 0, 1))
NOT_FINITE = np.tile([[1.0, np.nan, 3.0], [np.inf, 0.0, 1.0], [-np.inf] * 3], (1, 120))


def _samples(empty=True):
    for dim in DIMS:
        for keepdim in (False, True):
            yield Sample(normal(3, 4, 5), dim=dim, keepdim=keepdim)
    yield Sample(normal())
    for n in EDGES:
        yield Sample(normal(3, n), dim=-1)
        yield Sample(normal(n, 3), dim=0)
    yield Sample(normal(2, 700, 1500), dim=1)
    yield Sample(normal(40_000))
    yield Sample(normal(70_000, 2, offset=3), dim=0)
    yield Sample(normal(0, 5), dim=1)
    if empty:
        yield Sample(normal(0, 5), dim=0)
        yield Sample(normal(4, 0))
    for dim in (0, 1):
        yield Sample(NOT_FINITE, dim=dim)


def _ties():
    yield from _samples(empty=False)
    yield Sample(np.array([[1.0, 7.0, 7.0], [7.0, 0.0, 7.0]]).repeat(99, 1), dim=1)


def _case(torch, samples, *bad):
    return Case(
        samples=samples,
        bad=[
            *(
                Bad(
                    ValueError,
                    "dim: expected None, or one or several axes of a shape (2, 3)",
                    np.ones((2, 3)),
                    d,
                )
                for d in (2, -3, (0, 0), (0, -2), (), [0], 1.0, True)
            ),
            Bad(TypeError, "x: expected float32 or float64", np.ones(3, int)),
            *bad,
        ],
        bench=lambda: [
            Sample(normal(4096, 768), dim=-1),
            Sample(normal(4096, 768), dim=0),
            Sample(normal(4_000_000)),
        ],
        torch=torch,
    )


CASES = {
    "sum": _case(lambda torch, x, dim=None, keepdim=False: torch.sum(x, dim, keepdim), _samples),
    "mean": _case(lambda torch, x, dim=None, keepdim=False: torch.mean(x, dim, keepdim), _samples),
    "max": _case(
        lambda torch, x, dim=None, keepdim=False: torch.amax(x, () if dim is None else dim, keepdim),
        _ties,
        Bad(ValueError, "max: x: expected at least one element", np.ones((0, 3)), 0),
    ),
}
