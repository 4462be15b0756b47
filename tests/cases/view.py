import numpy as np

from .case import Bad, Case, Sample, integers, normal

X = np.ones((2, 3))


def _slices():
    for index in (0, -1, np.s_[1:3], np.s_[:, 1:], np.s_[..., 0], np.s_[:, None, 2], np.s_[1:1], np.s_[...]):
        yield Sample(normal(4, 3, 5), index)
    yield Sample(normal(4, 3, 5), np.s_[1, 2, 3])
    yield Sample(normal(4, 3, 5), np.s_[::2, ::-1])
    yield Sample(normal(5), 2)
    yield Sample(normal(0, 3), np.s_[:, 1])
    yield Sample(normal(63, 1000), np.s_[3:60, 17:1000])
    yield Sample(normal(2, 3, 2, 3, 2, 3), np.s_[:1, :2, :1, :2, :1, :2])


CASES = {
    "reshape": Case(
        samples=lambda: [
            Sample(normal(2, 6), (3, 4)),
            Sample(normal(2, 6), (2, -1, 3)),
            Sample(normal(1), ()),
            Sample(normal(0, 3), (3, 0)),
        ],
        bad=[
            Bad(ValueError, "reshape: shape: expected sizes whose product is 6, one may be -1", X, (4, 2)),
            Bad(ValueError, "got (-1, -1)", X, (-1, -1)),
            Bad(ValueError, "got 'ab'", X, "ab"),
            Bad(TypeError, "reshape: x: expected a NumPy array, got list", [1.0], (1,)),
        ],
        torch=lambda torch, x, shape: x.reshape(shape),
    ),
    "permute": Case(
        samples=lambda: [
            Sample(normal(2, 3, 4), (2, 0, 1)),
            Sample(normal(2, 3, 4), (0, -1, 1)),
            Sample(normal(), ()),
        ],
        bad=[
            Bad(ValueError, "permute: dims: expected each axis of a shape (2, 3) once, got (0, 0)", X, (0, 0)),
            Bad(ValueError, "got (0,)", X, (0,)),
            Bad(ValueError, "got (0, 2)", X, (0, 2)),
            Bad(ValueError, "got None", X, None),
        ],
        torch=lambda torch, x, dims: x.permute(dims),
    ),
    "expand": Case(
        samples=lambda: [
            Sample(normal(2, 1), (2, 5)),
            Sample(normal(3, 1), (4, -1, 2)),
            Sample(normal(3), (3,)),
            Sample(normal(), (2, 3)),
            Sample(normal(1, 3), (0, 3)),
            Sample(normal(1, 700), (500, 700)),
        ],
        bad=[
            Bad(ValueError, "expand: shape: expected one to which (2, 3) broadcasts", X, (2, 4)),
            Bad(ValueError, "got (-1, 2, 3)", X, (-1, 2, 3)),
            Bad(ValueError, "got 3", X, 3),
            Bad(ValueError, "got (3,)", X, (3,)),
        ],
        torch=lambda torch, x, shape: x.expand(shape),
    ),
    "slice": Case(
        samples=_slices,
        bad=[
            Bad(ValueError, "slice: index: expected one that fits a shape (2, 3), got (2,)", X, 2),
            Bad(ValueError, "too many indices", X, (0, 0, 0)),
            Bad(TypeError, "slice: index: expected integers, slices, None or ..., got list", X, [0, 1]),
            Bad(TypeError, "got bool", X, True),
            Bad(TypeError, "got ndarray", X, (0, np.array([1]))),
            Bad(ValueError, "got (Ellipsis, Ellipsis)", X, (..., ...)),
        ],
        torch=lambda torch, x, index: x[index],
    ),
    "unbind": Case(
        samples=lambda: [
            Sample(normal(3, 4)),
            Sample(normal(2, 3, 4), dim=1),
            Sample(normal(2, 3, 4), dim=-1),
            Sample(normal(5)),
            Sample(normal(16, 60, 3, 20), dim=2),
        ],
        bad=[
            Bad(ValueError, "unbind: dim: expected an axis of a shape (2, 3), got 2", X, 2),
            Bad(ValueError, "unbind: dim: expected an axis of a shape (), got 0", np.ones(())),
        ],
        torch=lambda torch, x, dim=0: x.unbind(dim),
    ),
    "split": Case(
        samples=lambda: [
            Sample(normal(5, 3), 2),
            Sample(normal(5, 3), [1, 0, 4]),
            Sample(normal(2, 7), (3, 4), dim=-1),
            Sample(normal(0, 3), 2),
            Sample(normal(20, 1000), 300, dim=1),
            Sample(np.arange(5), 3),
        ],
        bad=[
            Bad(ValueError, "split: sizes: expected a positive size, or sizes whose sum is 2, that of axis 0", X, 0),
            Bad(ValueError, "got [1, 2]", X, [1, 2]),
            Bad(ValueError, "got (-1, 3)", X, (-1, 3)),
            Bad(ValueError, "got 1.0", X, 1.0),
            Bad(ValueError, "split: dim: expected an axis of a shape (2, 3), got 2", X, 1, 2),
        ],
        torch=lambda torch, x, sizes, dim=0: x.split(sizes, dim),
    ),
    "flip": Case(
        samples=lambda: [
            Sample(normal(3, 4), 0),
            Sample(normal(3, 4), (0, -1)),
            Sample(normal(3, 4), ()),
            Sample(integers(9, 3, 4), 1),
        ],
        bad=[
            Bad(ValueError, "flip: dims: expected one or several axes of a shape (2, 3), got 2", X, 2),
            Bad(ValueError, "got (0, -2)", X, (0, -2)),
            Bad(ValueError, "got None", X, None),
            Bad(ValueError, "got (0.0,)", X, (0.0,)),
        ],
        torch=lambda torch, x, dims: x.flip(dims),
    ),
}
