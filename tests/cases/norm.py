import numpy as np

from .case import EDGES, Bad, Case, Sample, normal


def _layer_norm():
    for c in EDGES[1:]:  # not 1 or 2: x̂ is 0 or ±1 whatever x is, and all of dx is rounding
        yield Sample(normal(3, c), normal(c, seed=1), normal(c, seed=2))
    yield Sample(normal(2, 5))
    yield Sample(normal(2, 5), normal(5, seed=1))
    yield Sample(normal(2, 5), bias=normal(5, seed=1), eps=0.1)
    yield Sample(normal(2, 3, 4), normal(4, seed=1), normal(4, seed=2))
    yield Sample(normal(7), normal(7, seed=1))
    yield Sample(normal(0, 5), normal(5, seed=1), normal(5, seed=2))
    yield Sample(normal(63, 1000), normal(1000, seed=1), normal(1000, seed=2))
    yield Sample(normal(1000, 48), normal(48, seed=1), normal(48, seed=2))
    yield Sample(normal(70, 300, offset=1e4), normal(300, seed=1), normal(300, seed=2))
    yield Sample(normal(4, 50, scale=1e4), normal(50, seed=1), normal(50, seed=2))
    yield Sample(np.full((3, 8), 5.0), normal(8, seed=1), normal(8, seed=2))


def _rms_norm():
    for c in EDGES[1:]:
        yield Sample(normal(3, c), normal(c, seed=1))
    yield Sample(normal(2, 5))
    yield Sample(normal(2, 5), eps=0.1)
    yield Sample(normal(2, 3, 4), normal(4, seed=1))
    yield Sample(normal(7), normal(7, seed=1))
    yield Sample(normal(0, 5), normal(5, seed=1))
    yield Sample(normal(63, 1000), normal(1000, seed=1))
    yield Sample(normal(1000, 48), normal(48, seed=1))
    yield Sample(normal(70, 300, offset=1e4), normal(300, seed=1))
    yield Sample(normal(4, 50, scale=1e4), normal(50, seed=1))
    yield Sample(np.zeros((40, 8)), normal(8, seed=1))  # curved too much there for differences


def _with_residual(samples):
    for sample in samples:
        x, *rest = sample.args
        residual = np.round(normal(*x.shape, seed=3) * 1024) / 1024  # float32 holds its sum with what is near 1e4
        yield Sample(x, residual, *rest, **sample.kwargs)


CASES = {
    "layer_norm": Case(
        samples=_layer_norm,
        bad=[
            Bad(
                ValueError,
                "layer_norm: weight: expected float32, float64 or bfloat16 of shape (C=3), got float64 (4,)",
                normal(2, 3),
                normal(4),
            ),
            Bad(ValueError, "layer_norm: bias: expected float32, float64 or bfloat16", normal(2, 3), bias=normal(2, 3)),
            Bad(TypeError, "layer_norm: x: expected float32, float64 or bfloat16", np.zeros((2, 3), int)),
            Bad(ValueError, "layer_norm: eps: expected a number in [0, inf], got -1", normal(2, 3), eps=-1),
        ],
        bench=lambda: [Sample(normal(4096, c), normal(c, seed=1), normal(c, seed=2)) for c in (384, 768)],
        torch=lambda torch, x, weight=None, bias=None, eps=1e-5: torch.nn.functional.layer_norm(
            x, x.shape[-1:], weight, bias, eps
        ),
    ),
    "rms_norm": Case(
        samples=_rms_norm,
        bad=[
            Bad(
                ValueError,
                "rms_norm: weight: expected float32, float64 or bfloat16 of shape (C=3), got float64 (4,)",
                normal(2, 3),
                normal(4),
            ),
            Bad(TypeError, "rms_norm: x: expected float32, float64 or bfloat16", np.zeros((2, 3), int)),
            Bad(ValueError, "rms_norm: eps: expected a number in [0, inf], got -1", normal(2, 3), eps=-1),
        ],
        bench=lambda: [Sample(normal(4096, c), normal(c, seed=1)) for c in (384, 768)],
        torch=lambda torch, x, weight=None, eps=1e-6: torch.nn.functional.rms_norm(x, x.shape[-1:], weight, eps),
    ),
    "add_layer_norm": Case(
        samples=lambda: _with_residual(_layer_norm()),
        bad=[
            Bad(
                ValueError,
                "add_layer_norm: residual: expected float32, float64 or bfloat16 of shape (2 C=3), got float64 (3,)",
                normal(2, 3),
                normal(3),
            ),
            Bad(ValueError, "add_layer_norm: eps: expected a number in [0, inf], got -1", *normal(2, 2, 3), eps=-1),
        ],
        bench=lambda: _with_residual([Sample(normal(4096, 768), normal(768, seed=1), normal(768, seed=2))]),
        torch=lambda torch, x, residual, weight, bias: (
            torch.nn.functional.layer_norm(total := x + residual, x.shape[-1:], weight, bias, 1e-5),
            total,
        ),
    ),
    "add_rms_norm": Case(
        samples=lambda: _with_residual(_rms_norm()),
        bad=[
            Bad(
                ValueError,
                "add_rms_norm: residual: expected float32, float64 or bfloat16 of shape (2 C=3), got float64 (2, 4)",
                normal(2, 3),
                normal(2, 4),
            ),
            Bad(ValueError, "add_rms_norm: eps: expected a number in [0, inf], got -1", *normal(2, 2, 3), eps=-1),
        ],
        bench=lambda: _with_residual([Sample(normal(4096, 768), normal(768, seed=1))]),
        torch=lambda torch, x, residual, weight: (
            torch.nn.functional.rms_norm(total := x + residual, x.shape[-1:], weight, 1e-6),
            total,
        ),
    ),
}
