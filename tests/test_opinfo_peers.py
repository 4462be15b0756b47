"""PyTorch's own samples for its functions, through our ops: values and gradients agree.

Every op of the registry has a row in SAME, or a reason in ELSEWHERE why PyTorch has no samples for it. A sample that
is meant to differ is named by a reason that its row returns.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from octavo.kernels import registry
from octavo.nn import Tensor
from octavo.nn import functional as F

pytestmark = pytest.mark.peers
ROUNDING = {np.float32: 2e-5, np.float64: 1e-11}  # of the largest value


class Differs(Exception):
    """A sample that Octavo does not mean to take, and why."""


def same(name: str, *allowed: str) -> Callable[..., Any]:
    """The op of this name, with the sample's own arguments, and those of `allowed` by keyword."""

    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        unknown = set(kwargs) - set(allowed)
        if unknown:
            raise Differs(f"takes no {', '.join(sorted(unknown))}")
        return getattr(F, name)(x, *args, **kwargs)

    return call


def operator(act: Callable[..., Any]) -> Callable[..., Any]:
    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("alpha", 1) != 1:
            raise Differs("takes no alpha: write x + alpha * y")
        return act(x, *args)

    return call


def reduction(name: str) -> Callable[..., Any]:
    def call(x: Any, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
        if kwargs:
            raise Differs(f"takes no {', '.join(sorted(kwargs))}")
        return getattr(F, name)(x, None if dim == () else dim, keepdim)

    return call


def cross_entropy(x: Any, target: Any, **kwargs: Any) -> Any:
    if x.ndim != 2:
        raise Differs("takes (N, V) logits")
    return F.cross_entropy(x, target, **kwargs)


def layer_norm(x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    if len(shape) != 1:
        raise Differs("normalises the last axis alone")
    return F.layer_norm(x, weight, bias, eps)


def embedding(ids: Any, weight: Any, **kwargs: Any) -> Any:
    if kwargs:
        raise Differs(f"takes no {', '.join(sorted(kwargs))}")
    return F.embedding(ids, weight)


SAME: dict[str, tuple[str, Callable[..., Any]]] = {
    # op: (PyTorch's name, the same with our arguments)
    "add": ("add", operator(lambda x, y: x + y)),
    "sub": ("sub", operator(lambda x, y: x - y)),
    "mul": ("mul", operator(lambda x, y: x * y)),
    "div": ("div/no_rounding_mode", operator(lambda x, y: x / y)),
    "exp": ("exp", same("exp")),
    "log": ("log", same("log")),
    "neg": ("neg", same("neg")),
    "relu": ("nn.functional.relu", same("relu", "inplace")),
    "sigmoid": ("sigmoid", same("sigmoid")),
    "sqrt": ("sqrt", same("sqrt")),
    "tanh": ("tanh", same("tanh")),
    "sum": ("sum", reduction("sum")),
    "mean": ("mean", reduction("mean")),
    "max": ("amax", reduction("max")),
    "cat": ("cat", same("cat", "dim")),
    "expand": ("expand", lambda x, *shape: x.expand(*shape)),
    "permute": ("permute", lambda x, *dims: x.permute(*dims)),
    "reshape": ("reshape", lambda x, *shape: x.reshape(*shape)),
    "slice": ("__getitem__", lambda x, index: x[index]),
    "unbind": ("unbind", same("unbind", "dim")),
    "softmax": ("softmax", same("softmax")),
    "layer_norm": ("nn.functional.layer_norm", layer_norm),
    "embedding": ("nn.functional.embedding", embedding),
    "cross_entropy": ("nn.functional.cross_entropy", cross_entropy),
    "matmul": ("matmul", same("matmul")),
    "linear": ("nn.functional.linear", same("linear")),
}

ELSEWHERE = {
    "adamw_": "an optimiser: tests/test_optim_peers.py",
    "sgd_": "an optimiser: tests/test_optim_peers.py",
}


def convert(x: Any, dtype: Any) -> Any:
    import torch

    if isinstance(x, torch.Tensor):
        array = x.detach().numpy().copy()
        return Tensor(array, requires_grad=x.requires_grad) if array.dtype.kind == "f" else array
    if isinstance(x, (list, tuple)):
        return type(x)(convert(y, dtype) for y in x) if type(x) in (list, tuple) else tuple(x)
    return x


def leaves(x: Any) -> list[Any]:
    """Tensors that require a gradient, in order."""
    if isinstance(x, dict):
        x = list(x.values())
    if isinstance(x, (list, tuple)):
        return [leaf for y in x for leaf in leaves(y)]
    return [x] if getattr(x, "requires_grad", False) else []


def agree(where: str, got: Any, expected: Any, dtype: Any) -> None:
    expected = expected.detach().numpy()
    assert got.shape == expected.shape, f"{where}: shape {got.shape}, PyTorch has {expected.shape}"
    if expected.dtype.kind != "f":
        assert np.array_equal(got, expected), where
        return
    assert got.dtype == expected.dtype, f"{where}: {got.dtype}, PyTorch has {expected.dtype}"
    finite = np.isfinite(expected)
    assert np.array_equal(got[~finite], expected[~finite], equal_nan=True), f"{where}: not finite elsewhere"
    bound = ROUNDING[dtype] * max(np.abs(expected[finite]).max(initial=0), 1e-3)
    error = np.abs(got[finite] - expected[finite]).max(initial=0)
    assert error <= bound, f"{where}: differs by {error:g}, allowed {bound:g}"


def flat(x: Any) -> list[Any]:
    return [z for y in x for z in flat(y)] if isinstance(x, (list, tuple)) else [x]


@pytest.mark.parametrize("name", sorted(SAME))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples_agree(name, dtype):
    import torch
    from torch.testing._internal.common_methods_invocations import op_db

    theirs, call = SAME[name]
    base, _, variant = theirs.partition("/")
    info = next(o for o in op_db if o.name == base and o.variant_test_name == variant)
    kind = {np.float32: torch.float32, np.float64: torch.float64}[dtype]
    compared, differs = 0, set()
    for sample in info.sample_inputs("cpu", kind, requires_grad=info.supports_autograd):
        where = f"{name}: {sample.summary()}"
        inputs = (sample.input, sample.args, sample.kwargs)
        expected = flat(info.op(sample.input, *sample.args, **sample.kwargs))
        x, args = convert(sample.input, dtype), [convert(a, dtype) for a in sample.args]
        kwargs = {k: convert(v, dtype) for k, v in sample.kwargs.items()}
        try:
            got = flat(call(x, *args, **kwargs))
        except Differs as reason:
            differs.add(str(reason))
            continue
        compared += 1
        for g, e in zip(got, expected, strict=True):
            agree(where, g.data, e, dtype)
        rng = np.random.default_rng(0)
        douts = [rng.standard_normal(e.shape).astype(dtype) for e in expected]
        pairs = [(g, e, d) for g, e, d in zip(got, expected, douts, strict=True) if e.requires_grad]
        if not pairs:
            continue
        wanted = torch.autograd.grad(
            [e for _, e, _ in pairs],
            leaves(inputs),
            [torch.from_numpy(np.asarray(d)) for *_, d in pairs],
            allow_unused=True,
        )
        total = sum(((g * d).sum() for g, _, d in pairs[1:]), (pairs[0][0] * pairs[0][2]).sum())
        total.backward()
        for k, (ours, grad) in enumerate(zip(leaves((x, args, kwargs)), wanted, strict=True)):
            if grad is not None:
                agree(f"{where}: gradient {k}", ours.grad, grad, dtype)
    assert compared, f"{name}: no sample was compared ({'; '.join(differs)})"


def test_every_op_stands_somewhere():
    ours = {op.name for op in registry.values() if op.backward_of is None}
    assert not SAME.keys() & ELSEWHERE.keys()
    assert SAME.keys() | ELSEWHERE.keys() == ours
