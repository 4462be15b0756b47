"""Products in the precisions: float32, three products of bf16, one."""

import os
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir

import octavo
from octavo import nn
from octavo.kernels import ONE, device, linear, linear_backward, linear_cross_entropy, matmul, softmax
from octavo.kernels.cpu import matmul as blocked
from octavo.kernels.cpu import tile, unit
from octavo.kernels.cpu.simd import I8

ROUNDING = 2**-8  # of a number to bf16, at most, relative
BOUNDS = {  # of a product's error, relative to the product
    "highest": 0,
    "high": 3 * ROUNDING**2,  # of both operands' rests, which are rounded, and the product of the rests
    "medium": 2 * ROUNDING + ROUNDING**2,
}


@pytest.fixture
def units(monkeypatch):
    """A function that makes the process have a unit: "" for none."""
    yield lambda name: monkeypatch.setattr(unit, "bf16", lambda: name)
    device._precision = "highest"


def test_a_word_is_checked():
    with pytest.raises(ValueError, match="precision: expected one of highest, high, medium, got 'low'"):
        octavo.precision("low")


@pytest.mark.parametrize("name, high, medium", [("", "highest", "highest"), ("bf16", "highest", "medium")])
def test_a_processor_without_the_unit_uses_the_next_better_one(units, caplog, name, high, medium):
    units(name)
    caplog.set_level("INFO", "octavo.kernels")
    assert octavo.precision("high") == high and octavo.precision("medium") == medium == octavo.precision()
    assert "precision 'high': this processor has no unit" in caplog.text
    units("amx")
    assert octavo.precision("high") == "high"


@pytest.mark.parametrize("mode", BOUNDS)
@pytest.mark.parametrize("m, k, n", [(1, 1, 1), (5, 3, 7), (64, 64, 64), (57, 1030, 129), (14, 32, 32)])
@pytest.mark.parametrize("small", [0, blocked.SMALL])
def test_errors_are_those_of_the_arithmetic(units, monkeypatch, mode, m, k, n, small):
    """On this processor's unit, where it has one; "high" even where it is not worth its time."""
    monkeypatch.setattr(blocked, "SMALL", small)
    device._precision = mode if unit.bf16() else "highest"
    rng = np.random.default_rng(m)
    a, b = rng.standard_normal((m, k), np.float32), rng.standard_normal((k, n), np.float32)
    expected, scale = a.astype(np.float64) @ b, np.abs(a) @ np.abs(b)
    for x in (a, np.asfortranarray(a)):
        for y in (b, np.asfortranarray(b)):
            assert (np.abs(matmul(x, y) - expected) <= (BOUNDS[mode] + k * 2**-24) * scale).all()
    assert np.abs(matmul(a.astype(np.float64), b.astype(np.float64)) - expected).max() < 1e-12


def within(got, expected, bound):
    assert (np.abs(got - expected) <= bound).all()


@pytest.mark.parametrize("mode", BOUNDS)
def test_errors_of_a_linear_layer(units, mode):
    device._precision = mode if unit.bf16() else "highest"
    rng = np.random.default_rng(0)
    x, weight, dout = (rng.standard_normal(shape, np.float32) for shape in ((20, 33), (47, 33), (20, 47)))
    relative = BOUNDS[mode] + 47 * 2**-24
    within(linear(x, weight), linear.reference(x, weight)[0], relative * (np.abs(x) @ np.abs(weight.T)))
    dx, dweight, _ = linear_backward(dout, x, weight, None, None, "none")
    within(dx, dout @ weight, relative * (np.abs(dout) @ np.abs(weight)))
    within(dweight, dout.T @ x, relative * (np.abs(dout.T) @ np.abs(x)))


@pytest.mark.parametrize("mode", BOUNDS)
def test_errors_of_the_loss(units, mode):
    """Logits that are off by at most d move a probability by a factor of at most exp(2 d)."""
    device._precision = mode if unit.bf16() else "highest"
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((30, 16), np.float32), 0.1 * rng.standard_normal((5000, 16), np.float32)
    targets = rng.integers(0, 5000, 30)
    relative = BOUNDS[mode] + 5000 * 2**-24
    wide = x.astype(np.float64), weight.astype(np.float64)
    loss, saved = linear_cross_entropy.forward(x, weight, targets)
    dx, dweight = linear_cross_entropy.backward(ONE, *saved)
    expected, *gradients = linear_cross_entropy.reference(*wide, targets, save=True)
    off = relative * (np.abs(x) @ np.abs(weight.T))
    within(loss, expected, 2 * off.max() + 1e-6)
    dlogits = softmax(wide[0] @ wide[1].T) / 30
    share = np.expm1(2 * off.max(1, keepdims=True)) * dlogits
    dlogits[np.arange(30), targets] -= 1 / 30
    share += relative * np.abs(dlogits) + 1e-9
    within(dx, gradients[0], share @ np.abs(weight))
    within(dweight, gradients[1], share.T @ np.abs(x))


def test_activations_are_kept_in_half_the_memory(units):
    """Where products are in bf16; and the gradients are near those of float32."""
    rng = np.random.default_rng(0)
    x, weights = rng.standard_normal((256, 64), np.float32), [rng.standard_normal((64, 64), np.float32) for _ in "abc"]
    held, gradients = {}, {}
    for mode in ("highest", "medium"):
        used = octavo.precision(mode)
        leaves = [nn.Parameter(w / 8) for w in weights]
        before = octavo.memory().current
        y = nn.Tensor(x)
        for leaf in leaves:
            y = nn.functional.linear(y, leaf, activation="gelu_tanh")
        held[mode] = octavo.memory().current - before
        y.sum().backward()
        gradients[mode] = [leaf.grad for leaf in leaves]
    if used == "medium":
        assert held["medium"] < 0.7 * held["highest"]
    for rounded, exact in zip(gradients["medium"], gradients["highest"], strict=True):
        assert np.linalg.norm(rounded - exact) < 0.02 * np.linalg.norm(exact)


def test_amx_gives_the_same(tmp_path):
    """Where there is none: its instructions are emulated."""
    program = Path(__file__).with_name("amx_emulated.py")
    environment = dict(os.environ, OCTAVO_CACHE=str(tmp_path), NUMBA_NUM_THREADS="1")
    done = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True)
    assert not done.returncode, done.stderr


def test_amx_is_translated():
    """LLVM makes the instructions of what `tile` asks for."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    pointer, number, none = ir.IntType(8).as_pointer(), ir.IntType(64), ir.VoidType()
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(none, [pointer, number]), "products")
    b = ir.IRBuilder(function.append_basic_block())
    at, stride = function.args
    tile._amx(b, "ldtilecfg", at)
    tile._amx(b, "tilezero", I8(0))
    for t in (4, 6):
        tile._amx(b, "tileloadd64", I8(t), at, stride)
    tile._amx(b, "tdpbf16ps", I8(0), I8(4), I8(6))
    tile._amx(b, "tilestored64", I8(0), at, stride)
    tile._amx(b, "tilerelease")
    b.ret_void()
    machine = llvm.Target.from_triple("x86_64-unknown-linux-gnu").create_target_machine(cpu="sapphirerapids")
    assembly = machine.emit_assembly(llvm.parse_assembly(str(module)))
    for line in ("ldtilecfg", "tilezero\t%tmm0", "%tmm4", "%tmm6", "tdpbf16ps\t%tmm6, %tmm4, %tmm0", "tilerelease"):
        assert line in assembly
