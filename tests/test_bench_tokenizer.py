"""`bench/tokenizer.py`: its jobs on short texts, its tables on made-up results, and that other ids stop it."""

from pathlib import Path

import pytest
from click import ClickException
from click.testing import CliRunner

from octavo.tokenizer import BPETokenizer

TOLD = {
    "encode": "| gpt2 260, emoji | 2.0 | 0.7 | 0.7 | 3.00 | 1.00 |",
    "batch": "| gpt2 50257, English | 2.0 | 0.7 | 0.7 | 3.00 |",
    "decode": "| emoji, array | 2.0 | 0.7 | 3.00 |\n| geometric mean |  |  | 3.00 |",
    "worst": "| emoji | 1000.0 | 1.00 | 1000.0 | 1.00 |",
    "train": "| tokenizers, files | 3.00 | 3.00 (3.00 to 3.00) | 1 MB |",
    "stream": "| peak memory | 1 MB |",
    "load": "| Octavo | 1.00 |  | 1 MB |",
}
TEXTS = {"English": "to be or not to be " * 9, "emoji": "👩‍👩‍👧 ok 🇪🇺" * 9}


@pytest.fixture
def tokens(bench, monkeypatch):
    tokens = bench("tokens")
    monkeypatch.setattr(tokens, "corpus", lambda: TEXTS)
    monkeypatch.setattr(tokens, "worst", lambda: TEXTS)
    monkeypatch.setattr(tokens, "library", lambda: TEXTS.values())
    return tokens


@pytest.fixture
def race(bench, monkeypatch):
    race = bench("tokenizer")
    monkeypatch.setattr(race, "find_spec", lambda package: True)
    monkeypatch.setattr(race, "describe", lambda **packages: "here")
    monkeypatch.setattr(race, "corpus", lambda: TEXTS)
    monkeypatch.setattr(race, "library", lambda: TEXTS.values())
    return race


def test_texts(bench):
    texts = bench("texts")
    for kind, text in (texts.corpus() | texts.worst()).items():
        assert 0.4e6 < len(text.encode()) < 1.01e6, kind
    first, again = (list(texts.stream(100_000)) for _ in range(2))
    assert first == again and len(set(first)) == len(first) > 3


@pytest.mark.parametrize("job", ["encode", "slow", "batch", "decode", "load"])
def test_octavo_races(tokens, tmp_path, job):
    tokens.tokenizer.train("bpe", TEXTS.values(), 300).save(tmp_path / "gpt2 300")
    told = getattr(tokens, job)("octavo", tmp_path, 0, "gpt2 300")
    assert told["ids"] and all(len(digest) == 64 for digest in told["ids"].values())
    if job != "load":
        told = getattr(tokens, job)("octavo", tmp_path, 1e-9, "gpt2 300")
        assert told["rows"].keys() == told["work"].keys() and min(told["rows"].values()) > 0


def test_octavo_trains(tokens):
    told = tokens.train("octavo", Path(), 0, "300")
    assert told["seconds"] > 0 and told["ids"]["300"] == tokens._hash(BPETokenizer.train(TEXTS.values(), 300).merges)
    assert len(tokens.long("octavo", Path(), 0, "1")["rows"]) == 10


@pytest.mark.peers
@pytest.mark.parametrize("job, side", [("encode", "tiktoken"), ("encode", "list"), ("decode", "tiktoken")])
def test_peers_give_the_same(tokens, tmp_path, job, side):
    _same(tokens, tmp_path, job, side)


@pytest.mark.peers
@pytest.mark.parametrize("side", ["tiktoken", "tokenizers"])
def test_peers_give_the_same_of_batches(tokens, tmp_path, side):
    _same(tokens, tmp_path, "batch", side)


@pytest.mark.peers
@pytest.mark.parametrize("side", ["files", "batch"])
def test_peers_train_the_same(tokens, side):
    assert tokens.train(side, Path(), 0, "300")["ids"] == tokens.train("octavo", Path(), 0, "300")["ids"]


def _same(tokens, folder, job, side):
    tokens.tokenizer.train("bpe", TEXTS.values(), 300).save(folder / "gpt2 300")
    ours, theirs = (getattr(tokens, job)(s, folder, 0, "gpt2 300")["ids"] for s in ("octavo", side))
    assert ours == theirs


@pytest.mark.parametrize("command", TOLD)
def test_command(race, monkeypatch, capsys, command):
    """What a side is asked and what becomes of its answer, without one."""

    def side(job, side, folder, seconds, *what):
        of = ["array", "list"] if job == "decode" else what
        rows = [f"{kind}, {form}" if job == "decode" else f"{form}, {kind}" for form in of for kind in TEXTS]
        took = 1.0 if side == "octavo" else 3.0
        each, size = dict.fromkeys(rows, took), dict.fromkeys(rows, 2 * 10**6)
        return race.Result(took, 10**6, rows=each, work=size, ids=dict.fromkeys(rows, "same"))

    monkeypatch.setattr(race, "_side", side)
    monkeypatch.setattr(race, "_vocabulary", lambda folder, pattern, size: f"{pattern} {size}")
    options = {"encode": ["--pattern", "gpt2", "--size", "260"], "stream": []}.get(command, ["--rounds", "1"])
    race.main([command, *options], standalone_mode=False)
    assert TOLD[command] in capsys.readouterr().out


def test_other_ids_stop_the_race(race):
    results = {"Octavo": [race.Result(1, 1, ids={"a": "x"})], "peer": [race.Result(1, 1, ids={"a": "y"})]}
    with pytest.raises(ClickException, match="a: peer gives other ids than Octavo; nothing is timed"):
        race._demand_same(results)


def test_a_missing_peer_is_named(race, monkeypatch):
    monkeypatch.setattr(race, "find_spec", lambda package: None)
    told = CliRunner().invoke(race.main, ["load"])
    assert told.exit_code == 1 and "pip install tiktoken tokenizers" in told.output
