import numpy as np

from .case import Bad, Case, Sample, normal


def _conv(batch, time, inputs, outputs, groups, taps, bias=True):
    weight = normal(outputs, inputs // groups, taps, seed=1)
    return Sample(normal(batch, time, inputs), weight, normal(outputs, seed=2) if bias else None)


def _samples():
    yield _conv(2, 5, 3, 3, 3, 4)
    yield _conv(2, 5, 4, 6, 2, 3)
    yield _conv(1, 4, 3, 2, 1, 2, bias=False)
    yield _conv(1, 3, 2, 2, 2, 5, bias=False)  # more taps than positions
    yield _conv(2, 3, 2, 4, 2, 1)
    yield _conv(1, 1, 1, 1, 1, 1)
    yield _conv(2, 130, 63, 63, 63, 4)
    yield _conv(1, 200, 1000, 1000, 1000, 4)
    yield _conv(2, 70, 33, 48, 1, 3)
    yield _conv(2, 70, 64, 32, 4, 3, bias=False)
    yield _conv(0, 3, 2, 2, 2, 3)
    yield _conv(2, 0, 4, 2, 1, 3)
    yield _conv(1, 3, 2, 0, 2, 2)


def _refused(inputs, weight):
    text = f"causal_conv1d: weight: expected (O, J, K), J dividing I={inputs} into groups, which divide O, and K at"
    return Bad(ValueError, text, normal(1, 3, inputs), normal(*weight))


CASES = {
    "causal_conv1d": Case(
        samples=_samples,
        bad=[
            _refused(4, (4, 3, 2)),
            _refused(4, (3, 2, 2)),
            _refused(4, (4, 0, 2)),
            _refused(4, (4, 1, 0)),
            _refused(0, (2, 1, 2)),
            Bad(ValueError, "causal_conv1d: bias: expected", normal(1, 3, 2), normal(2, 1, 2), normal(3)),
            Bad(TypeError, "causal_conv1d: x: expected", np.ones((1, 3, 2), int), normal(2, 1, 2)),
        ],
        bench=lambda: [_conv(4, 1024, 1536, 1536, 1536, 4), _conv(4, 1024, 256, 256, 1, 3)],
        torch=lambda torch, x, weight, bias: torch.nn.functional.conv1d(
            torch.nn.functional.pad(x.transpose(1, 2), (weight.shape[2] - 1, 0)),
            weight,
            bias,
            groups=x.shape[2] // weight.shape[1],
        ).transpose(1, 2),
    ),
}
