"""Sample inputs, bad inputs and benchmark shapes of every op, a file per family: `find(name)` gives an op's."""

from importlib import import_module

from octavo.kernels import registry

from .case import Bad, Case, Sample

__all__ = ["Bad", "Case", "Sample", "find"]


def find(name: str) -> Case:
    """The case of an op; a backward op has its forward op's."""
    op = registry[name]
    family = import_module(f"cases.{op.family}")
    try:
        return family.CASES[op.backward_of or name]
    except KeyError:
        raise LookupError(f"tests/cases/{op.family}.py has no case for {name!r}") from None
