"""Faults planted in an op are caught by the generic checks, which nobody wrote for that op."""

import sys
import types
from itertools import count

import cases
import checks
import numpy as np
import pytest
from cases import Bad, Case, Sample

from octavo.kernels import dispatch
from octavo.kernels.cpu import kernel as compiler
from octavo.kernels.signature import Floats


@pytest.fixture
def plant(monkeypatch):
    """A family `planted` with the op `double` and its backward, whole until a test takes a piece away."""
    monkeypatch.setattr(dispatch, "registry", dict(dispatch.registry))
    monkeypatch.setattr(checks, "registry", dispatch.registry)
    monkeypatch.setattr(cases, "registry", dispatch.registry)
    monkeypatch.setattr(compiler, "kernels", list(compiler.kernels))
    monkeypatch.setattr(checks, "kernels", compiler.kernels)
    monkeypatch.setattr(checks.Path, "exists", lambda path: path.name == "planted.py" or path.is_file())

    def double(x: Floats) -> Floats:
        """Twice x."""
        return 2 * x

    def double_backward(dout: Floats) -> Floats:
        """The gradient of `double`."""
        return 2 * dout

    case = Case(
        samples=lambda: [Sample(np.arange(6.0).reshape(2, 3))],
        bad=[Bad(TypeError, "double: x: expected float32, float64 or bfloat16", np.arange(3))],
    )
    backend = types.SimpleNamespace(double=lambda x: x + x, double_backward=lambda dout: dout + dout)
    made = types.SimpleNamespace(double=double, double_backward=double_backward, case=case, backend=backend)

    def enter(shape="S... -> S...", **words):
        module = types.ModuleType("octavo.kernels.cpu.planted")
        vars(module).update(vars(backend))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(sys.modules, "cases.planted", types.SimpleNamespace(CASES={"double": case}))
        for body in (made.double, made.double_backward):
            body.__module__ = "octavo.kernels.ops.planted"
        op = dispatch.op(shape, **(words or {"backward": "double_backward"}))(made.double)
        dispatch.op("S... -> S...", backward_of="double", outputs="dx")(made.double_backward)
        dispatch.seal()
        return op

    made.enter = enter
    return made


def test_a_whole_op_passes(plant):
    op = plant.enter()
    checks.gradient(op)
    checks.parity(op)
    checks.parity(op.backward)
    checks.bad(op)
    checks.complete(op)
    checks.reached("planted")


def test_wrong_backward_reference(plant):
    plant.double_backward = lambda dout: 3 * dout
    plant.double_backward.__name__ = "double_backward"
    plant.double_backward.__annotations__ = {"dout": Floats, "return": Floats}
    op = plant.enter()
    with pytest.raises(AssertionError, match=r"double_backward.*dx.*got.*differences give"):
        checks.gradient(op)


def test_wrong_backward_kernel(plant):
    plant.backend.double_backward = lambda dout: 2.001 * dout
    op = plant.enter()
    with pytest.raises(AssertionError, match=r"double_backward.*expected"):
        checks.parity(op.backward)


def test_output_left_unwritten(plant):
    def forgets_the_last(x):
        out = dispatch.device.empty(x.shape, x.dtype)
        out[:-1] = 2 * x[:-1]
        return out

    plant.backend.double = forgets_the_last
    with pytest.raises(AssertionError, match=r"at \[1, 0\]: got nan, expected 6.0"):
        checks.parity(plant.enter())


def test_result_that_depends_on_threads(plant):
    calls = count()  # as if each call found other threads
    plant.backend.double = lambda x: 2 * x * (1 + 1e-7 * next(calls))
    with pytest.raises(AssertionError, match="differs from the first run's bits"):
        checks.parity(plant.enter())


def test_missing_file(plant, monkeypatch):
    monkeypatch.setattr(checks.Path, "exists", lambda path: False)
    with pytest.raises(AssertionError, match=r"cpu/planted.py is missing"):
        checks.complete(plant.enter())


def test_missing_kernel(plant):
    del plant.backend.double
    with pytest.raises(AssertionError, match="has no such function"):
        checks.complete(plant.enter())


def test_other_parameters(plant):
    plant.backend.double = lambda x, factor=2: factor * x
    with pytest.raises(AssertionError, match=r"cpu takes \['x', 'factor'\]"):
        checks.complete(plant.enter())


def test_unreached_variant(plant):
    def wide(out, x):
        out[0] = x[0]

    wide.__module__ = "octavo.kernels.cpu.planted"
    compiler.kernel("T[1] <- T[1]", name="wide")(wide)
    plant.enter()
    with pytest.raises(AssertionError, match=r"reaches planted\.wide"):
        checks.reached("planted")


def test_bad_input_let_through(plant):
    plant.case.bad.append(Bad(ValueError, "too long", np.zeros(3)))
    with pytest.raises(AssertionError, match="accepted, expected ValueError"):
        checks.bad(plant.enter())


def test_no_word_on_the_gradient(plant):
    with pytest.raises(TypeError, match="exactly one of"):
        plant.enter(outputs="out")


def test_backward_that_does_not_know_its_forward(plant):
    plant.enter()
    with pytest.raises(TypeError, match="its backward op 'nowhere' is missing"):
        body = lambda x: x  # noqa: E731
        body.__name__, body.__module__ = "lost", "octavo.kernels.ops.planted"
        body.__annotations__ = {"x": Floats, "return": Floats}
        dispatch.op("S... -> S...", backward="nowhere")(body)
        dispatch.seal()
