"""Ctrl-C between two steps, not within one."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["interrupts_held"]

_log = logging.getLogger(__name__)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Ctrl-C within the block raises KeyboardInterrupt at its end; a second one raises at once."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    arrived = False

    def hold(number: int, frame: Any) -> None:
        nonlocal arrived
        if arrived:
            raise KeyboardInterrupt
        arrived = True
        _log.warning("stopping after this step; Ctrl-C again stops at once, without saving")

    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if arrived:
        raise KeyboardInterrupt
