import numpy as np

from .case import EDGES, Bad, Case, Sample, integers, normal

X = np.ones((2, 3))
IDS = np.array([[0, 1, 2], [2, 1, 0]])


def _along():
    """(x, ids, dim), with ids that repeat."""
    for n in EDGES:
        yield normal(3, n), integers(n, 3, 5), 1
    yield normal(4, 3, 2), integers(4, 6, 3, 2), 0
    yield normal(4, 3, 2), integers(3, 2, 5, 1), -2
    yield normal(4), integers(4, 7), 0
    yield normal(4), integers(4, 7).astype(np.uint8), 0
    yield normal(4, 3), integers(4, 0, 3), 0
    yield normal(0, 3), integers(3, 0, 2), 1
    yield normal(2, 1000), integers(1000, 2, 1), 1
    yield integers(9, 3, 4), integers(4, 3, 2), 1
    yield integers(9, 3, 4) > 4, integers(4, 3, 2), 1
    yield normal(63, 1000), integers(1000, 63, 1000), 1


def _gathers():
    return (Sample(x, ids, dim) for x, ids, dim in _along())


def _scatters():
    for x, ids, dim in _along():
        src = normal(*ids.shape, seed=1)
        yield Sample(x, ids, src if x.dtype.kind == "f" else (src * 3).astype(x.dtype), dim)


def _sums():
    return (s for s in _scatters() if s.args[0].dtype.kind == "f")


def _takes():
    yield Sample(normal(3, 4), integers(12, 5, 2, low=-12))
    yield Sample(normal(3, 4), np.array(-1))
    yield Sample(normal(3), np.array([1, 1, 1], np.int8))
    yield Sample(normal(0), integers(1, 0))
    yield Sample(normal(1000), integers(5, 4))
    yield Sample(integers(9, 3, 4), integers(12, 5))
    yield Sample(integers(9, 3, 4) > 4, integers(12, 5))
    yield Sample(normal(1000), integers(1000, 63, 1000))
    yield Sample(normal(17), integers(17, 1000))
    yield Sample(normal(1000), integers(1000, 1400))
    yield Sample(normal(3), integers(3, 700))


def _indices():
    i, j, mask = np.array([1, -1, 1]), np.array([[0], [2]]), np.array([True, False, True, True])
    for index in (
        i,
        j,
        mask,
        (i,),
        (i, i),
        (i, j),
        np.s_[:, i],
        np.s_[..., i],
        np.s_[i, :, i],
        np.s_[i, ..., i],
        np.s_[i, ..., i, 2],
        np.s_[:, i, i],
        np.s_[:, i, None, i],
        np.s_[None, i, 1:],
        np.s_[::-1, i, ::2],
        np.s_[:, 1:, i],
        np.s_[1, :, i],
        np.s_[1, i],
        np.s_[i, -1],
        np.s_[mask, 0],
        np.s_[mask, :, i],
        np.s_[:, :, np.array([], int)],
        np.s_[np.zeros(4, bool)],
        np.s_[i, 1, i, ...],
        np.s_[:, np.array(1)],
        np.s_[i.astype(np.int8)],
    ):
        yield Sample(normal(4, 3, 5), index)
    yield Sample(normal(4, 3, 5), normal(4, 3) > 0)
    yield Sample(normal(4, 3, 5), np.s_[1, normal(3, 5) > 0])
    yield Sample(normal(4, 3), normal(4, 3) > 0)
    yield Sample(normal(0, 3), np.s_[:, i])
    yield Sample(integers(9, 4, 3), i)
    yield Sample(integers(9, 4, 3) > 4, i)
    yield Sample(normal(2000), np.array([3, 3, 7]))
    for n in EDGES:
        yield Sample(normal(5, n), integers(5, 7))
    yield Sample(normal(1000, 33), integers(1000, 2000))


def _bad_along(name, *src):
    return [
        Bad(
            ValueError, f"{name}: index: expected 0 <= id < 3, got 3 at (1, 0)", X, IDS + [[0], [1]], *src, 1, data=True
        ),
        Bad(ValueError, f"{name}: index: expected 0 <= id < 2, got -1 at (0, 0)", X, IDS - 1, *src, 0, data=True),
        Bad(ValueError, f"{name}: dim: expected an axis of a shape (2, 3), got 2", X, IDS, *src, 2),
        Bad(ValueError, f"{name}: dim: expected an axis of a shape (2, 3), got None", X, IDS, *src, None),
        Bad(
            ValueError,
            f"{name}: index: expected no longer axes than x (1, 3), but for 1, got (2, 3)",
            X[:1],
            IDS,
            *src,
            1,
        ),
        Bad(TypeError, f"{name}: index: expected integer of shape", X, X, *src, 1),
    ]


CASES = {
    "gather": Case(
        samples=_gathers,
        bad=[
            *_bad_along("gather"),
            Bad(ValueError, "gather: index: expected no longer axes than x (2, 3), but for 1, got (3,)", X, IDS[0], 1),
        ],
        bench=lambda: [
            Sample(normal(4096, 768), integers(768, 4096, 1), 1),
            Sample(normal(999, 768), integers(9, 999, 768), 1),
        ],
        torch=lambda torch, x, index, dim: x.gather(dim, index),
    ),
    "scatter": Case(
        samples=_scatters,
        bad=[
            *_bad_along("scatter", X),
            Bad(ValueError, "scatter: src: expected any of shape (2, 3), got float64 (2, 2)", X, IDS, X[:, :2], 1),
            Bad(TypeError, "scatter: src: expected float64 as x, got int64", X, IDS, IDS, 1),
        ],
        bench=lambda: [Sample(normal(999, 768), integers(768, 999, 768), normal(999, 768), 1)],
        torch=lambda torch, x, index, src, dim: x.scatter(dim, index, src),
    ),
    "scatter_add": Case(
        samples=_sums,
        bad=[
            *_bad_along("scatter_add", X),
            Bad(
                ValueError,
                "scatter_add: src: expected float32, float64 or bfloat16 of shape (2, 3)",
                X,
                IDS,
                X[:, :2],
                1,
            ),
        ],
        bench=lambda: [Sample(normal(999, 768), integers(768, 999, 768), normal(999, 768), 1)],
        torch=lambda torch, x, index, src, dim: x.scatter_add(dim, index, src),
    ),
    "take": Case(
        samples=_takes,
        bad=[
            Bad(ValueError, "take: index: expected -6 <= id < 6, got 6 at (0, 1)", X, np.array([[0, 6]]), data=True),
            Bad(ValueError, "take: index: expected -6 <= id < 6, got -7 at (0,)", X, np.array([-7]), data=True),
            Bad(TypeError, "take: index: expected integer", X, X),
        ],
        bench=lambda: [Sample(normal(4096, 768), integers(4096 * 768, 100_000))],
        torch=lambda torch, x, index: x.take(index),
    ),
    "index": Case(
        samples=_indices,
        bad=[
            Bad(
                ValueError,
                "index: indices: axis 1: expected -3 <= id < 3, got 3 at (0,)",
                X,
                np.s_[:, np.array([3])],
                data=True,
            ),
            Bad(
                ValueError,
                "index: indices: expected arrays that broadcast, got shapes (2,), (3,)",
                X,
                (np.zeros(2, int), np.zeros(3, int)),
                data=True,
            ),
            Bad(ValueError, "index: indices: expected -3 <= id < 3 at axis 1, got 3", X, (np.array([0]), 3)),
            Bad(
                ValueError,
                "index: indices: expected a mask of shape (3,) at axis 1, got (2,)",
                X,
                np.s_[:, X[:, 0] > 0],
            ),
            Bad(ValueError, "indices of 2 axes, those of x (2, 3), got 0 and 3", X, (IDS, 0, 0)),
            Bad(ValueError, "expected at most one ...", X, (IDS, ..., ...)),
            Bad(TypeError, "integers, slices, …, got list", X, [0, 1]),
            Bad(TypeError, "got bool", X, (True, IDS)),
            Bad(TypeError, "got a float64 array of shape (2, 3)", X, X),
            Bad(TypeError, "index: indices: expected at least one array; slice takes the others", X, np.s_[:, 0]),
        ],
        bench=lambda: [
            Sample(normal(50304, 768), integers(50304, 4096)),
            Sample(normal(512, 768), np.s_[:, integers(768, 96)]),
        ],
        torch=lambda torch, x, indices: x[indices],
    ),
}
