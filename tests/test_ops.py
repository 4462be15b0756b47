"""The generic tests: every op of the registry, found there, against what `checks` demands."""

from pathlib import Path

import checks
import pytest

import octavo
from octavo import kernels
from octavo.kernels import registry

OPS = list(registry)
FORWARD = [name for name, op in registry.items() if op.backward_name is not None]
FAMILIES = sorted({op.family for op in registry.values()})
ROOT = Path(octavo.__file__).parent


@pytest.mark.parametrize("name", FORWARD)
def test_gradient(name):
    checks.gradient(registry[name])


@pytest.mark.parametrize("name", [name for name in OPS if not registry[name].view])
@pytest.mark.parametrize("backend", checks.BACKENDS)
def test_parity(name, backend):
    checks.parity(registry[name], backend)


@pytest.mark.parametrize("name", [name for name in OPS if not registry[name].view])
def test_bfloat16(name):
    checks.in_bfloat16(registry[name])


@pytest.mark.parametrize("name", OPS)
def test_bad_input(name):
    checks.bad(registry[name])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_kernel_is_reached(family):
    checks.reached(family)


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("backend", checks.BACKENDS)
def test_backend_is_complete(name, backend):
    checks.complete(registry[name], backend)


@pytest.mark.parametrize("name", OPS)
def test_documented(name):
    checks.documented(registry[name])


def test_table_of_contents():
    for path in (ROOT / "kernels" / "ops").glob("*.py"):
        for name in checks.public_functions(path):
            assert getattr(kernels, name, None) is registry.get(name), f"kernels/__init__.py does not list {name}"
