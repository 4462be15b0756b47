"""Octavo: deep-learning kernels in Numba, and the language models built on them.

The rooms open on first use, so that `import octavo` costs nothing: `octavo.kernels` holds functions on arrays,
`octavo.nn` tensors, layers, models and training, `octavo.tokenizer` turns text into ids and back.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_ROOMS = ("kernels", "nn", "tokenizer")
_FUNCTIONS = {name: ".kernels.device" for name in ("memory", "precision", "threads")} | {"seed": ".nn.random"}
_FUNCTIONS |= {"verify": ".kernels.verify"}

__all__ = ["__version__", *_ROOMS, *_FUNCTIONS]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f".{name}", __name__)
    if name in _FUNCTIONS:
        return getattr(import_module(_FUNCTIONS[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
