import numpy as np

from .case import EDGES, Bad, Case, Sample, integers, normal
from .reduce import NOT_FINITE, axes, bad_dims, case

TIES = np.array([[1.0, 7.0, 7.0], [-7.0, 0.0, -7.0]]).repeat(99, 1)


def _values():
    yield from axes(empty=False)
    for dim in (None, 0, 1):
        yield Sample(TIES, dim=dim)


def _positions():
    for dim in (None, 0, 1, 2, -1):
        for keepdim in (False, True):
            yield Sample(normal(3, 4, 5), dim=dim, keepdim=keepdim)
            yield Sample(np.round(normal(3, 4, 5)), dim=dim, keepdim=keepdim)
    for dim in (None, 0, 1):
        yield Sample(TIES, dim=dim)
        yield Sample(np.tile(NOT_FINITE, (1, 2)), dim=dim)
        yield Sample(integers(9, 20, 30), dim=dim)
        yield Sample(normal(20, 30) > 1, dim=dim)
    yield Sample(normal())
    for n in EDGES:
        yield Sample(normal(3, n), dim=-1)
        yield Sample(normal(n, 3), dim=0)
    yield Sample(normal(2, 700, 1500), dim=1)
    yield Sample(normal(40_000))
    yield Sample(np.zeros(40_000))
    yield Sample(normal(0, 5), dim=1)


def _position(torch):
    return Case(
        samples=_positions,
        bad=[
            *bad_dims(dims=(2, -3, (0, 1), (), [0], 1.0, True)),
            Bad(ValueError, "at least one element to choose from", np.ones((0, 3)), 0),
            Bad(ValueError, "at least one element to choose from", np.ones((0, 3))),
            Bad(TypeError, "got float16", np.ones(3, np.float16)),
        ],
        bench=lambda: [Sample(normal(4096, 768), dim=-1), Sample(normal(4096, 768), dim=0)],
        torch=torch,
    )


NOTHING = Bad(ValueError, "x: expected at least one element", np.ones((0, 3)), 0)

CASES = {
    "max": case(
        lambda torch, x, dim=None, keepdim=False: torch.amax(x, () if dim is None else dim, keepdim), _values, NOTHING
    ),
    "min": case(
        lambda torch, x, dim=None, keepdim=False: torch.amin(x, () if dim is None else dim, keepdim), _values, NOTHING
    ),
    "argmax": _position(lambda torch, x, dim=None, keepdim=False: torch.argmax(x, dim, keepdim)),
    "argmin": _position(lambda torch, x, dim=None, keepdim=False: torch.argmin(x, dim, keepdim)),
}
