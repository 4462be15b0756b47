"""What the compiler makes of every kernel that a sample reaches, in each dtype and precision, for two architectures."""

import checks
import numpy as np
import pytest

from octavo.kernels import registry

pytestmark = pytest.mark.cuda
FAMILIES = sorted({op.family for op in registry.values()})
ARCHITECTURES = (8, 0), (9, 0)


@pytest.fixture
def used(monkeypatch):
    """Kernels that are launched meanwhile, by name, with the types of their arguments; nothing is."""
    from octavo.kernels.cuda import kernel, runtime

    class Recorder(runtime._Emulated):
        def load(self, name, types, kernel):
            found[name] = kernel, types()
            return lambda *launch: None

    found = {}
    runtime.target()  # so that its arrays are known
    recorder = Recorder()
    monkeypatch.setattr(runtime, "target", lambda: recorder)
    _forget(kernel.kernels)
    yield found
    _forget(kernel.kernels)


def _forget(kernels):
    for kernel in kernels:
        kernel._compiled.clear()


@pytest.mark.parametrize("family", FAMILIES)
def test_registers_suffice_and_float32_stays_float32(family, used):
    from octavo.kernels.cuda import runtime

    for op in registry.values():
        if op.family == family and not op.view:
            checks.launch_all(op)
    for name, (kernel, types) in used.items():
        if any("float64" in str(t) for t in types):  # it may spill: nobody needs it fast
            runtime.image(kernel.fn, types, kernel.threads, ARCHITECTURES[0])
        else:
            _require_lean(name, kernel, types)


@pytest.mark.parametrize("dtype", ["f4", "u2"])
@pytest.mark.parametrize("width", [64, 128])
def test_tensor_cores_multiply_in_attention(width, dtype):
    from octavo.kernels.cuda import flash_backward, flash_forward

    for kernel in (flash_forward._forward(width), *flash_backward._backward(width)):
        text = _require_lean(kernel.name, kernel, kernel.types(np.dtype(dtype)))
        assert "mma.sync" in text, f"{kernel.name} multiplies without tensor cores"


@pytest.mark.parametrize("dtype", ["f4", "u2"])
def test_tensor_cores_multiply_in_products(dtype):
    from octavo.kernels.cuda import tensor_core

    for a_deep, b_deep in ((True, True), (True, False), (False, True), (False, False)):
        kernel = tensor_core._kernel(a_deep, b_deep, "gelu")
        text = _require_lean(kernel.name, kernel, kernel.types(np.dtype(dtype)))
        assert "mma.sync" in text, f"{kernel.name} multiplies without tensor cores"


def _require_lean(name, kernel, types):
    """No stack, no spills and no float64; returns the PTX."""
    from octavo.kernels.cuda import runtime

    for cc in ARCHITECTURES:
        made = runtime.image(kernel.fn, types, kernel.threads, cc)
        assert "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads" in made.log, f"{name} {cc}: {made.log}"
    text = runtime.ptx(kernel.fn, types, kernel.threads, ARCHITECTURES[0])
    assert ".f64" not in text, f"{name} computes in float64"
    return text
