"""What the pages of ops are made of: docstrings, the text of kernels, measured speeds."""

import json
import textwrap
from pathlib import Path

import click
import pytest

import octavo
from octavo.book import speeds
from octavo.book.docstrings import Words, parse
from octavo.book.sources import Source, kernels
from octavo.kernels import registry

KERNELS = Path(octavo.__file__).parent / "kernels"
OPS = [op for op in registry.values() if op.backward_of is None]


def written(folder, **files):
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")


FILE = '''
"""Rows."""
import math
from .maths import exp, log as ln

SIZE = 3  # of a row

# This is why.
@kernel
def _row(x):
    unused = 1
    return exp(x) * SIZE

@op
def public(x):
    """Words."""
    return _row(x)

def unused(x):
    return math.pi * ln(x)
'''


def test_what_a_function_uses_comes_with_it(tmp_path):
    written(tmp_path, rows=FILE)
    text = Source(tmp_path / "rows.py").text(["public"])
    assert text.startswith("from .maths import exp\n\nSIZE = 3  # of a row\n\n# This is why.\n@kernel\ndef _row")
    assert "def unused" not in text and "ln" not in text and '"""Words."""' in text


def test_bare_functions_have_neither_decorators_nor_docstrings(tmp_path):
    written(tmp_path, rows=FILE)
    text = Source(tmp_path / "rows.py").text(["public"], bare=True)
    assert text.endswith("def public(x):\n    return _row(x)") and "@kernel" in text


def test_kernels_are_found_where_they_are_written(tmp_path):
    written(tmp_path, formulas__family="from .gated import f\ndef g(): pass", cpu__gated='"""Here."""\ndef f(): pass')
    written(tmp_path, cuda__family='LACKS = {"f": "it has no sums"}\ndef g(): pass')
    file, gated = kernels(tmp_path, "cpu", "family", ["g", "f"])
    assert (file.file, gated.file, gated.words) == ("formulas/family.py", "cpu/gated.py", "Here.")
    (lacking,) = kernels(tmp_path, "cuda", "family", ["f"])
    assert lacking.words == "There is no `f` here: it has no sums." and not lacking.text


@pytest.mark.parametrize("backend", ["cpu", "cuda"])
def test_every_op_shows_its_kernels(backend):
    for op in OPS:
        names = [one.name for one in (op, *([op.backward] if op.backward_name else [])) if not one.view]
        found = "\n".join(code.text + code.words for code in kernels(KERNELS, backend, op.family, names))
        assert all(name in found for name in names), op.name


def test_a_docstring_in_parts():
    found = parse(
        """A sum.

        out_ij = x_ij + y^n;  dx = dout
            each by itself

        Args:
            x, y: arrays, of `add`
                and more.

        Raises: ValueError otherwise.
        Source: nobody.

        >>> 1
        1
        """
    )
    assert found.sentence == "A sum." and found.example == ">>> 1\n1"
    assert found.formulas == ["out_ij = x_ij + y^n", "dx = dout each by itself"]
    assert found.sections["Args"] == [("x, y", "arrays, of `add` and more.")]
    assert found.sections["Raises"] == [("", "ValueError otherwise.")]
    words = Words({"add": "add.html"}, ["top_k"])
    assert words("x_{i j_k} < top_k `add` `x_y`") == (
        'x<sub>i j<sub>k</sub></sub> &lt; top_k <a href="add.html"><code>add</code></a> <code>x_y</code>'
    )
    assert words("a^−2") == "a<sup>−2</sup>"


def test_every_op_says_what_it_is():
    for op in OPS:
        found = parse(op.__doc__)
        assert found.sentence.endswith((".", ":")) and found.example and found.sections["Source"], op.name


SIDE = """
import json, os, sys
side, *names = sys.argv[1:]
for name in names:
    if os.environ.get("STOP") == name:
        sys.exit("no more")
    ours = {f"{name} 2x3": [0.5, 0.5, 9], f"{name} 2x3 backward": [0.001]}
    rows = ours if side == "octavo" else {f"{name} 2x3": [1.0]}
    print(json.dumps({"name": name, "rows": rows, "work": {row: [10**9, 0] for row in rows}, "limits": [4e9, 1e9]}))
"""


@pytest.fixture
def clone(tmp_path, monkeypatch):
    written(tmp_path, bench__side=SIDE, bench__machine="print('here')", tests__cases__one="")
    monkeypatch.setattr(speeds, "find_spec", lambda name: None)
    monkeypatch.setattr(speeds, "registry", {name: registry[name] for name in ("add", "exp", "reshape")})
    return tmp_path


def test_speeds_are_measured_once(clone, monkeypatch):
    monkeypatch.setenv("STOP", "exp")
    with pytest.raises(click.ClickException, match=r"side\.py octavo failed at exp: no more; see .*octavo\.log"):
        speeds.measure(clone, clone / "found", "state", False)
    lines = (clone / "found/octavo.jsonl").read_text().splitlines()
    assert [json.loads(line).get("name") for line in lines] == [None, "add"]
    monkeypatch.delenv("STOP")
    speeds.measure(clone, clone / "found", "state", False)
    assert (clone / "found/octavo.jsonl").read_text().splitlines()[:2] == lines
    found = speeds.Speeds(clone / "found")
    assert found.told().startswith("here. Limits of this machine: 4 GB/s")
    assert found.table("add") == [
        ["float32", "time", "GB/s", "GFLOP/s", "NumPy"],
        ["2x3", "500 ms", "2 (50%)", "", "2 ×"],
        ["2x3 backward", "1 ms", "–", "", ""],
    ]
    monkeypatch.setenv("STOP", "add")
    speeds.measure(clone, clone / "found", "state", False)  # all is there
    with pytest.raises(click.ClickException, match="failed at add"):
        speeds.measure(clone, clone / "found", "another state", False)
