"""A thousand mangled checkpoints, token files, tokenizers and configurations: each is read or refused in one line."""

import json
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from octavo import tokenizer
from octavo.nn import GPT, AdamW, GPTConfig, checkpoint
from octavo.nn.config import TrainConfig
from octavo.nn.metrics import read_metrics
from octavo.nn.run import Run
from octavo.nn.token_file import TokenFile
from octavo.nn.write_tokens import write_tokens

SHAPE = GPTConfig(vocab_size=270, context=8, layers=1, heads=2, width=8)
STRANGE = [
    None,
    True,
    -1,
    0,
    3,
    2**31,
    2**64,
    10**400,
    1.5,
    float("nan"),
    "",
    "x",
    "\ud800",
    [],
    [[1], [2, 3]],
    {},
    {"a": []},
]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One good file of each kind."""
    run = Run(tmp_path_factory.mktemp("good"))
    bpe = tokenizer.train("bpe", "the cat and the hat and the rat" * 5, vocab_size=270)
    bpe.save(run.tokenizer)
    tokenizer.huggingface.export(bpe, run.folder / "huggingface.json")
    tokenizer.tiktoken.export(bpe, run.folder / "ranks.tiktoken")
    write_tokens(run.train, ["the cat, " * 40], bpe)
    run.write_config(SHAPE, TrainConfig(steps=200), "a text")
    model = GPT(SHAPE)
    checkpoint.save(run.checkpoint, model, AdamW(model.parameters()), {"step": 3, "elapsed": 1.0})
    run.metrics.write_text("".join(json.dumps({"step": i, "loss": 2.0 / i, "final": True}) + "\n" for i in range(1, 9)))
    return run


def read_checkpoint(path: Path) -> None:
    model = GPT(SHAPE)
    found = checkpoint.load(path)
    found.restore(model, AdamW(model.parameters()))


READERS = {
    "checkpoint": read_checkpoint,
    "train": lambda path: TokenFile(path).bytes_per_token,
    "tokenizer": lambda path: tokenizer.load(path).encode("the hat"),
    "huggingface.json": lambda path: tokenizer.load(path).encode("the hat"),
    "ranks.tiktoken": lambda path: tokenizer.load(path, pattern="gpt2").encode("the hat"),
    "config": lambda path: Run(path.parent).read_config(),
    "metrics": read_metrics,
}


def bytes_mangled(data: bytes, draw: random.Random) -> bytes:
    """A few bits, a cut, a splice, a range twice or a range of zeros, mostly near the beginning."""
    size = min(len(data), draw.choice([16, 400, len(data)]))
    a, b = sorted(draw.randrange(size) for _ in range(2))
    match draw.randrange(5):
        case 0:
            changed = bytearray(data)
            for _ in range(draw.choice([1, 1, 3, 20])):
                changed[draw.randrange(size)] ^= 1 << draw.randrange(8)
            return bytes(changed)
        case 1:
            return data[:a]
        case 2:
            return data[:a] + data[b:]
        case 3:
            return data[:b] + data[a:]
        case _:
            return data[:a] + bytes(b - a) + data[b:]


def json_mangled(value, draw: random.Random):
    """One key lost, renamed or added, or one value replaced, somewhere within."""
    if isinstance(value, (dict, list)) and value and draw.random() < 0.8:
        changed = dict(value) if isinstance(value, dict) else list(value)
        at = draw.choice(list(value)) if isinstance(value, dict) else draw.randrange(len(value))
        action = draw.randrange(6)
        if action == 0:
            del changed[at]
        elif action == 1 and isinstance(changed, dict):
            changed[draw.choice(["x", "", *changed])] = changed.pop(at)
        elif action == 1:
            changed.insert(at, draw.choice(STRANGE))
        else:
            changed[at] = json_mangled(value[at], draw)
        return changed
    return draw.choice(STRANGE)


def header_mangled(data: bytes, prefix: int, draw: random.Random) -> bytes:
    """The same for the JSON header of a binary file, which gets a length that is right."""
    width = 8 if prefix == 8 else 4
    stop = prefix + int.from_bytes(data[prefix - width : prefix], "little")
    header = json.dumps(json_mangled(json.loads(data[prefix:stop]), draw)).encode()
    header += b" " * (-(prefix + len(header)) % 64)
    return data[: prefix - width] + len(header).to_bytes(width, "little") + header + data[stop:]


def metadata_mangled(path: Path, data: bytes, draw: random.Random) -> None:
    """A checkpoint that is whole, but for what it says of itself: the checksum does not help there."""
    size = int.from_bytes(data[:8], "little")
    meta = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["octavo"])
    text = json.dumps(json_mangled(meta, draw))
    arrays = load_file(path)
    name = draw.choice(list(arrays))
    match draw.randrange(4):
        case 0:
            arrays[name] = arrays[name].astype(draw.choice([np.float64, np.int64, np.float16, bool]))
        case 1:
            arrays[name] = arrays[name].reshape(-1)[: draw.randrange(3)]
    save_file(arrays, path, {"octavo": text, "crc32": checkpoint.checksum(text, arrays)})


@pytest.mark.parametrize("kind", READERS)
def test_mangled_files_are_read_or_refused_in_one_line(kind, files, tmp_path):
    good: Path = getattr(files, kind, files.folder / kind)
    data, path = good.read_bytes(), tmp_path / good.name
    draw, ends = random.Random(kind), Counter()
    for number in range(300):
        path.write_bytes(data)
        if number % 2 or kind == "ranks.tiktoken":
            path.write_bytes(bytes_mangled(data, draw))
        elif kind == "checkpoint" and number % 4:
            metadata_mangled(path, data, draw)
        elif kind in ("checkpoint", "train"):
            path.write_bytes(header_mangled(data, 8 if kind == "checkpoint" else 12, draw))
        elif kind == "metrics":
            lines = [json.dumps(json_mangled(json.loads(line), draw)) for line in data.splitlines()]
            path.write_text("\n".join(lines))
        else:
            path.write_text(json.dumps(json_mangled(json.loads(data), draw)))
        try:
            READERS[kind](path)
            ends["read"] += 1
        except (ValueError, OSError) as error:
            assert str(path) in str(error) and "\n" not in str(error), str(error)
            ends["refused"] += 1
    assert ends["refused"] > 150 if kind != "metrics" else ends["read"] == 300, ends
