"""Losses mean what PyTorch's mean, and their float32 gradients are as near to the float64 ones as PyTorch's.

Near: the largest error is at most 1.5 times PyTorch's, or a floor relative to the largest true value: 1e-7 for the
gradient of cross-entropy; 5e-7, four roundings, for the other losses; 1e-6, the sum of 1000 roundings, for the linear
one, whose products add in another order.
"""

from itertools import product

import numpy as np
import pytest
from cases.case import integers, normal
from cases.cross_entropy import REDUCTIONS, probabilities

from octavo.kernels import registry

torch = pytest.importorskip("torch")
functional = torch.nn.functional
pytestmark = pytest.mark.peers

FLOOR = 5e-7
LOGITS = {
    "small": normal(5, 7, scale=2),
    "one class": normal(3, 1),
    "wide": normal(63, 1000, scale=3),
    "sure": normal(63, 65, scale=10),
    "offset": normal(4, 50, offset=1e4),
    "far": np.where(normal(4, 50) > 0, 1e4, -1e4),
    "farther": normal(4, 50, scale=1e4),
}
OPTIONS = [
    {"label_smoothing": smoothing, "z_loss": z, "softcap": cap}
    for smoothing, z, cap in product((0.0, 0.1), (0.0, 1e-3), (None, 30.0))
]


def torch_cross_entropy(logits, targets, weight, reduction, label_smoothing, z_loss, softcap):
    """PyTorch's cross-entropy, with the two terms that it has not."""
    scores = logits if softcap is None else softcap * torch.tanh(logits / softcap)
    plain = {"weight": weight, "label_smoothing": label_smoothing}
    loss = functional.cross_entropy(scores, targets, reduction="none", **plain)
    is_soft = targets.is_floating_point()
    kept = torch.ones_like(loss) if is_soft else (targets != -100).to(loss.dtype)
    r = kept if is_soft or weight is None else kept * weight[targets.clamp(min=0)]
    if z_loss:
        loss = loss + z_loss * r * torch.logsumexp(scores, -1) ** 2
    if reduction == "none":
        return loss
    if not z_loss:
        return functional.cross_entropy(scores, targets, reduction=reduction, **plain)
    return loss.sum() / (r.sum() if reduction == "mean" else 1)


def ours(op, args, options, cotangent, dtype, reference=False):
    """(loss, gradients) of an op, whose loss has the gradient `cotangent`."""
    args = op._bind([a.astype(dtype) if is_float(a) else a for a in args], options)
    if reference:
        results = op.reference(*args, *[True] * op.takes_save)
        results = results if isinstance(results, tuple) else (results,)
        found = dict(zip(op.outputs + op.saves, results, strict=True))
        loss, saved = results[0], [op._value(name, args, found) for name in op.wanted]
        gradients = op.backward.reference(np.asarray(cotangent, dtype), *saved)
    else:
        loss, saved = op.forward(*args)
        gradients = op.backward(np.broadcast_to(cotangent, loss.shape).astype(dtype), *saved)
    return loss, gradients if isinstance(gradients, tuple) else (gradients,)


def theirs(function, args, differentiable, cotangent, dtype):
    tensors = [torch.tensor(a.astype(dtype) if is_float(a) else a) if isinstance(a, np.ndarray) else a for a in args]
    for i in differentiable:
        tensors[i].requires_grad_()
    loss = function(*tensors)
    loss.backward(torch.tensor(np.broadcast_to(cotangent, loss.shape).astype(dtype)))
    return loss.detach().numpy(), [tensors[i].grad.numpy() for i in differentiable]


def is_float(a):
    return isinstance(a, np.ndarray) and a.dtype.kind == "f"


def compare(name, function, args, options, shape, differentiable=(0,), floor=FLOOR):
    """The same in float64; in float32 as near to it. `shape` is the loss's."""
    op = registry[name]
    args = [a.astype(np.float32).astype(np.float64) if is_float(a) else a for a in args]
    cotangent = normal(*shape, seed=9)
    true_loss, truth = ours(op, args, options, cotangent, np.float64, reference=True)
    loss, gradients = theirs(function, args, differentiable, cotangent, np.float64)
    np.testing.assert_allclose(true_loss, loss, rtol=1e-10, atol=1e-12)
    for expected, gradient in zip(truth, gradients, strict=True):
        np.testing.assert_allclose(expected, gradient, rtol=1e-7, atol=1e-10 * np.abs(expected).max(initial=0))
    near = ours(op, args, options, cotangent, np.float32)
    peer = theirs(function, args, differentiable, cotangent, np.float32)
    for what, a, b, expected in [
        ("loss", near[0], peer[0], true_loss),
        *zip([f"d{n}" for n in op.differentiable], near[1], peer[1], truth, strict=True),
    ]:
        error, peer_error, largest = (np.abs(d).max(initial=0) for d in (a - expected, b - expected, expected))
        allowed = max(1.5 * peer_error, (max(FLOOR, floor) if what == "loss" else floor) * largest, 1e-12)
        assert error <= allowed, f"{what} of {largest:g}: error {error:g}, PyTorch's {peer_error:g}"


def targets_of(rows, classes, is_soft):
    if is_soft:
        return probabilities(rows, classes)
    ids = integers(classes, rows)
    ids[1::3] = -100
    return ids


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("logits", LOGITS)
def test_cross_entropy(logits, options):
    logits = LOGITS[logits]
    rows, classes = logits.shape
    for is_soft, is_weighted, reduction in product((False, True), (False, True), REDUCTIONS):
        targets = targets_of(rows, classes, is_soft)
        weight = np.abs(normal(classes)) + 0.1 if is_weighted else None
        compare(
            "cross_entropy",
            lambda logits, targets, weight, how=reduction: torch_cross_entropy(logits, targets, weight, how, **options),
            [logits, targets, weight],
            {"reduction": reduction, **options},
            (rows,) if reduction == "none" else (),
            floor=1e-7,
        )


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_linear_cross_entropy(options):
    for (rows, width, classes), is_soft, is_weighted, reduction in product(
        ((5, 4, 7), (63, 33, 1000)), (False, True), (False, True), REDUCTIONS
    ):
        targets = targets_of(rows, classes, is_soft)
        class_weight = np.abs(normal(classes)) + 0.1 if is_weighted else None
        compare(
            "linear_cross_entropy",
            lambda x, w, targets, weight, how=reduction: torch_cross_entropy(x @ w.T, targets, weight, how, **options),
            [normal(rows, width), normal(classes, width), targets, class_weight],
            {"reduction": reduction, **options},
            (rows,) if reduction == "none" else (),
            (0, 1),
            floor=1e-6,
        )


PAIRS = [(normal(5, 7, scale=2), normal(5, 7, seed=1)), (normal(63, 1000, scale=2), normal(63, 1000, seed=1))]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name, options", [("mse_loss", {}), ("huber_loss", {}), ("huber_loss", {"delta": 0.7})])
def test_distances(name, options, reduction):
    options = {**options, "reduction": reduction}
    for x, y in PAIRS:
        shape = x.shape if reduction == "none" else ()
        compare(name, lambda x, y: getattr(functional, name)(x, y, **options), [x, y], options, shape, (0, 1))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_binary_cross_entropy(reduction):
    far = np.array([[1e4, -1e4, 1e4, -1e4, 20.0, -20.0, 0.0]])
    for x, y in [*[(4 * x, np.abs(np.tanh(y))) for x, y in PAIRS], (far, np.array([[0.0, 1, 1, 0, 1, 0, 1]]))]:
        for weight, positive in product((None, np.abs(normal(len(x), 1))), (None, np.abs(normal(x.shape[1])))):
            compare(
                "binary_cross_entropy_with_logits",
                lambda x, y, w, p: functional.binary_cross_entropy_with_logits(x, y, w, None, None, reduction, p),
                [x, y, weight, positive],
                {"reduction": reduction},
                x.shape if reduction == "none" else (),
            )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("full", [False, True])
def test_gaussian_nll(full, reduction):
    options = {"full": full, "eps": 0.3, "reduction": reduction}
    for x, y in PAIRS:
        for var in (np.abs(normal(*x.shape, seed=2)), np.abs(normal(len(x), 1))):
            shape = x.shape if reduction == "none" else ()
            compare(
                "gaussian_nll_loss",
                lambda x, y, var: functional.gaussian_nll_loss(x, y, var, **options),
                [x, y, var],
                options,
                shape,
                (0, 1, 2),
            )


@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
@pytest.mark.parametrize("log_target", [False, True])
def test_kl_div(log_target, reduction):
    options = {"reduction": reduction, "log_target": log_target}
    x, q = np.log(probabilities(9, 65) + 0.1), probabilities(9, 65)[::-1]
    q = np.log(q + 0.01) if log_target else q
    shape = x.shape if reduction == "none" else ()
    compare("kl_div", lambda x, q: functional.kl_div(x, q, **options), [x, q], options, shape)
