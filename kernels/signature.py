"""What the arguments of an op may be: annotations, terms of the shape string, and the errors about them."""

import inspect
import re
import types as pytypes
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias, Union, get_args, get_origin

import numpy as np

from .device import BFLOAT16, is_float

Floats: TypeAlias = Annotated[np.ndarray, "float"]
Ints: TypeAlias = Annotated[np.ndarray, "integer"]
Bools: TypeAlias = Annotated[np.ndarray, "boolean"]
Arrays: TypeAlias = Annotated[np.ndarray, "any"]  # has a gradient if it holds floats
Constants: TypeAlias = Annotated[np.ndarray, "constant"]  # floats of which the op gives no gradient
Doubles: TypeAlias = Annotated[np.ndarray, "float64"]  # whatever the dtype of the others: saved for a backward op
Sums: TypeAlias = Annotated[np.ndarray, "sum"]  # losses and statistics: float32 where the others are bfloat16
Targets: TypeAlias = Annotated[np.ndarray, "float or integer"]  # ids, or floats of which the op gives no gradient
Scalar: TypeAlias = Annotated[np.ndarray, "scalar"]  # a parameter that only the device knows: no axes, float64 or int64
BFloats: TypeAlias = Annotated[np.ndarray, "uint16 (bits of bfloat16)"]
Compact: TypeAlias = Annotated[np.ndarray, "int8 or uint16 (bits of bfloat16)"]

KINDS = {  # kinds of dtypes, or dtypes
    "float": ("f",),
    "integer": ("i", "u"),
    "boolean": ("b",),
    "any": ("f", "i", "u", "b"),
    "constant": ("f",),
    "float64": ("f",),
    "sum": ("f",),
    "float or integer": ("f", "i", "u"),
    "uint16 (bits of bfloat16)": ("u2",),
    "int8 or uint16 (bits of bfloat16)": ("i1", "u2"),
}
FLOATS = (np.dtype(np.float32), np.dtype(np.float64), BFLOAT16)


class Interval(NamedTuple):
    """Bounds of a number, both included unless `open`: `Annotated[float, Interval(0, 1)]`; a whole one for `int`."""

    low: float = -np.inf
    high: float = np.inf
    open: str = ""  # "low", "high" or "both"
    whole: bool = False

    def __contains__(self, x: object) -> bool:
        numbers = (int, np.integer) if self.whole else (int, float, np.integer, np.floating)
        if isinstance(x, bool) or not isinstance(x, numbers):
            return False
        above = x > self.low if self.open in ("low", "both") else x >= self.low
        return bool(above and (x < self.high if self.open in ("high", "both") else x <= self.high))

    def __str__(self) -> str:
        left, right = (
            "(" if self.open in ("low", "both") else "[",
            ")" if self.open in ("high", "both") else "]",
        )
        return f"a {'whole ' * self.whole}number in {left}{self.low:g}, {self.high:g}{right}"


class One:
    """The gradient 1 of a loss by itself: fused losses, which hold their gradient ready, need not rescale it."""

    def __repr__(self) -> str:
        return "ONE"


ONE = One()


class Array(NamedTuple):
    """One array argument: its name, kind of dtype, shape term, and what else it may be."""

    name: str
    kind: str
    term: tuple[str, ...]
    optional: bool
    is_list: bool
    takes_one: bool

    @property
    def dtypes(self) -> str:
        """The kind in words."""
        words = re.sub(r"\bfloat or\b", "float32, float64, bfloat16 or", self.kind)
        return re.sub(r"\b(float|constant|sum)\b", "float32, float64 or bfloat16", words)

    def takes(self, dtype: np.dtype) -> bool:
        """Whether arrays of a dtype may come here."""
        kinds = KINDS[self.kind]
        if is_float(dtype):
            return "f" in kinds and dtype in FLOATS
        return dtype.str[1:] in kinds or dtype.kind in kinds


def require_ids(name: str, ids: np.ndarray, size: int, ignore_index: int | None = None, low: int = 0) -> None:
    """Raise ValueError where an id lies outside [low, size) and is not `ignore_index`."""
    bad = (ids < low) | (ids >= size)
    if ignore_index is not None:
        bad &= ids != ignore_index
    if bad.any():
        raise bad_id(name, ids, int(np.flatnonzero(bad)[0]), size, ignore_index, low)


def bad_id(name: str, ids: np.ndarray, position: int, size: int, ignore_index: int | None, low: int = 0) -> ValueError:
    """The error for the id at a flat position, outside [low, size): `name` is "op: argument"."""
    or_ignored = "" if ignore_index is None else f" (or ignore_index, {ignore_index})"
    at = tuple(int(i) for i in np.unravel_index(position, ids.shape))
    return ValueError(f"{name}: expected {low} <= id < {size}{or_ignored}, got {int(ids.flat[position])} at {at}")


def array_argument(parameter: inspect.Parameter, hint: Any, term: tuple[str, ...]) -> Array:
    """What a parameter's annotation and its shape term say."""
    options = get_args(hint) if get_origin(hint) in (Union, pytypes.UnionType) else (hint,)
    is_list = len(term) == 1 and term[0].startswith("*")
    elements = [get_args(o)[0] if get_origin(o) is list else o for o in options]
    kinds = [e.__metadata__[0] for e in elements if get_origin(e) is Annotated]
    if not kinds and is_list:
        kinds = ["float"]
    if not kinds:
        raise TypeError(f"{parameter.name}: expected the annotation Floats, Ints, Bools or Arrays, got {hint}")
    return Array(parameter.name, kinds[0], term, type(None) in options, is_list, One in options)


def is_discrete(hint: Any) -> bool:
    """Whether an op that is annotated to return this returns integers or booleans alone: nothing to differentiate."""
    options = get_args(hint) if get_origin(hint) is tuple else (hint,)
    return all(option in (Ints, Bools) for option in options)


def rule_of(hint: Any) -> Any:
    """What bounds a parameter: a tuple of words, an Interval, or None."""
    if get_origin(hint) in (Union, pytypes.UnionType):
        return next((rule for option in get_args(hint) if (rule := rule_of(option)) is not None), None)
    if get_origin(hint) is Literal:
        return get_args(hint)
    if get_origin(hint) is Annotated and isinstance(hint.__metadata__[0], Interval):
        return hint.__metadata__[0]._replace(whole=get_args(hint)[0] is int)
    return None


def may_be_scalar(hint: Any) -> bool:
    """Whether a parameter may also be a `Scalar`."""
    return Scalar in get_args(hint)


def describe(rule: Any) -> str:
    """A rule in words."""
    return " or ".join(map(repr, rule)) if type(rule) is tuple else str(rule)


_broadcast = lru_cache(4096)(np.broadcast_shapes)


@lru_cache(None)
def _parts(term: tuple[str, ...]) -> tuple[str, tuple[str | int, ...]]:
    """The group that a term begins with, or "", and its other sizes, literal ones as numbers."""
    group = term[0] if term and term[0].endswith("...") else ""
    return group, tuple(int(t) if t.isdigit() else t for t in (term[1:] if group else term))


def match(term: tuple[str, ...], shape: tuple[int, ...], sizes: dict[str, Any]) -> bool:
    """Whether a shape fits a term, given the sizes bound so far; binds the new ones."""
    group, fixed = _parts(term)
    before = len(shape) - len(fixed)
    if before < 0 or (before and not group):
        return False
    if group == "...":
        try:
            sizes[group] = _broadcast(sizes.get(group, ()), shape[:before])
        except ValueError:
            return False
    elif group and sizes.setdefault(group, shape[:before]) != shape[:before]:
        return False
    for i, t in enumerate(fixed, before):
        if (sizes.setdefault(t, shape[i]) if type(t) is str else t) != shape[i]:
            return False
    return True


def filled(token: str, sizes: dict[str, Any]) -> str:
    """A part of a shape term with the size that is bound to it."""
    value = sizes.get(token)
    if value is None:
        return token
    return ", ".join(map(str, value)) if isinstance(value, tuple) else f"{token}={value}"
