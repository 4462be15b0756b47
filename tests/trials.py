"""Runs of an op: its arguments in any dtype, layout and place, its results in a flat list, and how near they are."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
from cases import Sample

import octavo
from octavo.kernels import ONE, Op, device
from octavo.kernels.bfloat16 import run_in_bfloat16
from octavo.kernels.device import BFLOAT16


def backward_arguments(op: Op, sample: Sample, cotangents: Any = None, *, ones: bool = False) -> list[Any]:
    args = op._bind(list(sample.args), sample.kwargs)
    outputs, saved = forward_reference(op, args)
    cotangents = [ONE] * len(outputs) if ones else cotangents or cotangents_of(outputs)
    return [*cotangents, *saved]


def forward_reference(op: Op, args: list[Any]) -> tuple[list[np.ndarray], tuple[Any, ...]]:
    with np.errstate(all="ignore"):
        results = op.reference(*args, True) if op.takes_save else op.reference(*args)
    results = results if isinstance(results, tuple) else (results,)
    results = tuple(np.asarray(r) if isinstance(r, np.generic) else r for r in results)
    saved = ()
    if op.backward_name:
        saved = op._kept(args, results)
    return list(results[: len(op.outputs)]), saved


def cotangents_of(outputs: list[Any]) -> list[Any]:
    rng = np.random.default_rng(7)

    def like(output: Any) -> Any:
        if isinstance(output, list):
            return [like(o) for o in output]
        return np.asarray(rng.standard_normal(output.shape)).astype(np.float32).astype(np.float64)

    return [like(o) for o in outputs]


def run(op: Op, args: list[Any], reference: bool = False, save: bool = True) -> list[Any]:
    """Outputs and what is saved on the side, flat; for an op that works in place, its lists afterwards."""
    body = op.reference if reference or op.view else op.kernel("cpu")
    with np.errstate(all="ignore"):
        return _outcome(op, args, body(*args, save) if op.takes_save else body(*args))


def _outcome(op: Op, args: list[Any], results: Any) -> list[Any]:
    if op.in_place:
        return [x for a, xs in zip(op.arrays, args, strict=False) if a.is_list and xs is not None for x in xs]
    return flat(results if isinstance(results, (tuple, list)) else [results])


def run_on_threads(op: Op, args: list[Any], threads: int) -> list[Any]:
    before = octavo.threads()
    octavo.threads(threads)
    device.poison(True)
    try:
        return [copied(r) for r in run(op, args)]
    finally:
        device.poison(False)
        octavo.threads(before)


def run_on_device(op: Op, args: list[Any], layout: Any) -> list[Any]:
    """As `run`, of arguments that are moved to the GPU."""
    moved = [_moved(layout(copied(x)), layout is strided) for x in args]
    body = op.reference if op.view else op.kernel("cuda")
    found = _outcome(op, moved, body(*moved, True) if op.takes_save else body(*moved))
    return [r if r is None else device.to(r, "cpu") for r in found]


def _moved(x: Any, strided: bool) -> Any:
    """Arrays on the GPU, their strides with them."""
    if isinstance(x, list) and x and isinstance(x[0], np.ndarray):
        return [_moved(e, strided) for e in x]
    if not isinstance(x, (np.ndarray, np.generic)):
        return x
    if strided and x.ndim and x.base is not None:
        return device.to(x.base, "cuda")[..., 1::2]
    return device.to(np.asarray(x), "cuda")


def run_in_halves(op: Op, place: str, args: list[Any]) -> list[Any]:
    """As `run`, of arguments in bfloat16, on a device."""
    moved = [_moved(copied(x), False) if place == "cuda" else copied(x) for x in args]
    with np.errstate(all="ignore"):
        found = run_in_bfloat16(op, op._choose(place), place, *moved, *([True] if op.takes_save else []))
    return _outcome(op, moved, found)


@contextmanager
def running_ahead(on: bool) -> Iterator[None]:
    target = import_module("octavo.kernels.cuda.runtime").target()
    target.schedule = "run-ahead" if on else "lockstep"
    yield
    target.schedule = "lockstep"


def compare(where: str, got: Any, expected: Any, dtype: Any, ulps: float, is_output: bool) -> None:
    if expected is None:
        assert got is None, f"{where}: got {got!r}, expected None"
        return
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape, f"{where}: shape {got.shape}, expected {expected.shape}"
    if expected.dtype.kind != "f":
        assert got.dtype.kind == expected.dtype.kind, f"{where}: dtype {got.dtype}, expected {expected.dtype}"
        assert np.array_equal(got, expected), f"{where}: got {got}, expected {expected}"
        return
    if is_output:
        assert got.dtype == dtype, f"{where}: dtype {got.dtype}, expected {np.dtype(dtype)}"
    finite = np.isfinite(expected)
    assert np.array_equal(got[~finite], expected[~finite], equal_nan=True), f"{where}: NaN or inf elsewhere"
    error = np.abs(np.where(finite, got, 0) - np.where(finite, expected, 0))
    scale = np.abs(expected[finite]).max(initial=0.0)
    bound = ulps * np.finfo(dtype).eps * scale + np.finfo(dtype).tiny
    if not (error <= bound).all():
        at = np.unravel_index(int(np.argmax(np.nan_to_num(error, nan=np.inf))), error.shape)
        raise AssertionError(
            f"{where} at {list(map(int, at))}: got {got[at]}, expected {expected[at]}: "
            f"{error[at] / (np.finfo(dtype).eps * max(scale, np.finfo(dtype).tiny)):.0f} ulps of the largest, "
            f"allowed {ulps:g}"
        )


def same_bits(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    return np.asarray(a).tobytes() == np.asarray(b).tobytes()


def listed(x: Any) -> list[Any]:
    return x if isinstance(x, list) else [x]


def flat(xs: Any) -> list[Any]:
    return [e for x in xs for e in listed(x)]


def cast(x: Any, dtype: Any) -> Any:
    if isinstance(x, (list, tuple)) and x and isinstance(x[0], np.ndarray):
        return type(x)(cast(e, dtype) for e in x)
    return x.astype(dtype) if isinstance(x, np.ndarray) and device.is_float(x.dtype) else x


def in_dtype(op: Op, args: list[Any], dtype: Any) -> list[Any]:
    """Floats in a dtype, but for those that are float64 whatever the others are."""
    fixed = {a.name for a in op.arrays if a.kind == "float64"}
    return [x if name in fixed else cast(x, dtype) for name, x in zip(op.names, args, strict=True)]


def halves(op: Op, args: list[Any]) -> list[Any]:
    """Floats in bfloat16, but for those that are wider."""
    kinds = {a.name: a.kind for a in op.arrays}
    dtypes = [{"sum": np.float32, "float64": np.float64}.get(kinds.get(name, ""), BFLOAT16) for name in op.names]
    return [cast(x, dtype) for x, dtype in zip(args, dtypes, strict=True)]


def copied(x: Any) -> Any:
    if isinstance(x, list) and x and isinstance(x[0], np.ndarray):
        return [e.copy() for e in x]
    return x.copy() if isinstance(x, np.ndarray) else x


def _on_arrays(layout):
    def apply(x: Any) -> Any:
        if isinstance(x, list) and x and isinstance(x[0], np.ndarray):
            return [layout(e) for e in x]
        return layout(x) if isinstance(x, np.ndarray) else x

    apply.__name__ = layout.__name__
    return apply


@_on_arrays
def _read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


@_on_arrays
def strided(x):
    if x.ndim == 0:
        return x
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1] + 1), x.dtype)
    wide[..., 1::2] = x
    return wide[..., 1::2]


@_on_arrays
def _transposed(x):
    return x.copy(order="F")


@_on_arrays
def _unaligned(x):
    raw = np.zeros(x.nbytes + 1, np.uint8)
    view = raw[1:].view(x.dtype) if x.itemsize == 1 else np.ndarray(x.shape, x.dtype, raw.data, 1)
    view = view.reshape(x.shape)
    view[...] = x
    return view


LAYOUTS = (copied, _read_only, strided, _transposed, _unaligned)
