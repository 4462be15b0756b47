"""Fixtures that several files share."""

import signal
from importlib import import_module
from pathlib import Path

import pytest


@pytest.fixture
def ctrl_c():
    """Python's own handler of Ctrl-C, which a process started in the background, and its children, do not have."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def bench(monkeypatch):
    """A function that imports a file of bench/."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "bench")
    return import_module
