"""What every op must pass, whoever wrote it. Each check raises AssertionError with the op, the argument, the place,
what came and what was expected. The tests run them over the registry; the benchmarks run them before they time."""

import ast
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from cases import Sample, find
from differences import central

import octavo
from octavo.kernels import ONE, Op, device, registry
from octavo.kernels.bfloat16 import run_in_bfloat16
from octavo.kernels.cpu import unit
from octavo.kernels.cpu.kernel import kernels

DTYPES = (np.float32, np.float64)
BFLOAT16 = device.BFLOAT16
BACKENDS = ("cpu",)
GRADIENT_SIZE = 300


def samples_of(op: Op) -> Iterator[Sample]:
    """An op's samples; those of a backward op are made from its forward op's."""
    case = find(op.name)
    if op.backward_of is None:
        yield from case.samples()
        return
    forward = registry[op.backward_of]
    for sample in case.samples():
        for ones in (False, True) if op.arrays[0].takes_one else (False,):
            yield Sample(*_backward_arguments(forward, sample, ones=ones))


def gradient(op: Op) -> None:
    """1. The float64 reference's gradients against central differences, in every entry of the small samples."""
    checked = 0
    for sample in find(op.name).samples():
        if sample.size() > GRADIENT_SIZE:
            continue
        checked += 1
        args = [_copy(a) for a in op._bind(list(sample.args), sample.kwargs)]
        cotangents = _cotangents(_reference(op, args)[0])
        with np.errstate(all="ignore"):
            found = op.backward.reference(*_backward_arguments(op, sample, cotangents))
        found = dict(zip(op.differentiable, found if isinstance(found, tuple) else (found,), strict=True))
        for name, given in found.items():
            x = args[op.names.index(name)]
            if x is None:
                assert given is None, f"{op.name}{sample}: gradient of {name}, which was not given"
                continue
            for k, (array, its) in enumerate(zip(_listed(x), _listed(given), strict=True)):
                if array.dtype.kind != "f":
                    continue
                where = f"{op.backward.name}{sample}: d{name}" + f"[{k}]" * isinstance(x, list)
                assert its.shape == array.shape, f"{where}: shape {its.shape}, expected {array.shape}"
                _compare_differences(where, op, args, array, cotangents, its)
    assert checked, f"{op.name}: no sample of at most {GRADIENT_SIZE} elements for the gradient check"


def _compare_differences(where, op, args, x, cotangents, given) -> None:
    """Move each element of x, which is one of args or in a list of them."""

    def value() -> float:
        pairs = zip(_flat(cotangents), _flat(_reference(op, args)[0]), strict=True)
        return sum(float((c * np.where(np.isfinite(o), o, 0)).sum()) for c, o in pairs)

    for at, expected, rounding in central(value, x):
        tolerance = 1e-6 * max(1.0, abs(expected)) + rounding
        assert abs(given[at] - expected) <= tolerance, (
            f"{where}{list(at)}: got {given[at]}, differences give {expected}"
        )


def parity(op: Op, backend: str = "cpu") -> None:
    """2. A backend against the float64 reference, over dtypes, layouts and threads; the same bits each time."""
    ulps = find(op.name).ulps
    for sample in samples_of(op):
        bound = op._bind(list(sample.args), sample.kwargs)
        for dtype in DTYPES:
            args = [_cast(x, dtype) for x in bound]
            expected = _results(op, [_cast(_copy(x), np.float64) for x in args], reference=True)
            first = None
            for layout in (_copy,) if op.in_place else LAYOUTS:
                for threads in (1, octavo.threads()):
                    got = _run(op, [layout(x) for x in args], threads)
                    where = f"{op.name}{sample} {np.dtype(dtype).name} {layout.__name__} {threads} threads"
                    if first is None:
                        first = got
                        typed = 0 if op.no_gradient else len(op.outputs)
                        for k, (g, e) in enumerate(zip(got, expected, strict=True)):
                            _compare(f"{where}: result {k}", g, e, dtype, ulps, k < typed)
                        if op.takes_save:
                            _compare_unsaved(op, where, args, expected, dtype, ulps)
                    for k, (g, f) in enumerate(zip(got, first, strict=True)):
                        assert _same_bits(g, f), f"{where}: result {k} differs from the first run's bits"


def on_device(op: Op, most: float = 3000) -> None:
    """2. for arrays on the GPU: samples of at most so many elements in all, or the smallest one.

    In float32 as they are; the smallest also in float64, strided, and then with the same bits; in the emulator this
    second run lets warps run ahead to their barriers.
    """
    ulps = find(op.name).ulps
    samples = sorted(samples_of(op), key=Sample.size)
    for k, sample in enumerate(s for s in samples if s is samples[0] or s.size() <= most):
        bound = op._bind(list(sample.args), sample.kwargs)
        for dtype in DTYPES[: 1 if k else 2]:
            args = _typed(op, bound, dtype)
            expected = _results(op, [_cast(_copy(x), np.float64) for x in args], reference=True)
            first = None
            for layout in (_copy,) if k or op.in_place else (_copy, _strided):
                with _running_ahead(first is not None):
                    got = _device_results(op, args, layout)
                where = f"{op.name}{sample} {np.dtype(dtype).name} {layout.__name__} on the GPU"
                typed = 0 if op.no_gradient else len(op.outputs)
                for r, (g, e) in enumerate(zip(got, expected, strict=True)):
                    _compare(f"{where}: result {r}", g, e, dtype, ulps, r < typed)
                    assert first is None or _same_bits(g, first[r]), f"{where}: result {r} differs from the first run's"
                first = got


def in_bfloat16(op: Op, place: str = "cpu", most: float = 600) -> None:
    """2. in bfloat16: samples of at most so many elements in all, or the smallest one.

    The reference is of the same, rounded, arguments. Results have been rounded once more, by at most 2^-8, and on a
    GPU so may have been what they were made of; losses and statistics are as near as in float32.
    """
    ulps = find(op.name).ulps
    samples = sorted(samples_of(op), key=Sample.size)
    for sample in (s for s in samples if s is samples[0] or s.size() <= most):
        bound = op._bind(list(sample.args), sample.kwargs)
        args = _in_halves(op, bound)
        expected = _results(op, [_cast(_copy(x), np.float64) for x in args], reference=True)
        results = _bfloat16_results(op, place, args)
        wide = [False] * len(expected) if op.in_place or len(op.wide) != len(expected) else op.wide
        where = f"{op.name}{sample} bfloat16 on {place}"
        for k, (g, e, stays) in enumerate(zip(results, expected, wide, strict=True)):
            got = g if g is None else device.to(g, "cpu")
            with np.errstate(over="ignore"):
                e = e if e is None or e.dtype.kind != "f" else e.astype(np.float32)
            if e is None or e.dtype.kind != "f":
                _compare(f"{where}: result {k}", got, e, np.float32, ulps, False)
                continue
            is_rounded = got.dtype == BFLOAT16
            assert is_rounded != (stays or got.dtype == np.float64), f"{where}: result {k} is {got.dtype}"
            roundings = is_rounded * (2 if place == "cuda" else 1) * 2**-8 / np.finfo(np.float32).eps
            _compare(f"{where}: result {k}", got.astype(np.float32), e, np.float32, ulps + roundings, False)


def _in_halves(op: Op, args: list[Any]) -> list[Any]:
    """Floats in bfloat16, but for those that are wider."""
    kinds = {a.name: a.kind for a in op.arrays}
    dtypes = [{"sum": np.float32, "float64": np.float64}.get(kinds.get(name, ""), BFLOAT16) for name in op.names]
    return [_cast(x, dtype) for x, dtype in zip(args, dtypes, strict=True)]


def _bfloat16_results(op: Op, place: str, args: list[Any]) -> list[Any]:
    """Flat, as `_results`; on a device."""
    moved = [_moved(_copy(x), False) if place == "cuda" else _copy(x) for x in args]
    with np.errstate(all="ignore"):
        found = run_in_bfloat16(op, op._choose(place), place, *moved, *([True] if op.takes_save else []))
    if op.in_place:
        return [x for a, xs in zip(op.arrays, moved, strict=False) if a.is_list and xs is not None for x in xs]
    return _flat(found if isinstance(found, (tuple, list)) else [found])


@contextmanager
def _running_ahead(on: bool) -> Iterator[None]:
    target = import_module("octavo.kernels.cuda.runtime").target()
    target.schedule = "run-ahead" if on else "lockstep"
    yield
    target.schedule = "lockstep"


def launch_all(op: Op) -> None:
    """Run an op on the GPU for all of its samples, dtypes and, of float32, precisions, whatever comes out."""
    if op.name in getattr(import_module(f"octavo.kernels.cuda.{op.family}"), "LACKS", {}):
        return
    for sample in samples_of(op):
        bound = op._bind(list(sample.args), sample.kwargs)
        for dtype in DTYPES:
            _device_results(op, _typed(op, bound, dtype), _copy)
        device._precision = "medium"
        try:
            _device_results(op, _typed(op, bound, np.float32), _copy)
        finally:
            device._precision = "highest"
        _bfloat16_results(op, "cuda", _in_halves(op, bound))


def _typed(op: Op, args: list[Any], dtype: Any) -> list[Any]:
    """Floats in a dtype, but for those that are float64 whatever the others are."""
    fixed = {a.name for a in op.arrays if a.kind == "float64"}
    return [x if name in fixed else _cast(x, dtype) for name, x in zip(op.names, args, strict=True)]


def _device_results(op: Op, args: list[Any], layout: Any) -> list[Any]:
    moved = [_moved(layout(_copy(x)), layout is _strided) for x in args]
    run = op.reference if op.view else op.kernel("cuda")
    results = run(*moved, True) if op.takes_save else run(*moved)
    if op.in_place:
        results = [x for a, xs in zip(op.arrays, moved, strict=False) if a.is_list and xs is not None for x in xs]
    found = _flat(results if isinstance(results, (tuple, list)) else [results])
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


def _compare_unsaved(op, where, args, expected, dtype, ulps) -> None:
    got = _results(op, args, save=False)
    for k, g in enumerate(got):
        if k < len(op.outputs):
            _compare(f"{where} save=False: result {k}", g, expected[k], dtype, ulps, True)
        else:
            assert g is None, f"{where} save=False: result {k} is {type(g).__name__}, expected None"


def bad(op: Op) -> None:
    """3. Bad input raises the documented error, and no backend is entered for what metadata show."""
    case = find(op.name)
    assert case.bad or op.backward_of, f"{op.name}: no bad input in its case"
    for sample in case.bad if op.backward_of is None else ():
        entered = []
        kernel = None if op.view else op.kernel("cpu")
        op._kernels["cpu"] = lambda *a, kernel=kernel, entered=entered: entered.append(1) or kernel(*a)
        try:
            op(*sample.args, **sample.kwargs)
        except sample.error as error:
            assert sample.text in str(error), f"{op.name}{sample}: got the text {error}, expected {sample.text}"
        except Exception as error:
            raise AssertionError(f"{op.name}{sample}: raised {error!r}, expected {sample.error.__name__}") from error
        else:
            raise AssertionError(f"{op.name}{sample}: accepted, expected {sample.error.__name__}")
        finally:
            op._kernels.pop("cpu")
        assert sample.data or not entered, f"{op.name}{sample}: refused only after a backend had been entered"


def reached(family: str) -> None:
    """4. Every kernel of a family runs for some sample of the family's ops, in one of the precisions."""
    import_module(f"octavo.kernels.cpu.{family}")
    ours = [k for k in kernels if k.fn.__module__ == f"octavo.kernels.cpu.{family}"]
    for kernel in ours:
        kernel.launched = 0
    for precision in device.PRECISIONS if unit.bf16() else ("highest",):
        device._precision = precision  # also one that this processor has no use for
        try:
            _run_samples(family)
        finally:
            device._precision = "highest"
        idle = [k.name for k in ours if not k.launched]
        if not idle:
            break
    assert not idle, f"no sample of tests/cases/{family}.py reaches {', '.join(idle)}"


def _run_samples(family: str) -> None:
    for op in registry.values():
        if op.family != family or op.view:
            continue
        for sample in samples_of(op):
            for dtype in DTYPES:
                _results(op, [_cast(_copy(x), dtype) for x in op._bind(list(sample.args), sample.kwargs)])


def complete(op: Op, backend: str = "cpu") -> None:
    """Each backend has the op, with the same name and parameters, in the file of the same name, or says why not."""
    if op.view:
        return
    folders = import_module(f"octavo.kernels.{backend}").__path__
    found = any(Path(folder, f"{op.family}.py").exists() for folder in folders)
    assert found, f"{op.name}: {backend}/{op.family}.py is missing"
    module = import_module(f"octavo.kernels.{backend}.{op.family}")
    reason = getattr(module, "LACKS", {}).get(op.name)
    if reason is not None:
        assert len(reason.split()) > 2, f"{op.name}: {backend} says no reason why it lacks it"
        return
    kernel = getattr(module, op.name, None)
    assert kernel is not None, f"{op.name}: {backend}/{op.family}.py has no such function"
    expected = list(inspect.signature(op.reference).parameters)
    got = list(inspect.signature(kernel).parameters)
    assert got == expected, f"{op.name}: {backend} takes {got}, the op {expected}"


def documented(op: Op) -> None:
    """A public op says what it computes; its docstring is at most 25 lines."""
    lines = (op.__doc__ or "").strip().splitlines()
    assert lines, f"{op.name}: no docstring"
    assert len(lines) <= 25, f"{op.name}: docstring of {len(lines)} lines, at most 25"
    if op.backward_of is None:
        for word in ("Args:", "Source:"):
            assert any(word in line for line in lines), f"{op.name}: its docstring has no {word!r}"


def public_functions(path: Path) -> set[str]:
    """Names of the functions that a file of `ops/` decorates with @op."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(d, ast.Call) and getattr(d.func, "id", "") == "op" for d in node.decorator_list)
    }


def _backward_arguments(op: Op, sample: Sample, cotangents: Any = None, *, ones: bool = False) -> list[Any]:
    args = op._bind(list(sample.args), sample.kwargs)
    outputs, saved = _reference(op, args)
    cotangents = [ONE] * len(outputs) if ones else cotangents or _cotangents(outputs)
    return [*cotangents, *saved]


def _reference(op: Op, args: list[Any]) -> tuple[list[np.ndarray], tuple[Any, ...]]:
    with np.errstate(all="ignore"):
        results = op.reference(*args, True) if op.takes_save else op.reference(*args)
    results = results if isinstance(results, tuple) else (results,)
    results = tuple(np.asarray(r) if isinstance(r, np.generic) else r for r in results)
    saved = ()
    if op.backward_name:
        saved = op._kept(args, results)
    return list(results[: len(op.outputs)]), saved


def _cotangents(outputs: list[Any]) -> list[Any]:
    rng = np.random.default_rng(7)

    def like(output: Any) -> Any:
        if isinstance(output, list):
            return [like(o) for o in output]
        return np.asarray(rng.standard_normal(output.shape)).astype(np.float32).astype(np.float64)

    return [like(o) for o in outputs]


def _listed(x: Any) -> list[Any]:
    return x if isinstance(x, list) else [x]


def _flat(xs: Any) -> list[Any]:
    return [e for x in xs for e in _listed(x)]


def _results(op: Op, args: list[Any], reference: bool = False, save: bool = True) -> list[Any]:
    """Outputs and what is saved on the side, flat; for an op that works in place, its lists afterwards."""
    run = op.reference if reference or op.view else op.kernel("cpu")
    with np.errstate(all="ignore"):
        results = run(*args, save) if op.takes_save else run(*args)
    if op.in_place:
        return [x for a, xs in zip(op.arrays, args, strict=False) if a.is_list and xs is not None for x in xs]
    return _flat(results if isinstance(results, tuple) else [results])


def _run(op: Op, args: list[Any], threads: int) -> list[Any]:
    before = octavo.threads()
    octavo.threads(threads)
    device.poison(True)
    try:
        return [_copy(r) for r in _results(op, args)]
    finally:
        device.poison(False)
        octavo.threads(before)


def _compare(where: str, got: Any, expected: Any, dtype: Any, ulps: float, is_output: bool) -> None:
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


def _same_bits(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    return np.asarray(a).tobytes() == np.asarray(b).tobytes()


def _cast(x: Any, dtype: Any) -> Any:
    if isinstance(x, (list, tuple)) and x and isinstance(x[0], np.ndarray):
        return type(x)(_cast(e, dtype) for e in x)
    return x.astype(dtype) if isinstance(x, np.ndarray) and device.is_float(x.dtype) else x


def _copy(x: Any) -> Any:
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
def _strided(x):
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


LAYOUTS = (_copy, _read_only, _strided, _transposed, _unaligned)
