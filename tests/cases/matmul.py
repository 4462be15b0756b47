import numpy as np

from .case import EDGES, Bad, Case, Sample, normal


def _products():
    for m, k, n in ((1, 1, 1), (2, 3, 4), (5, 1, 3), (3, 0, 2), (0, 3, 2), (14, 8, 32), (15, 7, 33), (29, 300, 65)):
        yield Sample(normal(m, k), normal(k, n))
    for n in EDGES:
        yield Sample(normal(17, 5), normal(5, n))
        yield Sample(normal(n, 5), normal(5, 3))
    yield Sample(normal(63, 1000), normal(1000, 63))
    yield Sample(normal(2, 3, 4, 5), normal(2, 3, 5, 6))
    yield Sample(normal(2, 1, 4, 3), normal(3, 3, 2))
    yield Sample(normal(2, 4, 3), normal(3, 2))
    yield Sample(normal(20, 100, 7), normal(7, 40))


def _layers():
    for activation in ("none", "relu", "gelu", "gelu_tanh"):
        yield Sample(normal(3, 4), normal(5, 4), normal(5), activation)
        yield Sample(normal(2, 3, 4), normal(5, 4), None, activation)
        yield Sample(normal(70, 65), normal(67, 65), normal(67), activation)
    for rows in (1, 2, 3, 4, 5, 8, 9):
        yield Sample(normal(rows, 7), normal(rows, 7), normal(rows))
    for n in EDGES:
        yield Sample(normal(1, n), normal(n % 6 + 1, n))
    yield Sample(normal(1, 1000), normal(333, 1000), normal(333), "gelu_tanh")
    yield Sample(normal(2, 4100), normal(67, 4100))
    yield Sample(normal(0, 4), normal(5, 4), normal(5))
    yield Sample(normal(2, 0), normal(5, 0), normal(5))
    yield Sample(normal(63, 1000, scale=0.1), normal(100, 1000), normal(100), "gelu")


def _torch_layer(torch, x, weight, bias=None, activation="none"):
    z = torch.nn.functional.linear(x, weight, bias)
    return torch.nn.functional.gelu(z, approximate="tanh") if activation == "gelu_tanh" else z


CASES = {
    # A sum of K products of normal numbers errs by at most K/2 epsilons of the sum of their magnitudes; rounding is
    # as often up as down, so by about sqrt(K): 30 for K = 1000.
    "matmul": Case(
        samples=_products,
        bad=[
            Bad(
                ValueError,
                "matmul: b: expected float32, float64 or bfloat16 of shape (K=3 N)",
                normal(2, 3),
                normal(4, 2),
            ),
            Bad(ValueError, "matmul: b: expected", normal(2, 4, 3), normal(3, 3, 2)),
            Bad(TypeError, "matmul: a: expected", np.ones((2, 2), int), normal(2, 2)),
        ],
        bench=lambda: [
            Sample(normal(1024, 768), normal(768, 3072)),
            Sample(normal(48, 64, 32), normal(48, 32, 64)),
            Sample(normal(16, 16), normal(16, 16)),
            Sample(normal(64, 64), normal(64, 64)),
            Sample(normal(256, 64), normal(64, 10)),
            Sample(normal(1000, 8, 8), normal(1000, 8, 8)),
            Sample(normal(100, 24, 24), normal(100, 24, 24)),
        ],
        torch=lambda torch, a, b: a @ b,
        operations=lambda a, b: (2 * a.size * b.shape[-1], 4 * a.size * b.shape[-1]),
        ulps=30,
    ),
    "linear": Case(
        samples=_layers,
        bad=[
            Bad(
                ValueError,
                "linear: weight: expected float32, float64 or bfloat16 of shape (O I=3)",
                normal(2, 3),
                normal(2, 4),
            ),
            Bad(
                ValueError,
                "linear: activation: expected 'none' or 'relu' or 'gelu' or 'gelu_tanh', got 'tanh'",
                normal(2, 3),
                normal(2, 3),
                None,
                "tanh",
            ),
            Bad(ValueError, "linear: bias: expected", normal(2, 3), normal(2, 3), normal(3)),
        ],
        bench=lambda: [
            Sample(normal(768, 128), normal(512, 128), normal(512), "gelu_tanh"),
            Sample(normal(4096, 768), normal(3072, 768), normal(3072), "gelu_tanh"),
            Sample(normal(1, 768), normal(50257, 768)),
        ],
        torch=_torch_layer,
        operations=lambda x, weight, *_: (2 * x.size * len(weight), 4 * x.size * len(weight)),
        ulps=30,
    ),
}
