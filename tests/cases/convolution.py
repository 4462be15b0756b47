import math

import numpy as np

from octavo.kernels.ops.convolution import conv2d_shape

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


def _image(batch, inputs, height, width, outputs, taps, across, stride=1, padding=0, bias=True):
    weight = normal(outputs, inputs, taps, across, seed=1)
    return Sample(
        normal(batch, inputs, height, width), weight, normal(outputs, seed=2) if bias else None, stride, padding
    )


def _images():
    yield _image(2, 2, 4, 5, 3, 3, 2)
    yield _image(1, 3, 5, 4, 2, 3, 3, padding=1, bias=False)
    yield _image(2, 1, 6, 5, 2, 3, 2, stride=2, padding=1)
    yield _image(1, 2, 7, 7, 2, 2, 2, stride=3)  # pixels that no window sees
    yield _image(1, 2, 2, 1, 1, 2, 3, padding=5)  # windows that see no pixel
    yield _image(1, 1, 1, 1, 1, 1, 1)
    yield _image(1, 2, 3, 3, 2, 3, 3, bias=False)  # a single window
    yield _image(0, 2, 4, 4, 3, 3, 3)
    yield _image(2, 1, 0, 3, 2, 2, 2, padding=1)
    yield _image(3, 5, 17, 13, 7, 1, 1)
    yield _image(2, 16, 8, 8, 33, 3, 3, padding=1)
    yield _image(2, 3, 33, 20, 16, 5, 7, stride=2, padding=3)


def _operations(x, weight, bias, stride, padding):
    each = 2 * math.prod(conv2d_shape(x, weight, stride, padding)) * weight[0].size
    return each, 2 * each


def _unfit(text, *sizes, **options):
    sample = _image(*sizes, **options)
    return Bad(ValueError, text, *sample.args)


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
    "conv2d": Case(
        samples=_images,
        bad=[
            _unfit(
                "h at most H + 2 padding = 4 and w at most W + 2 padding = 5, got (2, 1, 5, 3)", 1, 1, 4, 5, 2, 5, 3
            ),
            _unfit("H + 2 padding = 6 and w at most W + 2 padding = 7", 1, 1, 4, 5, 2, 3, 8, padding=1),
            _unfit("conv2d: weight: expected (O, C, h, w), each at least 1", 1, 1, 4, 5, 0, 3, 3),
            _unfit("conv2d: weight: expected (O, C, h, w), each at least 1", 1, 1, 4, 5, 2, 0, 3),
            _unfit("conv2d: weight: expected (O, C, h, w), each at least 1", 1, 0, 4, 5, 2, 3, 3),
            _unfit("conv2d: stride: expected a whole number in [1, inf], got 0", 1, 1, 4, 5, 2, 3, 3, stride=0),
            _unfit("conv2d: stride: expected a whole number in [1, inf], got 1.5", 1, 1, 4, 5, 2, 3, 3, stride=1.5),
            _unfit("conv2d: padding: expected a whole number in [0, inf], got -1", 1, 1, 4, 5, 2, 3, 3, padding=-1),
            Bad(ValueError, "conv2d: weight: expected", normal(1, 3, 4, 4), normal(2, 2, 3, 3)),
            Bad(ValueError, "conv2d: x: expected", normal(3, 4, 4), normal(2, 3, 3, 3)),
            Bad(ValueError, "conv2d: bias: expected", normal(1, 3, 4, 4), normal(2, 3, 3, 3), normal(3)),
            Bad(TypeError, "conv2d: x: expected", np.ones((1, 1, 3, 3), int), normal(2, 1, 2, 2)),
        ],
        bench=lambda: [_image(64, 16, 8, 8, 32, 3, 3, padding=1), _image(8, 64, 56, 56, 64, 3, 3, padding=1)],
        torch=lambda torch, *args: torch.nn.functional.conv2d(*args),
        operations=_operations,
    ),
}
