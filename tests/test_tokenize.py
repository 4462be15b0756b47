"""octavo tokenize: train, encode, decode, show."""

import click
import pytest
from click.testing import CliRunner

from octavo.cli import main
from octavo.cli.tokenize import painted
from octavo.nn.token_file import TokenFile
from octavo.tokenizer import huggingface, load, tiktoken

TEXTS = {"a.py": "def low(x):\n    return x  # naïve 日本\n" * 20, "b.txt": "lower lowest\n<|endoftext|>"}


def octavo(*arguments, **options):
    return CliRunner().invoke(main, ["tokenize", *map(str, arguments)], **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenize")
    (folder / "texts").mkdir()
    for name, text in TEXTS.items():
        (folder / "texts" / name).write_text(text)
    result = octavo(
        "train", folder / "texts", "--vocab-size", 300, "--pattern", "qwen2", "--out", folder / "tokenizer.json"
    )
    assert result.exit_code == 0 and result.stdout.endswith("tokenizer.json: 300 tokens\n")
    return folder


def test_training_takes_files_folders_and_standard_input(folder, tmp_path):
    trained = load(folder / "tokenizer.json")
    assert trained.pattern == "qwen2" and trained.special_tokens == {"<|endoftext|>": 299}
    out = tmp_path / "t.json"
    files = [folder / "texts" / name for name in TEXTS]
    assert octavo("train", *files, "--vocab-size", 300, "--pattern", "qwen2", "--out", out).exit_code == 0
    assert load(out).fingerprint == trained.fingerprint
    options = ["--vocab-size", 280, "--special", "<a>", "--special", "<b>", "--max-token-length", 3, "--out", out]
    assert octavo("train", "-", *options, input="lower lowest " * 9).exit_code == 0
    assert load(out).special_tokens == {"<a>": load(out).vocab_size - 2, "<b>": load(out).vocab_size - 1}
    assert max(map(len, load(out).token_bytes)) == 3
    assert octavo("train", "-", "--special", "", "--vocab-size", 260, "--out", out, input="lower").exit_code == 0
    assert load(out).special_tokens == {}


@pytest.mark.parametrize("form", ["octavo", "folder", "huggingface", "tiktoken"])
def test_ids_are_printed_and_read_back(form, folder, tmp_path):
    tok = load(folder / "tokenizer.json")
    path, options = folder / "tokenizer.json", []
    if form == "folder":
        path = folder
    elif form != "octavo":
        path = tmp_path / "other"
        {"huggingface": huggingface, "tiktoken": tiktoken}[form].export(tok, path)
        options = ["--pattern", "qwen2", "--special", "<|endoftext|>=299"] if form == "tiktoken" else []
    result = octavo("encode", path, *options, folder / "texts")
    assert [list(map(int, line.split())) for line in result.stdout.splitlines()] == [
        tok.encode(text).tolist() for text in TEXTS.values()
    ]
    back = octavo("decode", path, *options, input=result.stdout)
    assert back.stdout_bytes.decode() == "".join(TEXTS.values())
    allowed = octavo("encode", path, *options, "--allow-special", input="x<|endoftext|>").stdout
    assert allowed.split()[-1] == "299"


def test_a_token_file_is_written_and_read_back(folder, tmp_path):
    out = tmp_path / "texts.tokens"
    tok = load(folder / "tokenizer.json")
    result = octavo("encode", folder, folder / "texts", "--out", out)
    tokens = TokenFile(out, tok).tokens.tolist()
    assert result.stdout == f"{out}: {len(tokens)} tokens of {len(''.join(TEXTS.values()).encode())} bytes\n"
    assert tokens == [i for text in TEXTS.values() for i in [*tok.encode(text).tolist(), 299]]
    back = octavo("decode", folder, out)
    assert back.stdout_bytes.decode() == "".join(text + "<|endoftext|>" for text in TEXTS.values())
    assert octavo("encode", folder, folder / "texts", "--out", out, "--allow-special").exit_code == 2


def test_tokens_are_shown(folder):
    tok = load(folder / "tokenizer.json")
    result = octavo("show", folder, "--ids", "--text", "low 日\n\x1bx")
    first, second, *_, summary = result.stdout.splitlines()
    shown = [piece.partition("·") for piece in (first + second).split("|")[:-1]]
    assert [int(i) for _, _, i in shown] == tok.encode("low 日\n\x1bx").tolist()
    assert "\\n·" in first and second.startswith("\\x1b·")
    assert summary == f"{len(shown)} tokens, 10 bytes: {10 / len(shown):.2f} bytes a token"
    coloured = "".join(painted(tok, tok.encode("naïve low").tolist(), coloured=True, with_ids=False))
    assert coloured.startswith("\x1b[") and click.unstyle(coloured).replace("\\xc3\\xaf", "ï") == "naïve low"
    assert octavo("show", folder, folder / "texts").stdout.count("return") == 20


def test_ids_that_are_none(folder):
    assert (
        "ids should be numbers with white space between them, not 'x'" in octavo("decode", folder, input="1 x").stderr
    )
    assert "id 300 is outside the vocabulary of 300 tokens" in octavo("decode", folder, input="1 300").stderr
    result = octavo("show", folder, "--special", "a", "--text", "b")
    assert result.exit_code == 2 and "'a' should be a text, = and its id" in result.stderr
    assert octavo("decode", folder, "nowhere").exit_code == 1
