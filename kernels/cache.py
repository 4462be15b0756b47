"""Where machine code is kept between runs."""

import hashlib
import logging
import os
import shutil
import tempfile
import time
from functools import lru_cache
from pathlib import Path

import platformdirs

log = logging.getLogger("octavo.kernels")

_ELSEWHERE = {"cpu": ["tokenizer"]}  # where a backend has kernels outside its own folder


@lru_cache(None)
def folder(backend: str, target: str) -> Path:
    """The folder for a backend's target, which names everything but the sources that machine code depends on.

    It lies in OCTAVO_CACHE or the user's cache folder, or where that cannot be written in a temporary one.
    """
    root = Path(os.environ.get("OCTAVO_CACHE") or platformdirs.user_cache_path("octavo")) / "kernels"
    found = root / _fingerprint(backend, target)
    try:
        found.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=found).close()
        os.utime(found)
        _forget_old(root)
        return found
    except OSError as error:
        temporary = Path(tempfile.mkdtemp(prefix="octavo-kernels-"))
        log.warning("kernel cache: %s cannot be written (%s); compiling into %s", found, error, temporary)
        return temporary


def _forget_old(root: Path, days: float = 30) -> None:
    """Remove folders of versions that have not been used for `days`."""
    for old in root.iterdir():
        if old.stat().st_mtime < time.time() - days * 86400:
            shutil.rmtree(old, ignore_errors=True)


def _fingerprint(backend: str, target: str) -> str:
    """A hash of a target and of all sources that its kernels are made of."""
    digest = hashlib.sha256(target.encode())
    root = Path(__file__).parents[1]
    folders = ["kernels", "kernels/ops", "kernels/formulas", f"kernels/{backend}", *_ELSEWHERE.get(backend, [])]
    for source in sorted(source for folder in folders for source in root.glob(f"{folder}/*.py")):
        digest.update(source.relative_to(root).as_posix().encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:16]
