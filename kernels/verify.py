"""Every op beside its float64 reference, on the user's own data."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from . import device
from .dispatch import Op, watching

__all__ = ["Row", "Verification", "verify"]


@dataclass
class Row:
    """What is known of an op.

    Attributes:
        calls: how often it ran.
        error: the largest difference from the reference in a call, over the reference's largest value there; of
            integers and booleans the share that differs.
        ulps: the same in units of the dtype's epsilon.
        strays: values that are finite in one and not in the other.
        worst: arguments of the call with that error.
    """

    calls: int = 0
    error: float = 0.0
    ulps: float = 0.0
    strays: int = 0
    worst: str = ""


class Verification(dict[str, Row]):
    """Rows by name of the op; as text a table, the largest errors first."""

    def __str__(self) -> str:
        if not self:
            return "no op ran"
        lines = [f"{'op':<32}{'calls':>7}{'error':>10}{'ulps':>8}{'strays':>8}  worst call"]
        for name, row in sorted(self.items(), key=lambda item: (-item[1].strays, -item[1].ulps)):
            lines.append(f"{name:<32}{row.calls:>7}{row.error:>10.1e}{row.ulps:>8.1f}{row.strays:>8}  {row.worst}")
        return "\n".join(lines)


@contextmanager
def verify() -> Iterator[Verification]:
    """Within, every op also runs as its NumPy reference in float64, on the arguments that it is given.

    Yields what becomes, call by call, the table of errors: `with octavo.verify() as errors: ...; print(errors)`.
    Each op is compared on its own inputs, so errors do not add up from op to op. Views compute nothing and are left
    out. The references are slow, and hold every array once more in float64.
    """
    found = Verification()

    def watch(op: Op, run: Any, *args: Any) -> Any:
        if op.view:
            return run(*args)
        exact = [_double(x) for x in args]
        results = run(*args)
        with np.errstate(all="ignore"):
            expected = op.reference(*exact)
        got, right = (args, exact) if op.in_place else (results, expected)
        _enter(found.setdefault(op.name, Row()), op, args, list(zip(_arrays(got), _arrays(right), strict=True)))
        return results

    with watching(watch):
        yield found


def _enter(row: Row, op: Op, args: tuple[Any, ...], pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    row.calls += 1
    for got, expected in pairs:
        error, ulps, strays = _difference(got, np.asarray(expected))
        row.strays += strays
        if not row.worst or ulps > row.ulps:
            row.error, row.ulps, row.worst = error, ulps, _brief(op, args)


def _difference(got: np.ndarray, expected: np.ndarray) -> tuple[float, float, int]:
    """(error, the same in ulps, how many are finite in one alone)."""
    if not device.is_float(got.dtype):
        share = float(np.mean(got != expected)) if got.size else 0.0
        return share, share, 0
    finite = np.isfinite(expected)
    strays = int((finite != np.isfinite(got)).sum())
    both = finite & np.isfinite(got)
    largest = np.abs(expected[both]).max(initial=0.0)
    error = float(np.abs(got[both] - expected[both]).max(initial=0.0) / largest) if largest else 0.0
    return error, error / float(ml_dtypes.finfo(got.dtype).eps), strays


def _double(x: Any) -> Any:
    if isinstance(x, (list, tuple)) and x and device.is_array(x[0]):
        return [_double(y) for y in x]
    if not device.is_array(x):
        return x
    x = device.to(x, "cpu")
    return x.astype(np.float64) if device.is_float(x.dtype) else x


def _arrays(values: Any) -> list[np.ndarray]:
    if isinstance(values, (list, tuple)):
        return [x for value in values for x in _arrays(value)]
    if isinstance(values, np.generic):
        return [np.asarray(values)]
    return [device.to(values, "cpu")] if device.is_array(values) else []


def _brief(op: Op, args: tuple[Any, ...]) -> str:
    shown = []
    for name, x in zip(op.names, args, strict=False):
        if device.is_array(x):
            shown.append(f"{name} {x.dtype} {x.shape}")
        elif isinstance(x, (list, tuple)) and x and device.is_array(x[0]):
            shown.append(f"{name} {len(x)} arrays")
    return ", ".join(shown)
