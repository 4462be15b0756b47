import numpy as np

from .case import EDGES, Bad, Case, Sample, normal

DIMS = (None, 0, 1, 2, -1, (0, 1), (1, 2), (0, 2), (2, 0, 1))
ROWS = np.ones((2, 3))
NOT_FINITE = np.tile([[1.0, np.nan, 3.0], [np.inf, 0.0, 1.0], [-np.inf] * 3], (1, 120))


def axes(empty=True, long=(70_000, 2)):
    """Samples with every choice of axes, and sizes that end everywhere in vectors and blocks.

    `long` has many blocks of columns; NumPy adds its rows one by one, with an error that grows with their number.
    """
    for dim in DIMS:
        for keepdim in (False, True):
            yield Sample(normal(3, 4, 5), dim=dim, keepdim=keepdim)
    yield Sample(normal())
    for n in EDGES:
        yield Sample(normal(3, n), dim=-1)
        yield Sample(normal(n, 3), dim=0)
    yield Sample(normal(2, 700, 1500), dim=1)
    yield Sample(normal(40_000))
    yield Sample(normal(*long, offset=3), dim=0)
    yield Sample(normal(0, 5), dim=1)
    if empty:
        yield Sample(normal(0, 5), dim=0)
        yield Sample(normal(4, 0))
    for dim in (0, 1):
        yield Sample(NOT_FINITE, dim=dim)


def case(torch, samples, *bad):
    """The case of a reduction of floats over any axes."""
    return Case(
        samples=samples,
        bad=[*bad_dims(), Bad(TypeError, "x: expected float32, float64 or bfloat16", np.ones(3, int)), *bad],
        bench=lambda: [
            Sample(normal(4096, 768), dim=-1),
            Sample(normal(4096, 768), dim=0),
            Sample(normal(4_000_000)),
        ],
        torch=torch,
    )


def bad_dims(x=ROWS, dims=(2, -3, (0, 0), (0, -2), (), [0], 1.0, True)):
    """Axes that an array of shape (2, 3) does not have."""
    return [Bad(ValueError, " of a shape (2, 3), got", x, d) for d in dims]


def _products():
    for sample in axes():
        x = sample.args[0]
        if x.size > 2000:  # powers of two: exact, and of moderate product
            x = np.ldexp(np.sign(x), np.round((x - x.mean()) / 4).astype(int))
        yield Sample(x, **sample.kwargs)
    zeros = np.array([[2.0, 3.0, 0.5], [0.0, 3.0, 0.5], [0.0, 3.0, 0.0], [0.0] * 3])
    for dim in (None, 0, 1):
        yield Sample(zeros, dim=dim)
    yield Sample(zeros[:, :1].repeat(2, 1), dim=0)
    yield Sample(np.full((2, 60), 0.1), dim=1)


def _booleans():
    for dim in DIMS:
        yield Sample(normal(3, 4, 5) > 1.5, dim=dim)
        yield Sample(normal(3, 4, 5) < 1.5, dim=dim, keepdim=True)
    yield Sample(normal() > 0)
    yield Sample(np.ones((0, 5), bool), dim=0)
    yield Sample(np.ones((0, 5), bool))
    yield Sample(normal(63, 1000) > 3, dim=1)


def _of_booleans(torch):
    return Case(
        samples=_booleans,
        bad=[*bad_dims(ROWS > 0), Bad(TypeError, "x: expected boolean", normal(3))],
        bench=lambda: [Sample(normal(4096, 768) > 4, dim=-1), Sample(normal(4096, 768) > 4, dim=0)],
        torch=torch,
    )


def _torch_prod(torch, x, dim=None, keepdim=False):
    return torch.prod(x) if dim is None else torch.prod(x, dim, keepdim)


CASES = {
    "sum": case(lambda torch, x, dim=None, keepdim=False: torch.sum(x, dim, keepdim), axes),
    "mean": case(lambda torch, x, dim=None, keepdim=False: torch.mean(x, dim, keepdim), axes),
    "prod": case(_torch_prod, _products),
    "any": _of_booleans(lambda torch, x, dim=None, keepdim=False: torch.any(x, dim, keepdim)),
    "all": _of_booleans(lambda torch, x, dim=None, keepdim=False: torch.all(x, dim, keepdim)),
}
