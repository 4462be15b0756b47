"""Fixtures that several files share."""

import signal

import pytest


@pytest.fixture
def ctrl_c():
    """Python's own handler of Ctrl-C, which a process started in the background, and its children, do not have."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
