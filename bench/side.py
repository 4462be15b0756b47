"""One side of a benchmark, in a process of its own: `python side.py SIDE NAME ...` prints a line of JSON for each NAME.

It has "name", "rows", {row: [seconds, ...]}, "work", {row: [bytes read and written, multiplications and additions]},
and, the first one of the side octavo, "limits": how many of each this machine does in a second. With
OCTAVO_BENCH_QUICK=1 in the environment a row takes a tenth of the time, and a slow one two calls.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from place import BATCH, DEVICE, bandwidth, finish, placed
from shapes import SHAPES

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
QUICK = os.environ.get("OCTAVO_BENCH_QUICK", "0") != "0"
BUDGET, CALLS = (0.03, 1) if QUICK else (0.3, 3)  # seconds for each row, of at least so many calls
CHAIN = 100  # ops in a row


def measure(call: Callable[[], Any], budget: float = BUDGET) -> list[float]:
    """Seconds of each call, after one or two that are not counted; on a GPU, of a batch of them, divided."""
    for _ in range(min(2, CALLS)):
        call()
    finish()
    seconds: list[float] = []
    while len(seconds) < CALLS or sum(seconds) * BATCH < budget:
        start = time.perf_counter()
        for _ in range(BATCH):
            call()
        finish()
        seconds.append((time.perf_counter() - start) / BATCH)
    return seconds


def ops(side: str, names: list[str]) -> tuple[dict[str, list[float]], dict[str, tuple[int, int]]]:
    """Forward and backward of each op on its benchmark samples, in float32: seconds, and bytes and operations."""
    from cases import find

    from octavo.kernels import registry

    rows, work = {}, {}
    for name in names:
        op, case = registry[name], find(name)
        for sample in case.bench():
            args = [_float32(x) for x in op._bind(sample.args, sample.kwargs)]
            along = f", dim={sample.kwargs['dim']}" if "dim" in sample.kwargs else ""
            label = f"{name} {_shapes(args)}{along}"
            if side == "torch":
                if case.torch is not None:
                    rows |= _torch(label, case.torch, sample, op.backward_name is not None)
                continue
            operations = (0, 0) if case.operations is None else case.operations(*args)
            args = [placed(x) for x in args]
            work[label] = _traffic(op, args), operations[0]
            rows[label] = measure(lambda op=op, args=args: op(*args))
            if op.backward_name:
                outputs, saved = op.forward(*args)
                outputs = outputs if isinstance(outputs, tuple) else (outputs,)
                gradients = [[_ones(y) for y in o] if isinstance(o, list) else _ones(o) for o in outputs]
                back = (*gradients, *saved)
                work[f"{label} backward"] = _traffic(op.backward, back), operations[1]
                rows[f"{label} backward"] = measure(lambda op=op, back=back: op.backward(*back))
    return rows, work


def _ones(x: Any) -> Any:
    return placed(np.ones(x.shape, x.dtype))


def _traffic(op: Any, args: Sequence[Any]) -> int:
    """Bytes of the arrays that a call takes and of those that it gives back or changes."""
    arrays = list(_arrays(args))
    before = [_host(x).copy() for x in arrays] if op.in_place else []
    results = op(*args)
    changed = [x for x, old in zip(arrays, before, strict=False) if not np.array_equal(_host(x), old)]
    return sum(x.nbytes for x in [*arrays, *changed, *_arrays([results])])


def _host(x: Any) -> np.ndarray:
    from octavo.kernels import device

    return device.to(x, "cpu")


def _arrays(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _arrays(value)
        elif hasattr(value, "nbytes") and not isinstance(value, np.generic):
            yield value


def _torch(label, function, sample, backward) -> dict[str, list[float]]:
    import torch

    args = [placed(_tensor(torch, x, backward)) for x in map(_float32, sample.args)]
    kwargs = {k: placed(_tensor(torch, x, False)) for k, x in sample.kwargs.items()}
    with torch.no_grad():
        rows = {label: measure(lambda: function(torch, *args, **kwargs))}
    if backward:
        listed = [x for a in args for x in (a if isinstance(a, list) else [a])]
        inputs = [a for a in listed if isinstance(a, torch.Tensor) and a.requires_grad]
        out = function(torch, *args, **kwargs)
        outputs = out if isinstance(out, tuple) else (out,)
        ones = [torch.ones_like(y) for y in outputs]
        rows[f"{label} backward"] = measure(lambda: torch.autograd.grad(outputs, inputs, ones, retain_graph=True))
    return rows


def step(side: str) -> dict[str, list[float]]:
    """A training step of the nano GPT: loss, gradients, clipping, AdamW."""
    gpt, shape = import_module("torch_gpt" if side == "torch" else "octavo_gpt"), SHAPES["nano"]
    return {f"step of nano GPT, {shape.batch} x {shape.context}": measure(gpt.make_step(shape), 3)}


def tape(side: str) -> dict[str, list[float]]:
    """An op of one number through the tape: what it costs is Python's, but for its kernel's microsecond."""
    if side == "torch":
        import torch

        x = placed(torch.ones(1, requires_grad=True))
    else:
        from octavo.nn import Tensor

        x = Tensor(placed(np.ones(1, np.float32)), requires_grad=True)

    def forward() -> Any:
        y = x
        for _ in range(CHAIN):
            y = y.exp()
        return y

    calls = {"forward": forward, "forward and backward": lambda: forward().backward()}
    return {f"exp of one number with its gradient, {k}": [s / CHAIN for s in measure(c)] for k, c in calls.items()}


EXTRAS = {"tape": tape, "step": step}


def _float32(x: Any) -> Any:
    if isinstance(x, list) and x and isinstance(x[0], np.ndarray):
        return [_float32(e) for e in x]
    return x.astype(np.float32) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x


def _tensor(torch: Any, x: Any, gradient: bool) -> Any:
    if isinstance(x, list) and x and isinstance(x[0], np.ndarray):
        return [_tensor(torch, e, gradient) for e in x]
    if not isinstance(x, np.ndarray):
        return x
    return torch.from_numpy(x.copy()).requires_grad_(gradient and x.dtype.kind == "f")


def _shapes(args: list[Any]) -> str:
    arrays = [x[0] if isinstance(x, list) and x else x for x in args]
    return ", ".join("x".join(map(str, x.shape)) or "()" for x in arrays if isinstance(x, np.ndarray))


if __name__ == "__main__":
    side, *names = sys.argv[1:]
    told: dict[str, Any] = {}
    if side == "octavo":
        from octavo.kernels.cpu import limits

        told["limits"] = [limits.bandwidth(), limits.arithmetic()] if DEVICE == "cpu" else [bandwidth(), 0]
    for name in names:
        rows, work = (EXTRAS[name](side), {}) if name in EXTRAS else ops(side, [name])
        print(json.dumps(told | {"name": name, "rows": rows, "work": work}), flush=True)
        told.clear()
