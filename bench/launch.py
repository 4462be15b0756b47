"""The sides of a race, in turn and in processes of their own."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
from table import Result
from tqdm import tqdm

HERE = Path(__file__).parent


class Unable(Exception):
    """Why a side cannot run here."""


def run(sides: dict[str, Callable[[], Result]], rounds: int) -> dict[str, list[Result] | str]:
    """The results of each side in every round, or why it is unable."""
    results: dict[str, list[Result] | str] = {name: [] for name in sides}
    for _, name in tqdm([(r, s) for r in range(rounds) for s in sides], desc="racing", leave=False):
        done = results[name]
        if isinstance(done, str):
            continue
        try:
            done.append(sides[name]())
        except Unable as why:
            results[name] = str(why)
    ours = [done for name, done in results.items() if name.startswith("Octavo")]
    if all(isinstance(done, str) for done in ours):
        raise click.ClickException(f"Octavo cannot race: {ours[0]}")
    return results


def racer(job: str, side: str, precision: str, budget: float, *shapes: str) -> Result:
    """What `racer.py` tells; for the rest, the seconds and the peak of its process."""
    command = [sys.executable, str(HERE / "racer.py"), job, side, precision, str(budget), *shapes]
    output, seconds, peak = launch(command)
    told = json.loads(output.splitlines()[-1])
    if "unable" in told:
        raise Unable(told["unable"])
    return Result(**{"seconds": seconds, "memory": peak} | told)


def launch(
    command: list[str], folder: Path | None = None, until: Callable[[], bool] | None = None, **variables: str
) -> tuple[str, float, int]:
    """What a command prints, its seconds, and the peak of its resident bytes; it is stopped once `until` holds."""
    from octavo import threads

    environment = {**os.environ, "OMP_NUM_THREADS": str(threads()), **variables}
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=errors)
        stopped = until is not None and _wait_for(until, process.pid)
        seconds = time.perf_counter() - start
        if stopped:
            process.kill()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = seconds if stopped else time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode and not stopped:
            raise click.ClickException(f"{' '.join(command)} failed:\n{errors.read()}")
        return output.read(), seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _wait_for(condition: Callable[[], bool], pid: int) -> bool:
    """Whether the condition came to hold before the process ended, which is left to be waited for."""
    while not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        if condition():
            return True
        time.sleep(0.005)
    return False
