"""Parameters that are arrays of no axes: numbers on the CPU, and of a device that nobody waits for elsewhere."""

import numpy as np
import pytest

from octavo.kernels import adamw_, dropout, sample, softmax


def _stepped(step, lr, grad_scale):
    params = [np.linspace(-1, 1, 7, dtype=np.float32)]
    lists = [[np.full(7, k, np.float32)] for k in (1, 2, 3)]
    adamw_(params, *lists, step, lr, grad_scale=grad_scale)
    return params[0]


def test_a_scalar_is_its_number():
    assert np.array_equal(_stepped(np.array(3), np.array(0.1), np.array(0.5)), _stepped(3, 0.1, 0.5))
    x = np.ones(99)
    assert np.array_equal(dropout(x, 0.5, 1, 2, np.array(3)), dropout(x, 0.5, 1, 2, 3))


def test_scalars_are_checked():
    with pytest.raises(TypeError, match=r"lr: expected a number, or an array of float64 with no axes"):
        _stepped(3, np.ones(1), 1.0)
    with pytest.raises(TypeError, match=r"step: expected .* array of int64 with no axes, got float64 \(\)"):
        _stepped(np.array(3.0), 0.1, 1.0)
    with pytest.raises(ValueError, match=r"step: expected a whole number in \[1, inf\], got 0"):
        _stepped(np.array(0), 0.1, 1.0)
    with pytest.raises(ValueError, match="temperature: expected a number"):
        sample(softmax(np.ones((1, 3))), np.array(1.0), 0, 1.0, 0.0, 0, 0, 0)
