import numpy as np

from .case import Bad, Sample, normal, score_rows
from .reduce import axes, case


def _moments():
    for sample in axes(long=(2000, 2)):
        yield Sample(*sample.args, **sample.kwargs, correction=0.5)
    for dim in (None, 0, (0, 2)):
        yield Sample(normal(3, 4, 5), dim=dim)
    for shape, dim in (((5, 300), 1), ((200, 5), 0)):
        yield Sample(normal(*shape, offset=1e4), dim=dim)
    for shape in ((40_000,), (2000, 2)):  # the means of blocks are rounded: a relative error of eps |mean / std|
        yield Sample(normal(*shape, offset=1e4, scale=100), dim=0)
    yield Sample(normal(40_000) + np.arange(40_000) // 16384, dim=0)
    for correction in (0, 1, 2):
        yield Sample(normal(400, 1), dim=1, correction=correction)
    yield Sample(normal(2, 400), dim=0, correction=2)
    yield Sample(np.full((3, 200), 2.5), dim=1)


def _scores():
    yield from axes()
    for x in score_rows():
        yield Sample(x, dim=-1)
        yield Sample(x.T, dim=0)
    strange = np.array([[-np.inf] * 2, [1.0, -np.inf], [np.inf, 1.0], [np.nan, 1.0], [np.inf] * 2])
    yield Sample(strange.repeat(50, 1), dim=1)
    for column in (np.full(600, -np.inf), np.full(40_000, -np.inf)):
        column[-100:] = -1e4  # a whole block of nothing beside one of little
        yield Sample(column, dim=0)
        yield Sample(np.stack([column, normal(len(column))], 1), dim=0)


def _torch_logsumexp(torch, x, dim=None, keepdim=False):
    return torch.logsumexp(x, tuple(range(x.ndim)) if dim is None else dim, keepdim)


NO_NUMBER = Bad(ValueError, "correction: expected a number in (-inf, inf), got nan", np.ones(3), correction=np.nan)

CASES = {
    "var": case(
        lambda torch, x, dim=None, correction=1, keepdim=False: torch.var(
            x, dim, correction=correction, keepdim=keepdim
        ),
        _moments,
        NO_NUMBER,
    ),
    "std": case(
        lambda torch, x, dim=None, correction=1, keepdim=False: torch.std(
            x, dim, correction=correction, keepdim=keepdim
        ),
        _moments,
        NO_NUMBER,
    ),
    "logsumexp": case(_torch_logsumexp, _scores),
}
