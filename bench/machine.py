"""The line above every table: machine and versions."""

import os
import platform
from importlib.metadata import version
from importlib.util import find_spec

from place import VARIABLE


def describe(**packages: str) -> str:
    """Octavo, GPU or processor, threads and Python, then the packages: titles and what pip calls them."""
    import numba

    import octavo

    processor = numba.core.registry.cpu_target.target_context.codegen().magic_tuple()[1]
    if os.environ.get(VARIABLE, "cpu") != "cpu":
        place, packages = octavo.kernels.device.name(), packages | {"numba-cuda": "numba-cuda"}
    else:
        place = f"{processor} x{os.cpu_count()}"
    return f"Octavo {octavo.__version__} on {place}, " + ", ".join(
        [f"{octavo.threads()} threads", f"Python {platform.python_version()}"]
        + [f"{title} {version(package)}" for title, package in packages.items()]
    )


if __name__ == "__main__":
    print(describe(NumPy="numpy", **({"PyTorch": "torch"} if find_spec("torch") else {})))
