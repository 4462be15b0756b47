"""Losses mean what PyTorch's mean, and their float32 gradients are as near to the float64 ones as PyTorch's.

Near: the largest error, relative to the largest true value, is at most 1.5 times PyTorch's, or 1e-7, which is less than
two roundings. For the linear one it is the mean over draws of its operands: its logits are a float32 product, whose
rounding, the same for both, decides the error, so that of a single draw one in a hundred is a lucky one of PyTorch's.
"""

from itertools import product

import numpy as np
import pytest
from cases.case import integers, normal
from cases.cross_entropy import REDUCTIONS, probabilities
from peers import Peer

from octavo.kernels import registry

torch, functional = Peer("torch"), Peer("torch.nn.functional")
pytestmark = pytest.mark.peers

FLOOR = 1e-7
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
        loss, saved = results[0], op._kept(args, results)
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


def errors(name, function, args, options, shape, differentiable=(0,)):
    """{loss or gradient: (our error, PyTorch's)} in float32; in float64 both are the same. `shape` is the loss's."""
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
    found = {"loss": (near[0], peer[0], true_loss)}
    found |= zip((f"d{n}" for n in op.differentiable), zip(near[1], peer[1], truth, strict=True), strict=True)
    return {
        what: [np.abs(x - expected).max(initial=0) / np.abs(expected).max(initial=1e-5) for x in pair]
        for what, (*pair, expected) in found.items()
    }


def check(draws):
    for what in draws[0]:
        error, peer_error = np.mean([draw[what] for draw in draws], 0)
        assert error <= max(1.5 * peer_error, FLOOR), f"{what}: error {error:.3g}, PyTorch's {peer_error:.3g}"


def compare(*args, **kwargs):
    check([errors(*args, **kwargs)])


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
        )


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_linear_cross_entropy(options):
    for ((rows, width, classes), draws), is_soft, is_weighted, reduction in product(
        (((5, 4, 7), 16), ((33, 256, 65), 4), ((63, 33, 1000), 4)), (False, True), (False, True), REDUCTIONS
    ):
        targets = targets_of(rows, classes, is_soft)
        class_weight = np.abs(normal(classes)) + 0.1 if is_weighted else None
        check(
            [
                errors(
                    "linear_cross_entropy",
                    lambda x, w, y, weight, how=reduction: torch_cross_entropy(x @ w.T, y, weight, how, **options),
                    [normal(rows, width, seed=seed), normal(classes, width, seed=seed), targets, class_weight],
                    {"reduction": reduction, **options},
                    (rows,) if reduction == "none" else (),
                    (0, 1),
                )
                for seed in range(draws)
            ]
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
