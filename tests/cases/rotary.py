import numpy as np

from .case import Bad, Case, Sample, normal


def _angles(t, p):
    angles = np.arange(t)[:, None] * np.float32(10000.0) ** -(np.arange(p) / max(1, p))
    return [np.asarray(f(angles), np.float32).astype(np.float64) for f in (np.cos, np.sin)]


def _samples():
    for b, t, h, d in ((1, 1, 1, 2), (2, 5, 3, 6), (1, 63, 2, 34), (2, 70, 3, 64), (1, 3, 100, 128), (0, 2, 1, 4)):
        yield Sample(normal(b, t, h, d), *_angles(t, d // 2))
    yield Sample(normal(1, 2, 3, 0), *_angles(2, 0))


CASES = {
    "rotary": Case(
        samples=_samples,
        bad=[
            Bad(
                ValueError,
                "rotary: cos: expected (T, D/2) = (2, 2) for x of shape (1, 2, 1, 4), got (2, 4)",
                normal(1, 2, 1, 4),
                *_angles(2, 4),
            ),
            Bad(ValueError, "rotary: cos: expected (T, D/2) = (2, 1.5)", normal(1, 2, 1, 3), *_angles(2, 1)),
            Bad(ValueError, "rotary: sin: expected", normal(1, 2, 1, 4), normal(2, 2), normal(3, 2)),
            Bad(TypeError, "rotary: x: expected", np.ones((1, 2, 1, 4), int), *_angles(2, 2)),
        ],
        bench=lambda: [Sample(normal(4, 1024, 12, 64), *_angles(1024, 32))],
        torch=lambda torch, x, cos, sin: _torch(torch, x, cos[:, None], sin[:, None]),
    ),
}


def _torch(torch, x, cos, sin):
    left, right = x.chunk(2, -1)
    return torch.cat([left * cos - right * sin, right * cos + left * sin], -1)
