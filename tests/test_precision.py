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
from octavo.kernels import device, matmul
from octavo.kernels.cpu import tile, unit
from octavo.kernels.cpu.simd import I8

ROUNDING = 2**-9  # of a number to bf16, at most, relative
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
def test_errors_are_those_of_the_arithmetic(units, mode, m, k, n):
    """On this processor's unit, where it has one; "high" even where it is not worth its time."""
    device._precision = mode if unit.bf16() else "highest"
    rng = np.random.default_rng(m)
    a, b = rng.standard_normal((m, k), np.float32), rng.standard_normal((k, n), np.float32)
    expected, scale = a.astype(np.float64) @ b, np.abs(a) @ np.abs(b)
    for x in (a, np.asfortranarray(a)):
        for y in (b, np.asfortranarray(b)):
            assert (np.abs(matmul(x, y) - expected) <= (BOUNDS[mode] + k * 2**-24) * scale).all()
    assert np.abs(matmul(a.astype(np.float64), b.astype(np.float64)) - expected).max() < 1e-12


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
