import numpy as np

from .case import Bad, Case, Sample, normal


def _heads(b, t, s, h, d, groups=None, **kwargs):
    keys = (b, s, groups or h, d)
    return Sample(normal(b, t, h, d), normal(*keys, seed=1), normal(*keys, seed=2), **kwargs)


def _samples():
    for causal in (True, False):
        for sizes in ((1, 1, 1, 1, 1), (2, 5, 5, 3, 2), (1, 2, 7, 2, 3)):
            yield _heads(*sizes, causal=causal)
        for sizes in ((2, 3, 4, 6, 2, 3), (1, 3, 4, 4, 3, 1), (2, 66, 70, 4, 17, 2)):  # heads in groups
            yield _heads(*sizes, causal=causal)
        for sizes in ((1, 63, 63, 2, 8), (1, 130, 130, 1, 64), (2, 3, 70, 2, 17), (1, 33, 200, 1, 33)):
            yield _heads(*sizes, causal=causal)
    yield _heads(1, 4, 4, 1, 3, scale=2.0)
    yield _heads(0, 4, 4, 1, 3)
    q, k, v = (normal(1, 40, 2, 8, seed=i) for i in range(3))
    yield Sample(2 * q, 2 * k, v)


CASES = {
    "attention": Case(
        samples=_samples,
        bad=[
            Bad(
                ValueError,
                "attention: q: expected T <= S where attention is causal, got T=3 queries for S=2 keys",
                normal(1, 3, 1, 2),
                normal(1, 2, 1, 2),
                normal(1, 2, 1, 2),
            ),
            Bad(
                ValueError,
                "attention: v: expected float32, float64 or bfloat16 of shape (B=1 S=2 G=1 D=2)",
                normal(1, 2, 1, 2),
                normal(1, 2, 1, 2),
                normal(1, 3, 1, 2),
            ),
            Bad(
                ValueError,
                "attention: k: expected G heads that divide q's H=4, got G=3",
                normal(1, 2, 4, 2),
                *normal(2, 1, 2, 3, 2),
            ),
            Bad(
                ValueError,
                "attention: k: expected G heads that divide q's H=4, got G=0",
                normal(1, 2, 4, 2),
                *normal(2, 1, 2, 0, 2),
            ),
            Bad(
                ValueError,
                "attention: scale: expected",
                normal(1, 2, 1, 2),
                normal(1, 2, 1, 2),
                normal(1, 2, 1, 2),
                True,
                -1.0,
            ),
            Bad(TypeError, "attention: q: expected", np.ones((1, 1, 1, 1), int), *normal(2, 1, 1, 1, 1)),
        ],
        bench=lambda: [_heads(12, 64, 64, 4, 32), _heads(1, 1024, 1024, 12, 64), _heads(1, 1024, 1024, 12, 64, 4)],
        torch=lambda torch, q, k, v: torch.nn.functional.scaled_dot_product_attention(
            q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=True, enable_gqa=True
        ).transpose(1, 2),
        operations=lambda q, k, *_: (2 * q.size * k.shape[1], 5 * q.size * k.shape[1]),  # causal: half of the scores
    ),
}
