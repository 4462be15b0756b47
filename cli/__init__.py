"""The `octavo` command: a thin layer over nn and tokenizer.

Each command imports what it needs when it runs, so that help is there at once.
"""

from .app import main

__all__ = ["main"]
