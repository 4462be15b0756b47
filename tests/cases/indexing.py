import numpy as np

from .case import EDGES, Bad, Case, Sample, integers, normal

X = np.ones((2, 3))
NANS = np.where(normal(4, 5) > 0, np.nan, normal(4, 5))


def _cats():
    for n in EDGES:
        yield Sample([normal(2, n), normal(2, 3)], dim=-1)
    yield Sample([normal(2, 3), normal(0, 3), normal(1, 3, seed=1)])
    yield Sample([normal(2, 3)], dim=1)
    yield Sample([integers(9, 2, 3), np.ones((1, 3), np.int32)])
    yield Sample([normal(2, 3), np.ones((2, 1), bool)], dim=1)
    yield Sample([normal(40, 3, 500), normal(40, 1, 500)], 1)


def _rolls():
    for n in EDGES:
        yield Sample(normal(2, n), 1, -1)
    yield Sample(normal(2, 3), 4)
    yield Sample(normal(2, 3, 4), (1, -1), (0, 2))
    yield Sample(normal(2, 3), (1, 1), (1, 1))
    yield Sample(normal(2, 3), (1,), 1)
    yield Sample(normal(2, 3), 1, (1,))
    yield Sample(normal(0, 3), 1, 0)
    yield Sample(normal(3), (), ())
    yield Sample(normal(), (), ())
    yield Sample(integers(9, 4, 3), 1, 0)
    yield Sample(integers(9, 7) > 4, -2)
    yield Sample(normal(63, 1000), (5, 70), (0, 1))


def _triangles():
    for diagonal in (0, 1, -1, 9, -9):
        yield Sample(normal(3, 4), diagonal)
    for n in EDGES:
        yield Sample(normal(n, 5))
    yield Sample(normal(2, 3, 4, 4))
    yield Sample(normal(0, 3))
    yield Sample(normal(2, 0))
    yield Sample(NANS)
    yield Sample(integers(9, 3, 3))
    yield Sample(np.ones((3, 3), bool), 1)
    yield Sample(normal(200, 300), 50)


def _fills():
    for n in EDGES:
        yield Sample(normal(3, n), integers(2, n) > 0, -1e4)
    yield Sample(normal(2, 3, 4), integers(2, 3, 4) > 0, -np.inf)
    yield Sample(normal(2, 3, 4), integers(2, 2, 1, 1) > 0, 1)
    yield Sample(normal(3, 1), integers(2, 2, 1, 4) > 0, np.nan)
    yield Sample(normal(3), np.array(True), 2.0)
    yield Sample(normal(), np.array(False), 2.0)
    yield Sample(normal(0, 3), np.ones(3, bool), 2.0)
    yield Sample(NANS, integers(2, 4, 5) > 0, 0.0)
    yield Sample(integers(9, 3, 3), integers(2, 3) > 0, -1)
    yield Sample(integers(2, 3, 3) > 0, integers(2, 3) > 0, True)
    yield Sample(normal(63, 1000), integers(2, 63, 1000) > 0, 0.0)
    yield Sample(normal(2, 3, 33, 700), integers(2, 33, 700) > 0, 0.0)


def _diagonals(name):
    return [
        Bad(ValueError, f"{name}: x: expected any of shape (S... M N), got float64 (3,)", np.ones(3)),
        Bad(ValueError, f"{name}: diagonal: expected a whole number in [-inf, inf], got 0.5", X, 0.5),
    ]


CASES = {
    "cat": Case(
        samples=_cats,
        bad=[
            Bad(ValueError, "cat: xs: expected at least one array, got none", []),
            Bad(ValueError, "cat: dim: expected an axis of a shape (2, 3), got 2", [X], 2),
            Bad(ValueError, "cat: xs[1]: expected the shape (2, 3), but for axis 0, got (2, 2)", [X, X[:, :2]]),
            Bad(ValueError, "cat: xs[1]: expected the shape (2, 3), but for axis 0, got (3,)", [X, X[0]]),
            Bad(TypeError, "cat: xs: expected a list of arrays, got ndarray", X),
            Bad(TypeError, "cat: xs[0]: expected any, got complex128", [np.ones(2, complex)]),
        ],
        bench=lambda: [Sample([normal(4096, 768), normal(4096, 768)], dim=1)],
        torch=lambda torch, xs, dim=0: torch.cat(xs, dim),
    ),
    "stack": Case(
        samples=lambda: [
            Sample([normal(2, 3), normal(2, 3, seed=1)]),
            Sample([normal(2, 3), normal(2, 3, seed=1)], dim=1),
            Sample([normal(2, 3), normal(2, 3, seed=1)], dim=-1),
            Sample([normal()]),
            Sample([normal(0, 3), normal(0, 3)]),
            Sample([integers(9, 3), np.ones(3, bool)]),
            Sample([normal(63, 1000), normal(63, 1000)], dim=1),
        ],
        bad=[
            Bad(ValueError, "stack: xs: expected at least one array, got none", []),
            Bad(ValueError, "stack: dim: expected an axis of a shape (1, 2, 3), got 3", [X], 3),
            Bad(ValueError, "stack: xs[1]: expected the shape (2, 3), got (3,)", [X, X[0]]),
        ],
        bench=lambda: [Sample([normal(4096, 768), normal(4096, 768)], dim=1)],
        torch=lambda torch, xs, dim=0: torch.stack(xs, dim),
    ),
    "pad": Case(
        samples=lambda: [
            Sample(normal(2, 3), (1, 2)),
            Sample(normal(2, 3), (1, 0, 0, 2), -np.inf),
            Sample(normal(2, 3), ()),
            Sample(normal(), ()),
            Sample(normal(0, 3), (1, 1, 2, 0), 1.0),
            Sample(integers(9, 3), (0, 2), -100),
            Sample(integers(9, 3) > 4, (0, 2), True),
            Sample(normal(40, 3, 500), (3, 4, 0, 0, 1, 0), np.nan),
        ],
        bad=[
            Bad(ValueError, "pad: pad: expected (before, after) of the last axis", X, (1,)),
            Bad(ValueError, "at most 4 numbers from 0, got (-1, 0)", X, (-1, 0)),
            Bad(ValueError, "got (1, 1, 1, 1, 1, 1)", X, (1,) * 6),
            Bad(ValueError, "got 1", X, 1),
            Bad(ValueError, "pad: value: expected one that int64 holds, got 0.5", np.ones(2, int), (1, 1), 0.5),
            Bad(TypeError, "pad: value: expected a number, got str", X, (1, 1), "0"),
        ],
        bench=lambda: [Sample(normal(4096, 768), (16, 16))],
        torch=lambda torch, x, pad, value=0.0: torch.nn.functional.pad(x, pad, value=value),
    ),
    "roll": Case(
        samples=_rolls,
        bad=[
            Bad(ValueError, "roll: dims: expected None, or one or several axes of a shape (2, 3), got 2", X, 1, 2),
            Bad(ValueError, "roll: shifts: expected an integer for each of dims (0, 1), got 1", X, 1, (0, 1)),
            Bad(ValueError, "roll: shifts: expected an integer for each of dims 0, got 0.5", X, 0.5, 0),
            Bad(ValueError, "roll: shifts: expected an integer where dims is None, got (1, 2)", X, (1, 2)),
        ],
        bench=lambda: [Sample(normal(4096, 768), 1, 0)],
        torch=lambda torch, x, shifts, dims=None: x.roll(shifts, dims),
    ),
    "tril": Case(
        samples=_triangles,
        bad=_diagonals("tril"),
        bench=lambda: [Sample(normal(48, 256, 256))],
        torch=lambda torch, x, diagonal=0: x.tril(diagonal),
    ),
    "triu": Case(
        samples=_triangles,
        bad=_diagonals("triu"),
        bench=lambda: [Sample(normal(48, 256, 256))],
        torch=lambda torch, x, diagonal=0: x.triu(diagonal),
    ),
    "masked_fill": Case(
        samples=_fills,
        bad=[
            Bad(TypeError, "masked_fill: mask: expected boolean of shape", X, np.ones(3), 0.0),
            Bad(ValueError, "masked_fill: mask: expected boolean of shape", X, np.ones(4, bool), 0.0),
            Bad(ValueError, "value: expected one that int64 holds, got nan", np.ones(3, int), X[0] > 0, np.nan),
            Bad(TypeError, "masked_fill: value: expected a number, got NoneType", X, X > 0, None),
        ],
        bench=lambda: [Sample(normal(48, 256, 256), integers(2, 256, 256) > 0, -np.inf)],
        torch=lambda torch, x, mask, value: x.masked_fill(mask, value),
    ),
}
