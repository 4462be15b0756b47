"""The optimisers over a hundred steps against PyTorch's or their papers' formulas, and what the norm returns."""

import numpy as np
import pytest
from cases.case import normal

from octavo.kernels import adamw_, grad_norm, lion_, muon_, sgd_

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
@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_sgd_agrees_with_pytorch(momentum, nesterov):
    error = _run_both(
        lambda optim, ps: optim.SGD(ps, lr=0.01, momentum=momentum, weight_decay=0.1, nesterov=nesterov),
        lambda ps, grads, kept, step: sgd_(
            ps, grads, kept[0] if momentum else None, 0.01, momentum, 0.1, nesterov=nesterov
        ),
    )
    assert error < 1e-10


def test_lion_follows_its_paper():
    x = normal(3, 4)
    p, m, momentum = x.copy(), np.zeros((3, 4)), np.zeros((3, 4))
    for step in range(1, STEPS + 1):
        g = normal(3, 4, seed=step)
        lion_([p], [g], [m], lr=0.01, beta1=0.9, beta2=0.99, weight_decay=0.1)
        update = np.sign(0.9 * momentum + (1 - 0.9) * g)
        momentum = 0.99 * momentum + (1 - 0.99) * g
        x = x - 0.01 * (update + 0.1 * x)
    assert np.abs(p - x).max() < 1e-10


@pytest.mark.parametrize("shape", [(4, 6), (6, 4)])
@pytest.mark.parametrize("scaling", ["original", "match_rms_adamw"])
def test_muon_follows_its_paper(shape, scaling):
    x = normal(*shape)
    p, buffer, momentum = x.copy(), np.zeros(shape), np.zeros(shape)
    size = max(1, shape[0] / shape[1]) ** 0.5 if scaling == "original" else 0.2 * max(shape) ** 0.5
    for step in range(1, STEPS + 1):
        g = normal(*shape, seed=step)
        muon_([p], [g], [buffer], lr=0.02, momentum=0.95, weight_decay=0.1, adjust_lr_fn=scaling)
        momentum = momentum + 0.05 * (g - momentum)
        u, s, v = np.linalg.svd(g + 0.95 * (momentum - g), full_matrices=False)
        s = s / np.sqrt((s * s).sum())
        for _ in range(5):  # on singular values alone
            s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
        x = (1 - 0.02 * 0.1) * x - 0.02 * size * (u * s) @ v
    assert np.abs(p - x).max() < 1e-10


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
