"""The line above every table: machine and versions."""

import os
import platform
from importlib.metadata import version


def describe(**packages: str) -> str:
    """Octavo, processor, threads and Python, then the packages: titles and what pip calls them."""
    import numba

    import octavo

    processor = numba.core.registry.cpu_target.target_context.codegen().magic_tuple()[1]
    return f"Octavo {octavo.__version__} on {processor} x{os.cpu_count()}, " + ", ".join(
        [f"{octavo.threads()} threads", f"Python {platform.python_version()}"]
        + [f"{title} {version(package)}" for title, package in packages.items()]
    )
