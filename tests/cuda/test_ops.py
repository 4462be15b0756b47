"""Every op of the registry on the GPU, or with OCTAVO_CUDA=emulate in the emulator, against its float64 reference."""

import math
import os

import checks
import pytest

from octavo.kernels import registry

pytestmark = pytest.mark.cuda


@pytest.mark.parametrize("name", list(registry))
def test_is_there(name):
    checks.complete(registry[name], "cuda")


@pytest.mark.parametrize("name", list(registry))
def test_parity(name):
    """All samples, however large, with OCTAVO_ALL_SAMPLES=1: for a night."""
    checks.on_device(registry[name], math.inf if os.environ.get("OCTAVO_ALL_SAMPLES") == "1" else 3000)


@pytest.mark.parametrize("name", [name for name, op in registry.items() if not op.view])
def test_bfloat16(name):
    checks.in_bfloat16(registry[name], "cuda", 100)
