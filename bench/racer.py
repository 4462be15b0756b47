"""One side of a race, in a process of its own: `python racer.py JOB SIDE PRECISION BUDGET SHAPE ...`.

Prints {"seconds": of a call}, for products and attention also {"rows": {row: seconds}}, for a loss {"memory": bytes at
its peak beyond those before it}, for a curve, whose SHAPE is followed by its steps and its learning rate, {"losses": of
each}, or {"unable": why}. PRECISION: of decoding in Octavo, the form of the weights. BUDGET: seconds of calls for each
row, at least three calls.
"""

import json
import resource
import statistics
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

import psutil
from shapes import OPS, SHAPES, Shape, sizes, warmed_up, work
from side import measure

FEW = (64, 64, 128)  # N, C and V of a loss that loads what is loaded once


def race(job: str, side: str, precision: str, budget: float, shapes: list[str]) -> dict[str, Any]:
    library = "octavo" if side in ("octavo", "recomputing") else "torch"
    if library == "octavo" and job != "decode":
        import octavo

        if (used := octavo.precision(precision)) != precision:
            return {"unable": f"this processor has no unit for it; it would run as {used}"}
    peer = import_module(f"{library}_{'ops' if job in OPS else 'gpt'}")
    if job in OPS:
        return _ops(job, peer, precision, budget, shapes)
    if job == "curve":
        size, steps, peak = shapes
        rates = warmed_up(float(peak), int(steps))
        return {"losses": peer.losses(Shape(*sizes(size)), rates, *([] if library == "octavo" else [precision]))}
    shape = SHAPES[shapes[0]]
    if job == "decode":
        call = peer.make_decode(shape, precision)
    else:
        how = [side == "recomputing"] if library == "octavo" else [precision, side == "compiled"]
        call = peer.make_step(shape, *how)
    if job == "start":
        call()
        return {}
    try:
        return {"seconds": statistics.median(measure(call, budget))}
    except RuntimeError as error:
        if side != "compiled":
            raise
        return {"unable": str(error).splitlines()[0]}


def _ops(job: str, peer: ModuleType, precision: str, budget: float, shapes: list[str]) -> dict[str, Any]:
    if precision == "bf16":
        peer.torch.set_default_dtype(peer.torch.bfloat16)
    make = getattr(peer, job)
    if job == "loss":
        make(*FEW)()
        call = make(*sizes(shapes[0]))
        return {"memory": _extra(call), "seconds": statistics.median(measure(call, budget))}
    seconds = {}
    for shape in shapes:
        for row, call in zip(work(job, shape), make(*sizes(shape)), strict=True):
            seconds[row] = statistics.median(measure(call, budget))
    return {"seconds": sum(seconds.values()), "rows": seconds}


def _extra(call: Any) -> int:
    before = psutil.Process().memory_info().rss
    call()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return peak - before


if __name__ == "__main__":
    job, side, precision, budget, *shapes = sys.argv[1:]
    print(json.dumps(race(job, side, precision, float(budget), shapes)))
