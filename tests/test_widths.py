"""The register tiles of every vector width give the same results: LLVM splits what the machine cannot hold."""

import os
import subprocess
import sys
from pathlib import Path

import checks
import pytest

from octavo.kernels import registry
from octavo.kernels.cpu import simd


@pytest.mark.slow
@pytest.mark.parametrize("width", [w for w in simd.WIDTHS if w != simd.width()])
@pytest.mark.parametrize("name", ["matmul", "attention", "attention_backward"])
def test_width(name, width, monkeypatch):
    monkeypatch.setattr(simd, "width", lambda: width)
    checks.parity(registry[name])


@pytest.mark.slow
@pytest.mark.parametrize("features", ["+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+avx,+avx2,+fma", "+sse2"])
def test_a_processor_of_less(features, tmp_path):
    """One with AVX2 or SSE alone: its instructions, and float32 where bf16 is asked for."""
    masked = {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": features, "OCTAVO_CACHE": str(tmp_path)}
    tests = [str(Path(__file__).with_name(f"test_{name}.py")) for name in ("ops", "precision", "gpt")]
    chosen = "(parity and (matmul or linear or attention or norm or softmax or gelu)) or precision or gradient_equals"
    command = [sys.executable, "-m", "pytest", "-q", "-x", *tests, "-k", f"({chosen}) and not amx"]
    done = subprocess.run(
        command, env=os.environ | masked, capture_output=True, text=True, cwd=Path(__file__).parents[1]
    )
    assert not done.returncode, done.stdout[-3000:]
