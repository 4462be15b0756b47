"""PyTorch's own samples for its functions, through our ops: values and gradients agree.

Every op of the registry has a row in SAME, or stands in ELSEWHERE, where PyTorch has no samples for it. Samples on
which Octavo differs are counted in DIFFERENT, by what its error or its row says: none is left out in silence.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from opinfo import DIFFERENT, ELSEWHERE, SAME, TERMS, Differs

from octavo.kernels import registry
from octavo.nn import Tensor
from octavo.nn import functional as F

pytestmark = pytest.mark.peers
ROUNDING = {np.float32: 2e-5, np.float64: 1e-11}  # of the largest value


def ours(x: Any) -> Any:
    """Arguments of a sample, tensors on the same memory."""
    import torch

    if isinstance(x, torch.Tensor):
        return Tensor(x.detach().numpy(), requires_grad=x.requires_grad)
    if isinstance(x, dict):
        return {k: ours(v) for k, v in x.items()}
    return [*map(ours, x)] if isinstance(x, list) else tuple(map(ours, x)) if isinstance(x, tuple) else x


def leaves(x: Any) -> list[Any]:
    """Tensors that require a gradient, in order."""
    if isinstance(x, dict):
        x = list(x.values())
    if isinstance(x, (list, tuple)):
        return [leaf for y in x for leaf in leaves(y)]
    return [x] if getattr(x, "requires_grad", False) else []


def flat(x: Any) -> list[Any]:
    return [z for y in x for z in flat(y)] if isinstance(x, (list, tuple)) else [x]


def agree(where: str, got: Any, expected: Any, terms: float = 0) -> None:
    """Equal up to rounding of the largest value, or four roundings of the largest term that cancels."""
    expected = expected.detach().numpy()
    assert got.shape == expected.shape, f"{where}: shape {got.shape}, PyTorch has {expected.shape}"
    assert got.dtype == expected.dtype, f"{where}: {got.dtype}, PyTorch has {expected.dtype}"
    if expected.dtype.kind != "f":
        assert np.array_equal(got, expected), where
        return
    finite = np.isfinite(expected)
    assert np.array_equal(got[~finite], expected[~finite], equal_nan=True), f"{where}: not finite elsewhere"
    largest = max(np.abs(expected[finite]).max(initial=0), 1e-3)
    bound = max(ROUNDING[expected.dtype.type] * largest, 4 * np.finfo(expected.dtype).eps * terms)
    error = np.abs(got[finite] - expected[finite]).max(initial=0)
    assert error <= bound, f"{where}: differs by {error:g}, allowed {bound:g}"


def compare(name: str, info: Any, sample: Any, call: Callable[..., Any]) -> str:
    """Outputs of a sample, and its gradients for some of the outputs'; says which were left out."""
    import torch

    where = f"{name}: {sample.summary()}"
    inputs = (sample.input, sample.args, sample.kwargs)
    expected = flat(info.op(sample.input, *sample.args, **sample.kwargs))
    x, args, kwargs = ours(inputs)
    got = flat(call(x, *args, **kwargs))
    for g, e in zip(got, expected, strict=True):
        agree(where, g.data, e)
    rng = np.random.default_rng(0)
    douts = [np.asarray(rng.standard_normal(e.shape), g.dtype) for g, e in zip(got, expected, strict=True)]
    pairs = [(g, e, d) for g, e, d in zip(got, expected, douts, strict=True) if e.requires_grad]
    if not pairs:
        return ""
    wanted = torch.autograd.grad(
        [e for _, e, _ in pairs],
        leaves(inputs),
        [torch.from_numpy(d) for *_, d in pairs],
        allow_unused=True,
    )
    sum(((g * d).sum() for g, _, d in pairs[1:]), (pairs[0][0] * pairs[0][2]).sum()).backward()
    terms = TERMS[name](douts[0], x.data, *args) if name in TERMS else 0
    found = [leaf.grad for leaf in leaves((x, args, kwargs))]
    for k, (gradient, expected) in enumerate(zip(found, wanted, strict=True)):
        if gradient is not None and expected is not None:
            agree(f"{where}: gradient {k}", gradient, expected, terms)
    missing = any(g is None and e is not None for g, e in zip(found, wanted, strict=True))
    return "no gradient of a constant" if missing else ""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(SAME))
def test_samples_agree(name, dtype):
    import torch
    from torch.testing._internal.common_methods_invocations import op_db

    theirs, call = SAME[name]
    infos = [o for o in op_db if f"{o.name}/{o.variant_test_name}".rstrip("/") in theirs.split()]
    assert len(infos) == len(theirs.split())
    different, compared = Counter(), 0
    for info in infos:
        for sample in info.sample_inputs("cpu", getattr(torch, dtype), requires_grad=info.supports_autograd):
            try:
                said = compare(name, info, sample, call or getattr(F, name))
                compared += 1
            except (Differs, TypeError, ValueError) as error:
                said = next((said for said, *_ in DIFFERENT if said in str(error)), "")
                if not said:
                    raise
            different.update([said] if said else [])
    assert compared
    assert different == {said: ops[name] for said, _, ops in DIFFERENT if name in ops}


def test_every_op_stands_somewhere():
    ops = {op.name for op in registry.values() if op.backward_of is None}
    assert not SAME.keys() & ELSEWHERE.keys()
    assert SAME.keys() | ELSEWHERE.keys() == ops
    assert {name for *_, counts in DIFFERENT for name in counts} <= SAME.keys()
