"""What a case is, and the inputs that many of them share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

EDGES = (1, 3, 4, 7, 8, 15, 16, 17, 33, 63, 64, 65, 1000)  # every remainder of every vector width, and more


class Sample:
    """Arguments of one call. Float arrays are float64 here and are cast to each dtype that is tried."""

    def __init__(self, *args: Any, **kwargs: Any):
        self.args, self.kwargs = args, kwargs

    def __repr__(self) -> str:
        words = [*map(_brief, self.args), *(f"{k}={_brief(v)}" for k, v in self.kwargs.items())]
        return f"({', '.join(words)})"

    def size(self) -> int:
        arrays = [x for a in self.args for x in (a if isinstance(a, list) else [a])]
        return sum(x.size for x in arrays if isinstance(x, np.ndarray))


class Bad(Sample):
    """Arguments that are refused, with the exception and a part of its text.

    `data` marks what only the values show (an id out of range): a kernel may have started by then.
    """

    def __init__(self, error: type[Exception], text: str, *args: Any, data: bool = False, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.error, self.text, self.data = error, text, data


@dataclass
class Case:
    """All that the generic tests and benchmarks need to know of an op.

    samples: made anew at each call; those of at most 300 elements also serve the gradient check.
    bad: what must be refused.
    bench: shapes to time, as samples (float64 here, timed in float32).
    torch: the same in PyTorch, called with the module and the sample's arguments as tensors.
    operations: multiplications and additions of a call and of its backward call, where they are what limits it, from
        the sample's arguments.
    ulps: error allowed against the float64 reference, in units of the dtype's epsilon times the largest value; a
        reason stands beside each that is not the default.
    """

    samples: Callable[[], Iterable[Sample]]
    bad: list[Bad] = field(default_factory=list)
    bench: Callable[[], Iterable[Sample]] = list
    torch: Callable[..., Any] | None = None
    operations: Callable[..., tuple[int, int]] | None = None
    ulps: float = 16


def _brief(x: Any) -> str:
    if isinstance(x, np.ndarray):
        return f"{x.dtype}{list(x.shape)}"
    if isinstance(x, (list, tuple)):
        return f"[{len(x)}]"
    return repr(x)


def normal(*shape: int, scale: float = 1.0, offset: float = 0.0, seed: int = 0) -> np.ndarray:
    """Normal numbers, rounded to float32 so that every dtype sees the same ones."""
    x = np.random.default_rng([seed, *shape]).standard_normal(shape) * scale + offset
    return np.asarray(x).astype(np.float32).astype(np.float64)


def integers(high: int, *shape: int, low: int = 0, seed: int = 0) -> np.ndarray:
    """Whole numbers in [low, high), int64."""
    return np.random.default_rng([seed, high, *shape]).integers(low, high, shape)


def score_rows() -> Iterable[np.ndarray]:
    """Rows of scores (N, V) with every remainder, and with extreme values."""
    yield normal(2, 5)
    yield normal(3, 7, scale=3)
    for v in EDGES:
        yield normal(3, v)
    yield normal(1, 257)
    yield normal(63, 1000)
    yield normal(1000, 3)
    yield normal(4, 50, offset=1e4)
    yield normal(4, 50, scale=1e4)
    yield np.where(normal(4, 50) > 0, 1e4, -1e4)
