"""The register tiles of every vector width give the same results: LLVM splits what the machine cannot hold."""

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
