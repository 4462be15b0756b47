"""What every op must pass, whoever wrote it. Each check raises AssertionError with the op, the argument, the place,
what came and what was expected. The tests run them over the registry; the benchmarks run them before they time."""

import ast
import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
from cases import Sample, find
from differences import central
from trials import (
    LAYOUTS,
    backward_arguments,
    cast,
    compare,
    copied,
    cotangents_of,
    flat,
    forward_reference,
    halves,
    in_dtype,
    listed,
    run,
    run_in_halves,
    run_on_device,
    run_on_threads,
    running_ahead,
    same_bits,
    strided,
)

import octavo
from octavo.kernels import Op, device, registry
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
            yield Sample(*backward_arguments(forward, sample, ones=ones))


def gradient(op: Op) -> None:
    """1. The float64 reference's gradients against central differences, in every entry of the small samples."""
    checked = 0
    for sample in find(op.name).samples():
        if sample.size() > GRADIENT_SIZE:
            continue
        checked += 1
        args = [copied(a) for a in op._bind(list(sample.args), sample.kwargs)]
        cotangents = cotangents_of(forward_reference(op, args)[0])
        with np.errstate(all="ignore"):
            found = op.backward.reference(*backward_arguments(op, sample, cotangents))
        found = dict(zip(op.differentiable, found if isinstance(found, tuple) else (found,), strict=True))
        for name, given in found.items():
            x = args[op.names.index(name)]
            if x is None:
                assert given is None, f"{op.name}{sample}: gradient of {name}, which was not given"
                continue
            for k, (array, its) in enumerate(zip(listed(x), listed(given), strict=True)):
                if array.dtype.kind != "f":
                    continue
                where = f"{op.backward.name}{sample}: d{name}" + f"[{k}]" * isinstance(x, list)
                assert its.shape == array.shape, f"{where}: shape {its.shape}, expected {array.shape}"
                _compare_differences(where, op, args, array, cotangents, its)
    assert checked, f"{op.name}: no sample of at most {GRADIENT_SIZE} elements for the gradient check"


def _compare_differences(where, op, args, x, cotangents, given) -> None:
    """Move each element of x, which is one of args or in a list of them."""

    def value() -> float:
        pairs = zip(flat(cotangents), flat(forward_reference(op, args)[0]), strict=True)
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
            args = [cast(x, dtype) for x in bound]
            expected = run(op, [cast(copied(x), np.float64) for x in args], reference=True)
            first = None
            for layout in (copied,) if op.in_place else LAYOUTS:
                for threads in (1, octavo.threads()):
                    got = run_on_threads(op, [layout(x) for x in args], threads)
                    where = f"{op.name}{sample} {np.dtype(dtype).name} {layout.__name__} {threads} threads"
                    if first is None:
                        first = got
                        typed = 0 if op.no_gradient else len(op.outputs)
                        for k, (g, e) in enumerate(zip(got, expected, strict=True)):
                            compare(f"{where}: result {k}", g, e, dtype, ulps, k < typed)
                        if op.takes_save:
                            _compare_unsaved(op, where, args, expected, dtype, ulps)
                    for k, (g, f) in enumerate(zip(got, first, strict=True)):
                        assert same_bits(g, f), f"{where}: result {k} differs from the first run's bits"


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
            args = in_dtype(op, bound, dtype)
            expected = run(op, [cast(copied(x), np.float64) for x in args], reference=True)
            first = None
            for layout in (copied,) if k or op.in_place else (copied, strided):
                with running_ahead(first is not None):
                    got = run_on_device(op, args, layout)
                where = f"{op.name}{sample} {np.dtype(dtype).name} {layout.__name__} on the GPU"
                typed = 0 if op.no_gradient else len(op.outputs)
                for r, (g, e) in enumerate(zip(got, expected, strict=True)):
                    compare(f"{where}: result {r}", g, e, dtype, ulps, r < typed)
                    assert first is None or same_bits(g, first[r]), f"{where}: result {r} differs from the first run's"
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
        args = halves(op, bound)
        expected = run(op, [cast(copied(x), np.float64) for x in args], reference=True)
        results = run_in_halves(op, place, args)
        wide = [False] * len(expected) if op.in_place or len(op.wide) != len(expected) else op.wide
        where = f"{op.name}{sample} bfloat16 on {place}"
        for k, (g, e, stays) in enumerate(zip(results, expected, wide, strict=True)):
            got = g if g is None else device.to(g, "cpu")
            with np.errstate(over="ignore"):
                e = e if e is None or e.dtype.kind != "f" else e.astype(np.float32)
            if e is None or e.dtype.kind != "f":
                compare(f"{where}: result {k}", got, e, np.float32, ulps, False)
                continue
            is_rounded = got.dtype == BFLOAT16
            assert is_rounded != (stays or got.dtype == np.float64), f"{where}: result {k} is {got.dtype}"
            roundings = is_rounded * (2 if place == "cuda" else 1) * 2**-8 / np.finfo(np.float32).eps
            compare(f"{where}: result {k}", got.astype(np.float32), e, np.float32, ulps + roundings, False)


def launch_all(op: Op) -> None:
    """Run an op on the GPU for all of its samples, dtypes and, of float32, precisions, whatever comes out."""
    if op.name in getattr(import_module(f"octavo.kernels.cuda.{op.family}"), "LACKS", {}):
        return
    for sample in samples_of(op):
        bound = op._bind(list(sample.args), sample.kwargs)
        for dtype in DTYPES:
            run_on_device(op, in_dtype(op, bound, dtype), copied)
        device._precision = "medium"
        try:
            run_on_device(op, in_dtype(op, bound, np.float32), copied)
        finally:
            device._precision = "highest"
        run_in_halves(op, "cuda", halves(op, bound))


def _compare_unsaved(op, where, args, expected, dtype, ulps) -> None:
    got = run(op, args, save=False)
    for k, g in enumerate(got):
        if k < len(op.outputs):
            compare(f"{where} save=False: result {k}", g, expected[k], dtype, ulps, True)
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
                run(op, [cast(copied(x), dtype) for x in op._bind(list(sample.args), sample.kwargs)])


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
