import numpy as np

from .case import EDGES, Bad, Case, Sample, normal
from .pointwise import off_the_kink, unary

INF, NAN = np.inf, np.nan
FAR = (-1e4, -50.0, 0.0, 50.0, 1e4, INF, NAN)


def _with(case, parameters, refused):
    """A unary case, with further parameters and one that is refused."""
    plain = case.samples

    def samples():
        yield from plain()
        for kwargs in parameters:
            yield Sample(off_the_kink(normal(3, 7)), **kwargs)
            yield Sample(np.tile((*FAR, -INF), 301), **kwargs)

    name, value = refused
    case.samples = samples
    case.bad.append(Bad(ValueError, f"{name}: expected", np.ones(3), **{name: value}))
    return case


def _gated():
    for n in EDGES:
        yield Sample(normal(n), normal(n, seed=1))
    for shape in ((), (0, 5), (2, 3, 4), (3, 4000)):
        yield Sample(normal(*shape), normal(*shape, seed=1))
    yield Sample(np.tile(FAR, 301), normal(7 * 301))


def _biased():
    for approximate in ("none", "tanh"):
        yield Sample(normal(2, 3), normal(3, seed=1), approximate)
        yield Sample(normal(70, 65, scale=3), normal(65, seed=1), approximate)
    for n in EDGES:
        yield Sample(normal(3, n), normal(n, seed=1))
    for shape in ((5,), (0, 5), (3, 0), (2, 3, 4), (1000, 63)):
        yield Sample(normal(*shape), normal(shape[-1], seed=1))
    yield Sample(np.tile(FAR, (3, 100)), np.zeros(700))


def _gelu(torch, x, approximate="none"):
    return torch.nn.functional.gelu(x, approximate=approximate)


CASES = {
    "relu": unary(lambda torch, x: torch.relu(x), off_the_kink, extremes=(0.0, -1.0, -INF, INF, NAN)),
    "leaky_relu": _with(
        unary(lambda torch, x: torch.nn.functional.leaky_relu(x), off_the_kink, extremes=(*FAR, -INF)),
        ({"negative_slope": 0.25}, {"negative_slope": -1.0}),
        ("negative_slope", "a"),
    ),
    "elu": _with(
        unary(lambda torch, x: torch.nn.functional.elu(x), off_the_kink, extremes=(*FAR, -INF)),
        ({"alpha": 0.5}, {"alpha": 2.0}),
        ("alpha", "a"),
    ),
    "softplus": _with(
        unary(lambda torch, x: torch.nn.functional.softplus(x), extremes=(*FAR, -INF, 19.0, 21.0)),
        ({"beta": 0.5}, {"beta": 3.0, "threshold": 2.0}),
        ("beta", 0.0),
    ),
    "silu": unary(lambda torch, x: torch.nn.functional.silu(x), extremes=FAR),
    "swiglu": Case(
        samples=_gated,
        bad=[
            Bad(
                ValueError,
                "up: expected float32, float64 or bfloat16 of shape (2, 3), got float64 (3,)",
                normal(2, 3),
                normal(3),
            ),
            Bad(TypeError, "gate: expected float32, float64 or bfloat16", np.ones(3, int), normal(3)),
        ],
        bench=lambda: [Sample(normal(4096, 768), normal(4096, 768)), Sample(normal(8, 8), normal(8, 8))],
        torch=lambda torch, gate, up: torch.nn.functional.silu(gate) * up,
    ),
    "gelu": _with(unary(_gelu, extremes=FAR), ({"approximate": "tanh"},), ("approximate", "erf")),
    "bias_gelu": Case(
        samples=_biased,
        bad=[
            Bad(
                ValueError,
                "bias: expected float32, float64 or bfloat16 of shape (C=3), got float64 (2,)",
                normal(2, 3),
                normal(2),
            ),
            Bad(ValueError, "approximate: expected 'none' or 'tanh', got 'erf'", normal(2, 3), normal(3), "erf"),
        ],
        bench=lambda: [Sample(normal(4096, 3072), normal(3072)), Sample(normal(8, 8), normal(8))],
        torch=lambda torch, x, bias: torch.nn.functional.gelu(x + bias),
    ),
}
