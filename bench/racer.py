"""One side of a race, in a process of its own: `python racer.py train|decode SIDE SHAPE` prints {"seconds": of a call}.

Where PyTorch cannot compile it prints {"unable": why}.
"""

import json
import statistics
import sys
from typing import Any

from shapes import SHAPES, Shape
from side import measure

BUDGET = 5.0  # seconds, at least three calls


def race(job: str, side: str, shape: Shape) -> dict[str, Any]:
    if side == "octavo":
        import octavo_gpt

        call = octavo_gpt.make_step(shape) if job == "train" else octavo_gpt.make_decode(shape)
    else:
        import torch_gpt

        call = torch_gpt.make_step(shape, side == "compiled") if job == "train" else torch_gpt.make_decode(shape)
    try:
        return {"seconds": statistics.median(measure(call, BUDGET))}
    except RuntimeError as error:
        if side != "compiled":
            raise
        return {"unable": str(error).splitlines()[0]}


if __name__ == "__main__":
    job, side, shape = sys.argv[1:]
    print(json.dumps(race(job, side, SHAPES[shape])))
