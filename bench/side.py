"""One side of a benchmark, in a process of its own: `python side.py SIDE NAME ...` prints {row: [seconds, ...]}."""

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from shapes import SHAPES

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
BUDGET = 0.3  # seconds for each row, at least three calls


def measure(call: Callable[[], Any], budget: float = BUDGET) -> list[float]:
    """Seconds of each call, after two that are not counted."""
    call()
    call()
    seconds: list[float] = []
    while len(seconds) < 3 or sum(seconds) < budget:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return seconds


def ops(side: str, names: list[str]) -> dict[str, list[float]]:
    """Forward and backward of each op on its benchmark samples, in float32."""
    from cases import find

    from octavo.kernels import registry

    rows = {}
    for name in names:
        op, case = registry[name], find(name)
        for sample in case.bench():
            args = [_float32(x) for x in op._bind(sample.args, sample.kwargs)]
            label = f"{name} {_shapes(args)}"
            if side == "torch":
                if case.torch is not None:
                    rows |= _torch(label, case.torch, sample, op.backward_name is not None)
                continue
            rows[label] = measure(lambda op=op, args=args: op(*args))
            if op.backward_name:
                outputs, saved = op.forward(*args)
                outputs = outputs if isinstance(outputs, tuple) else (outputs,)
                gradients = [[np.ones_like(y) for y in o] if isinstance(o, list) else np.ones_like(o) for o in outputs]
                rows[f"{label} backward"] = measure(lambda op=op, a=(*gradients, *saved): op.backward(*a))
    return rows


def _torch(label, function, sample, backward) -> dict[str, list[float]]:
    import torch

    args = [_tensor(torch, x, backward) for x in map(_float32, sample.args)]
    kwargs = {k: _tensor(torch, x, False) for k, x in sample.kwargs.items()}
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
    rows = ops(side, [n for n in names if n != "step"])
    if "step" in names:
        rows |= step(side)
    print(json.dumps(rows))
