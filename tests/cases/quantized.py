import numpy as np

from octavo.kernels import quantize_int8, to_bf16

from .attention import CASES as ATTENTION
from .case import EDGES, Bad, Case, Sample, integers, normal


def _weights():
    for n in EDGES:
        yield Sample(normal(3, n))
    yield Sample(np.array([[0.0, 0, 0], [127, -2.5, 3.5], [-254, 1, 3], [3e-45, 1e-45, -3e-45], [1e38, -3e38, 0]]))
    yield Sample(normal(0, 4))
    yield Sample(normal(2, 0))
    yield Sample(normal(300, 200, scale=1e-3))


def _numbers():
    halves = 1 + np.arange(-8, 9) / 512  # ties between neighbours among them
    yield Sample(np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, 3.4e38, -3.4e38, 1e-45, 65504, 1e-38]))
    yield Sample(np.stack([halves, -halves]))
    yield Sample(normal(3, 7, 11))
    yield Sample(normal(70000))
    yield Sample(np.array(0.3))
    yield Sample(normal(0))


def _stored(*shape):
    """A weight of a shape in each form: (weight, scale)."""
    yield tuple(quantize_int8.reference(normal(*shape)))
    yield to_bf16.reference(normal(*shape)), None


def _layers():
    for weight, scale in _stored(5, 4):
        for activation in ("none", "relu", "gelu", "gelu_tanh"):
            yield Sample(normal(2, 4), weight, scale, normal(5), activation)
        yield Sample(normal(2, 3, 4), weight, scale)
        yield Sample(normal(0, 4), weight, scale)
        yield Sample(normal(3, 3, 4), weight, scale, normal(5), "gelu")
    for n in EDGES:
        for weight, scale in _stored(n % 6 + 1, n):
            yield Sample(normal(2, n), weight, scale)
    for shape in ((67, 4100), (333, 1000), (5, 0)):
        for weight, scale in _stored(*shape):
            yield Sample(normal(1, shape[1]), weight, scale, normal(shape[0]), "gelu_tanh")
    for weight, scale in _stored(100, 65):
        yield Sample(normal(70, 65), weight, scale, normal(100), "gelu_tanh")


def _tables():
    for c in EDGES:
        for weight, scale in _stored(5, c):
            yield Sample(integers(5, 4), weight, scale)
    for weight, scale in _stored(1000, 33):
        yield Sample(integers(1000, 2, 63), weight, scale)
        yield Sample(integers(3, 0), weight, scale)
        yield Sample(np.array(1), weight, scale)


def _heads():
    for sample in ATTENTION["attention"].samples():
        q, k, v = sample.args
        yield Sample(q, to_bf16.reference(k), to_bf16.reference(v), **sample.kwargs)


_ROWS, _BITS = np.ones((2, 3), np.int8), np.ones((2, 3), np.uint16)
CASES = {
    "quantize_int8": Case(
        samples=_weights,
        bad=[
            Bad(ValueError, "quantize_int8: weight: expected float32, float64 or bfloat16 of shape (O I)", normal(3)),
            Bad(TypeError, "quantize_int8: weight: expected", _ROWS),
            *(
                Bad(ValueError, "weight: expected finite numbers, got NaN, infinity or larger in row 1", w, data=True)
                for w in np.array([[[1, 2], [3, np.nan]], [[0, 0], [-np.inf, 1]], [[1, 1], [1, 1e300]]])
            ),
        ],
        bench=lambda: [Sample(normal(3072, 768))],
    ),
    "from_bf16": Case(
        samples=lambda: (Sample(to_bf16.reference(sample.args[0])) for sample in _numbers()),
        bad=[Bad(TypeError, "from_bf16: x: expected uint16 (bits of bfloat16)", _ROWS)],
        bench=lambda: [Sample(to_bf16.reference(normal(4096, 768)))],
    ),
    "to_bf16": Case(
        samples=_numbers,
        bad=[Bad(TypeError, "to_bf16: x: expected float32, float64 or bfloat16 of shape", _ROWS)],
        bench=lambda: [Sample(normal(3072, 768))],
        torch=lambda torch, x: x.bfloat16(),
    ),
    "linear_quantized": Case(
        samples=_layers,
        bad=[
            Bad(
                TypeError,
                "linear_quantized: weight: expected int8 or uint16 (bits of bfloat16) of shape (O I=3), got float64",
                normal(1, 3),
                normal(2, 3),
            ),
            Bad(ValueError, "weight: expected int8 or uint16 (bits of bfloat16) of shape", normal(1, 4), _ROWS),
            Bad(ValueError, "scale: expected (O,) floats for an int8 weight, got None", normal(1, 3), _ROWS),
            Bad(ValueError, "scale: expected None for a weight in bfloat16", normal(1, 3), _BITS, normal(2)),
            Bad(ValueError, "linear_quantized: scale: expected", normal(1, 3), _ROWS, normal(3)),
            Bad(ValueError, "linear_quantized: bias: expected", normal(1, 3), _BITS, None, normal(3)),
            Bad(ValueError, "linear_quantized: activation: expected", normal(1, 3), _BITS, None, None, "tanh"),
        ],
        bench=lambda: [Sample(normal(1, 768), *form) for form in _stored(50257, 768)],
        ulps=30,  # as `linear`
    ),
    "embedding_quantized": Case(
        samples=_tables,
        bad=[
            Bad(
                ValueError,
                "embedding_quantized: ids: expected 0 <= id < 2, got 2 at (1,)",
                np.array([0, 2]),
                _BITS,
                data=True,
            ),
            Bad(
                ValueError,
                "embedding_quantized: scale: expected float32, float64 or bfloat16 of shape (V=2)",
                np.array([0]),
                _ROWS,
                normal(3),
            ),
            Bad(ValueError, "scale: expected (O,) floats for an int8 weight, got None", np.array([0]), _ROWS),
            Bad(TypeError, "embedding_quantized: weight: expected int8 or uint16", np.array([0]), normal(2, 3)),
        ],
        bench=lambda: [Sample(integers(50257, 1024), *form) for form in _stored(50257, 768)],
    ),
    "attention_bf16": Case(
        samples=_heads,
        bad=[
            Bad(
                ValueError,
                "attention_bf16: q: expected T <= S where attention is causal, got T=3 queries for S=2 keys",
                normal(1, 3, 1, 2),
                *np.ones((2, 1, 2, 1, 2), np.uint16),
            ),
            Bad(TypeError, "attention_bf16: k: expected uint16 (bits of bfloat16)", *normal(3, 1, 1, 1, 1)),
            Bad(
                ValueError,
                "attention_bf16: k: expected G heads that divide q's H=4, got G=3",
                normal(1, 2, 4, 2),
                *np.ones((2, 1, 2, 3, 2), np.uint16),
            ),
        ],
        bench=lambda: [
            Sample(normal(1, 1, 12, 64), *to_bf16.reference(normal(2, 1, 1024, 12, 64)), causal=causal)
            for causal in (True, False)
        ],
    ),
}
