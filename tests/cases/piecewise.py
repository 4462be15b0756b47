import numpy as np

from .case import Bad, Case, Sample, normal
from .pointwise import binary, off_the_kink, unary

EXTREMES = (0.0, -0.0, 0.5, 1.5, -0.5, -2.5, np.inf, -np.inf, np.nan)


def _off_whole_numbers(x):
    """x, moved to where no multiple of a half is near."""
    return np.asarray(np.floor(2 * x) / 2 + 0.25)


def _quarters(x):
    return np.asarray(np.round(4 * x) / 4)


def _larger_or_smaller(torch):
    case = binary(torch)
    samples = case.samples

    def apart():
        for sample in samples():
            x, y = sample.args
            yield Sample(_quarters(x), np.asarray(_quarters(y) + 0.125))  # no ties, at which differences differ
        yield Sample(np.tile(EXTREMES, 35)[:, None], np.array(EXTREMES))

    case.samples = apart
    return case


def _clips():
    for n in (1, 17, 64, 65):
        yield Sample(_off_whole_numbers(normal(n, 3)), -1, 1)
    yield Sample(_off_whole_numbers(normal(3, 4)), min=0.5)
    yield Sample(_off_whole_numbers(normal(3, 4)), max=-0.5)
    yield Sample(_off_whole_numbers(normal(3, 4)), 1.0, -1.0)
    yield Sample(np.array(0.25), 0, 1)
    yield Sample(np.ones((0, 3)), 0, 1)
    yield Sample(normal(3, 40_000), -np.inf, 0.5)
    yield Sample(np.tile((-1.0, 1.0, *EXTREMES), 40), -1, 1)


CASES = {
    "abs": unary(lambda torch, x: torch.abs(x), off_the_kink, extremes=EXTREMES),
    "sign": unary(lambda torch, x: torch.sign(x), off_the_kink, extremes=EXTREMES),
    "maximum": _larger_or_smaller(lambda torch, x, y: torch.maximum(x, y)),
    "minimum": _larger_or_smaller(lambda torch, x, y: torch.minimum(x, y)),
    "clip": Case(
        samples=_clips,
        bad=[
            Bad(ValueError, "clip: expected min, max or both, got neither", np.ones(3)),
            Bad(ValueError, "clip: min: expected a number in", np.ones(3), "0"),
            Bad(ValueError, "clip: max: expected a number in", np.ones(3), 0, np.nan),
            Bad(TypeError, "x: expected float32, float64 or bfloat16", np.ones(3, int), 0),
        ],
        bench=lambda: [Sample(normal(4096, 768), -1, 1)],
        torch=lambda torch, x, low, high: torch.clip(x, low, high),
    ),
    "floor": unary(lambda torch, x: torch.floor(x), _off_whole_numbers, extremes=EXTREMES),
    "ceil": unary(lambda torch, x: torch.ceil(x), _off_whole_numbers, extremes=EXTREMES),
    "round": unary(lambda torch, x: torch.round(x), _off_whole_numbers, extremes=EXTREMES),
    "trunc": unary(lambda torch, x: torch.trunc(x), _off_whole_numbers, extremes=EXTREMES),
}
