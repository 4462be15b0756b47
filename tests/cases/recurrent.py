import numpy as np

from .case import Bad, Case, Sample, normal


def _sample(gates, batch, time, width, *, bias=True, states=0):
    """Projected inputs, a weight that keeps the size of what it multiplies, and the first of the states."""
    weight = normal(gates * width, width, scale=max(1, width) ** -0.5, seed=1)
    first = [normal(batch, width, seed=2 + k) for k in range(states)]
    return Sample(normal(batch, time, gates * width), weight, normal(gates * width, seed=5) if bias else None, *first)


def _samples(gates, states):
    yield _sample(gates, 2, 3, 2, states=states)
    yield _sample(gates, 1, 2, 3, bias=False)
    yield _sample(gates, 2, 1, 3, states=1)
    yield _sample(gates, 12, 2, 1, states=states)
    yield _sample(gates, 9, 4, 17, states=states)  # tiles that hang over every edge
    yield _sample(gates, 20, 3, 33, bias=False, states=states)
    yield _sample(gates, 2, 3, 130)
    yield _sample(gates, 1, 2, 300, states=states)
    yield _sample(gates, 33, 3, 100, states=states)
    for batch, time, width in ((0, 2, 3), (2, 0, 3), (2, 3, 0)):
        yield _sample(gates, batch, time, width, states=states)


def _refused(name, gates):
    text = f"{name}: weight: expected ({gates} H, H), got (12, 5)"
    return [
        Bad(ValueError, text, normal(2, 3, 12), normal(12, 5)),
        Bad(ValueError, f"{name}: weight: expected", normal(2, 3, 12), normal(10, 3)),
        Bad(ValueError, f"{name}: state: expected", normal(2, 3, gates), normal(gates, 1), None, normal(3, 1)),
        Bad(TypeError, f"{name}: x: expected", np.ones((2, 3, gates), int), normal(gates, 1)),
    ]


# Each step adds its rounding errors to those of the steps before.
CASES = {
    "gru": Case(
        samples=lambda: _samples(3, 1),
        bad=_refused("gru", 3),
        bench=lambda: [_sample(3, 32, 64, 256, states=1), _sample(3, 1, 64, 1024)],
        operations=lambda x, weight, *_: (2 * x.size * weight.shape[1], 4 * x.size * weight.shape[1]),
        ulps=40,
    ),
    "lstm": Case(
        samples=lambda: _samples(4, 2),
        bad=_refused("lstm", 4),
        bench=lambda: [_sample(4, 32, 64, 256, states=2), _sample(4, 1, 64, 1024)],
        operations=lambda x, weight, *_: (2 * x.size * weight.shape[1], 4 * x.size * weight.shape[1]),
        ulps=40,
    ),
}
