"""The kernel compiler: its cache sees every edit, survives folders it cannot write, and explains a fork."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from numba import prange
from numba.core.codegen import CPUCodeLibrary

import octavo
from octavo.kernels.cpu import simd
from octavo.kernels.cpu.kernel import kernel, subroutine

ROOT = Path(octavo.__file__).parent
SOFTMAX = "import numpy as np; from octavo.kernels import softmax; print(softmax(np.array([[0.0, 1.0]])).tolist())"


def _python(code: str, path: Path, **environment: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(path), **environment}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=path)


def _copy_of_the_package(folder: Path) -> Path:
    for room in ("__init__.py", "kernels"):
        source, target = ROOT / room, folder / "octavo" / room
        target.parent.mkdir(exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    return folder


def test_an_edited_helper_changes_its_kernels_in_the_next_process(tmp_path):
    copy, cache = _copy_of_the_package(tmp_path), str(tmp_path / "cache")
    first = _python(SOFTMAX, copy, OCTAVO_CACHE=cache)
    assert first.returncode == 0, first.stderr
    again = _python(SOFTMAX, copy, OCTAVO_CACHE=cache)
    assert again.stdout == first.stdout
    helper = copy / "octavo" / "kernels" / "cpu" / "maths.py"
    text = helper.read_text(encoding="utf-8")
    edited = text.replace("_TAYLOR) * r * r + r", "_TAYLOR) * r * r + r + r")
    assert edited != text
    helper.write_text(edited, encoding="utf-8")
    changed = _python(SOFTMAX, copy, OCTAVO_CACHE=cache)
    assert changed.returncode == 0, changed.stderr
    assert changed.stdout != first.stdout


def test_second_process_loads_what_the_first_compiled(tmp_path):
    code = "import logging; logging.basicConfig(level=logging.INFO); " + SOFTMAX
    copy = _copy_of_the_package(tmp_path)
    first = _python(code, copy, OCTAVO_CACHE=str(tmp_path / "cache"))
    second = _python(code, copy, OCTAVO_CACHE=str(tmp_path / "cache"))
    assert "compiling softmax" in first.stderr
    assert "compiling" not in second.stderr


def test_a_kernel_gives_the_same_bits_compiled_and_loaded(tmp_path):
    code = (
        "import numpy as np; from octavo.kernels import cross_entropy, softmax; rng = np.random.default_rng(0); "
        "x = rng.standard_normal((64, 65)).astype('f4'); ids = rng.integers(0, 65, 64); "
        "print(cross_entropy.forward(x, ids)[1][0].tobytes().hex(), softmax(x).tobytes().hex())"
    )
    first, second = (_python(code, ROOT.parent, OCTAVO_CACHE=str(tmp_path)) for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout


def test_a_damaged_cache_is_made_anew(tmp_path):
    copy, cache = _copy_of_the_package(tmp_path), tmp_path / "cache"
    first = _python(SOFTMAX, copy, OCTAVO_CACHE=str(cache))
    for file in cache.rglob("*.bin"):
        file.write_bytes(file.read_bytes()[:100])
    second = _python(SOFTMAX, copy, OCTAVO_CACHE=str(cache))
    assert second.stdout == first.stdout
    assert "unreadable" in second.stderr


def test_cache_folder_that_cannot_be_written(tmp_path):
    copy = _copy_of_the_package(tmp_path)
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    done = _python(SOFTMAX, copy, OCTAVO_CACHE=str(blocked))
    assert done.returncode == 0, done.stderr
    assert "cannot be written" in done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_says_what_to_do(tmp_path):
    code = f"""
import os
{SOFTMAX}
if os.fork() == 0:
    try:
        softmax(np.ones((2, 2)))
    except RuntimeError as error:
        os._exit(7 if "spawn" in str(error) else 1)
    os._exit(2)
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    done = _python(code, _copy_of_the_package(tmp_path))
    assert done.stdout.split()[-1] == "7", done.stderr


def test_signature_without_arrow():
    with pytest.raises(TypeError, match="expected a signature with '<-'"):
        kernel("T[1] T[1]")(lambda out, x: None)


def test_a_helper_becomes_machine_code_with_the_kernel_only(tmp_path, monkeypatch):
    monkeypatch.setattr("octavo.kernels.cpu.kernel.cache_folder", lambda: tmp_path)
    optimised = []
    optimise = CPUCodeLibrary._optimize_final_module
    monkeypatch.setattr(
        CPUCodeLibrary, "_optimize_final_module", lambda self: (optimised.append(self.name), optimise(self))
    )

    @subroutine
    def double(out, i):
        out[i] *= 2

    @kernel("T[1] <-", name="doubles")
    def doubles(out):
        for i in prange(out.size):
            double(out, i)

    out = np.ones(5, np.float32)
    doubles(out)
    assert out.tolist() == [2] * 5
    assert [name.rpartition(".")[2] for name in optimised if "double" in name] == ["doubles"]
    assert not any("gufunc" in name for name in optimised)
    with pytest.raises(TypeError, match="not callable"):
        double(out, 0)
    numba.njit(lambda x, i: double(x, i))(out, 1)  # those of others are compiled as ever, and may use it
    assert out.tolist() == [2, 4, 2, 2, 2]


def test_width_can_be_asked_for(monkeypatch):
    simd.width.cache_clear()
    monkeypatch.setenv("OCTAVO_SIMD", "4")
    assert simd.width() == 4
    simd.width.cache_clear()
    monkeypatch.setenv("OCTAVO_SIMD", "5")
    with pytest.raises(ValueError, match="OCTAVO_SIMD: expected one of 16, 8, 4, 1, got '5'"):
        simd.width()
    simd.width.cache_clear()


def test_row_max_of_every_length():
    @kernel("T[1] <- T[2]", parallel=False, name="row_max_of_every_length")
    def row_max(out, x):
        for i in range(x.shape[0]):
            out[i] = simd_row_max(x, i * x.shape[1], i)

    simd_row_max = simd.row_max
    x = np.random.default_rng(0).standard_normal((150, 150)).astype(np.float32)
    x[:, 3] = np.nan
    out = np.empty(150, np.float32)
    row_max(out, x)
    expected = [np.nanmax(row[:i], initial=-np.inf) for i, row in enumerate(x)]
    assert out.tolist() == expected


def test_two_threads_on_the_layer_that_takes_one(tmp_path):
    code = """
import threading
import numpy as np
from octavo.kernels import softmax
x = np.random.default_rng(0).standard_normal((500, 100)).astype(np.float32)
expected = softmax(x)
wrong = []
def run():
    for _ in range(200):
        if not np.array_equal(softmax(x), expected):
            wrong.append(1)
threads = [threading.Thread(target=run) for _ in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
print("same" if not wrong else "different")
"""
    done = _python(code, _copy_of_the_package(tmp_path), NUMBA_THREADING_LAYER="workqueue")
    assert done.stdout.strip() == "same", done.stderr
