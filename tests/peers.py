"""Other libraries, imported when they are first used: tests that need them are collected without them."""

from importlib import import_module
from typing import Any


class Peer:
    """A module by its name."""

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)
