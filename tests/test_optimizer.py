"""The optimisers over a hundred steps against PyTorch's, and what the norm returns."""

import numpy as np
import pytest
from cases.case import normal

from octavo.kernels import adamw_, grad_norm, sgd_

SHAPES = [(5,), (3, 4), (7, 1, 2)]
STEPS = 100


def _run_both(make, step_):
    """Largest difference of the parameters after the same gradients, in float64."""
    import torch

    ours = [normal(*shape) for shape in SHAPES]
    theirs = [torch.nn.Parameter(torch.tensor(x)) for x in ours]
    optimizer = make(torch.optim, theirs)
    kept = [[np.zeros_like(x) for x in ours] for _ in range(2)]
    for step in range(1, STEPS + 1):
        grads = [normal(*shape, seed=step) for shape in SHAPES]
        for p, g in zip(theirs, grads, strict=True):
            p.grad = torch.tensor(g)
        optimizer.step()
        step_(ours, grads, kept, step)
    return max(np.abs(x - y.detach().numpy()).max() for x, y in zip(ours, theirs, strict=True))


@pytest.mark.peers
def test_adamw_agrees_with_pytorch():
    error = _run_both(
        lambda optim, ps: optim.AdamW(ps, lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1),
        lambda ps, grads, kept, step: adamw_(ps, grads, *kept, step, 0.01, 0.8, 0.95, 1e-6, 0.1),
    )
    assert error < 1e-10


@pytest.mark.peers
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_agrees_with_pytorch(momentum):
    error = _run_both(
        lambda optim, ps: optim.SGD(ps, lr=0.01, momentum=momentum, weight_decay=0.1),
        lambda ps, grads, kept, step: sgd_(ps, grads, kept[0] if momentum else None, 0.01, momentum, 0.1),
    )
    assert error < 1e-10


def test_norm_is_a_float64_array_and_does_not_overflow():
    norm = grad_norm([np.full(3, 1e30, np.float32), np.zeros((2, 2), np.float32)])
    assert isinstance(norm, np.ndarray) and norm.shape == () and norm.dtype == np.float64
    assert norm == pytest.approx(np.sqrt(3) * 1e30)


def test_reads_gradients_of_any_layout():
    p, q = np.zeros((2, 3)), np.zeros((2, 3))
    grad = normal(3, 2).T
    sgd_([p], [grad], None, lr=1.0)
    sgd_([q], [grad.copy()], None, lr=1.0)
    assert np.array_equal(p, q)
