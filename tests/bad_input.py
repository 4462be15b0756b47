"""How input can be bad: what happens to a folder with a text and a run, a command, a piece of the sentence it gets."""

import json
import os
import shlex
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.numpy import load_file, save_file

from octavo.nn import GPT, GPTConfig, checkpoint
from octavo.nn.write_tokens import write_tokens
from octavo.tokenizer import ByteTokenizer

TEXT = "".join(f"def f{i}(x):\n    return x + {i}\n\n" for i in range(200))
TINY = shlex.split(
    "--tokenizer bpe --vocab-size 300 --layers 1 --heads 2 --width 16 --context 16 --batch-size 4 --steps 6 "
    "--eval-every 3 --eval-batches 1 --save-every 2"
)


class Case(NamedTuple):
    name: str
    command: str
    sentence: str
    make: Callable[[], object] = lambda: None
    code: int = 1


def write(name: str, data: bytes | str = b"") -> Callable[[], object]:
    return lambda: Path(name).write_bytes(data.encode() if isinstance(data, str) else data)


def cut(name: str, share: float) -> Callable[[], object]:
    return lambda: Path(name).write_bytes(Path(name).read_bytes()[: int(Path(name).stat().st_size * share)])


def flip(name: str, at: int) -> Callable[[], object]:
    def make() -> None:
        data = bytearray(Path(name).read_bytes())
        data[at] ^= 1
        Path(name).write_bytes(data)

    return make


def remove(name: str) -> Callable[[], object]:
    return lambda: Path(name).unlink()


def edit(name: str, *keys: str, value: object) -> Callable[[], object]:
    def make() -> None:
        document = inner = json.loads(Path(name).read_text())
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = value
        Path(name).write_text(json.dumps(document))

    return make


def reweigh(change: Callable[[dict], None]) -> Callable[[], object]:
    """Other arrays in the checkpoint, with a checksum that fits them."""

    def make() -> None:
        path = "run/checkpoint.safetensors"
        size = int.from_bytes(Path(path).read_bytes()[:8], "little")
        text = json.loads(Path(path).read_bytes()[8 : 8 + size])["__metadata__"]["octavo"]
        change(arrays := load_file(path))
        save_file(arrays, path, {"octavo": text, "crc32": checkpoint.checksum(text, arrays)})

    return make


def other_model(extra: dict | None = None) -> None:
    checkpoint.save(WEIGHTS, GPT(GPTConfig(300, context=16, layers=1, heads=2, width=8)), None, extra)


def other_tokens() -> None:
    write_tokens("run/train.tokens", [TEXT], ByteTokenizer())


def high_id() -> None:
    """The last token is 65535, and the checksum fits."""
    path = Path("run/val.tokens")
    data = path.read_bytes()[:-2] + b"\xff\xff"
    start = 12 + int.from_bytes(data[8:12], "little")
    header = json.loads(data[12:start])
    del header["crc32"]
    header["crc32"] = f"{zlib.crc32(json.dumps(header).encode(), zlib.crc32(data[start:])):08x}"
    path.write_bytes(data[:12] + json.dumps(header).encode().ljust(start - 12) + data[start:])


def nothing_but_binary() -> None:
    Path("folder").mkdir()
    write("folder/a", b"\0\1")()
    write("folder/b", b"\xff\xfe")()
    write("folder/empty")()


WEIGHTS, CONFIG, TOKENIZER = "run/checkpoint.safetensors", "run/config.json", "run/tokenizer.json"
NEW = f"train text.py {' '.join(TINY)} --out new"

CASES = [
    # texts
    Case("empty file", "train empty", "empty is empty; give UTF-8 text", write("empty")),
    Case(
        "binary file", "train binary", r"binary is binary \(byte 1 is NUL\); give plain text", write("binary", b"a\0b")
    ),
    Case(
        "not UTF-8", "train latin", r"latin is not UTF-8 \(byte 2 is 0xe9\); convert it", write("latin", b"caf\xe9"[1:])
    ),
    Case("no file", "train none", "there is no 'none'; give a file, a folder, or -"),
    Case("a file that has gone", "train text.py", "there is no 'text.py'; give", remove("text.py")),
    Case("no text in a folder", "train folder", "folder holds no text file to read", nothing_but_binary),
    Case("one character", "train one", "one is too short to hold some back", write("one", "x")),
    Case("no name", ["train", ""], "there is no ''; give a file"),
    Case("a link to nothing", "train link", "there is no 'link'", lambda: os.symlink("nowhere", "link")),
    Case("eval of a binary file", f"eval run {WEIGHTS}", "is binary"),
    Case("eval of too little", "eval run one", "at least 2 tokens, got 1; give more text", write("one", "x")),
    Case("context over the data", f"{NEW} --context 100000", "shorten the context or give more text"),
    # a run's files
    Case("no run", "generate folder", "'folder' is not the folder of a run.*name one", lambda: os.mkdir("folder")),
    Case("a file as a run", "eval text.py", "'text.py' is not the folder of a run"),
    Case("resume of no run", "train --resume .", "'.' is not the folder of a run"),
    Case(
        "config not JSON", "train --resume run", "config.json is damaged: .*train anew, or mend it", write(CONFIG, "{")
    ),
    Case("config not UTF-8", "eval run", "config.json is damaged", write(CONFIG, b"\xff\xfe\0")),
    Case("config nested", "eval run", "config.json is damaged: .*recursion", write(CONFIG, "[" * 100000)),
    Case("config key", "eval run", "unknown surprise", edit(CONFIG, "model", "surprise", value=1)),
    Case(
        "training key",
        "eval run",
        "unknown in a training conf.*: surprise",
        edit(CONFIG, "training", "surprise", value=1),
    ),
    Case("config value", "eval run", "lr must be a number over 0; got 'x'", edit(CONFIG, "training", "lr", value="x")),
    Case("number too large", "eval run", "minutes must be", edit(CONFIG, "training", "minutes", value=10**400)),
    Case(
        "config too large",
        "train --resume run",
        "needs .* GB of memory, this machine has .*; choose a smaller one",
        edit(CONFIG, "model", "layers", value=10**12),
    ),
    Case(
        "config of another vocabulary",
        "train --resume run",
        "config.json has a model of 299 tokens, tokenizer.json",
        edit(CONFIG, "model", "vocab_size", value=299),
    ),
    Case(
        "config of another model",
        "train --resume run",
        "use the model that it was saved from",
        edit(CONFIG, "model", "width", value=32),
    ),
    Case("tokenizer gone", "generate run", "tokenizer.json: no such tokenizer file", remove(TOKENIZER)),
    Case(
        "tokenizer cut short",
        "eval run",
        "tokenizer.json is not a usable tokenizer file: not JSON, or cut",
        cut(TOKENIZER, 0.5),
    ),
    Case(
        "tokenizer changed",
        "eval run",
        "does not match its checksum",
        edit(TOKENIZER, "special_tokens", value={}),
    ),
    Case(
        "another run's tokenizer",
        "generate run",
        "model of 300 tokens, tokenizer.json beside it has 256; put back",
        lambda: ByteTokenizer().save(TOKENIZER),
    ),
    Case(
        "tokens gone",
        "train --resume run",
        "there is no token file .*train.tokens; write it",
        remove("run/train.tokens"),
    ),
    Case(
        "tokens cut short",
        "train --resume run",
        "train.tokens is damaged: its header promises",
        cut("run/train.tokens", 0.9),
    ),
    Case("tokens empty", "eval run", "val.tokens is not a token file", write("run/val.tokens")),
    Case("tokens of text", "eval run", "val.tokens is not a token file", write("run/val.tokens", TEXT)),
    Case(
        "a byte of tokens", "eval run", "val.tokens is damaged: .*checksum; write it again", flip("run/val.tokens", -3)
    ),
    Case(
        "another tokenizer's tokens",
        "train --resume run",
        "written with another tokenizer: vocab_size 256, given 300",
        other_tokens,
    ),
    Case(
        "an id out of range", "eval run", "val.tokens is damaged: it has a token 65535, its vocab_size is 300", high_id
    ),
    Case(
        "checkpoint gone",
        "generate run",
        "checkpoint.safetensors is not there: the run has saved nothing yet",
        remove(WEIGHTS),
    ),
    Case(
        "checkpoint gone late",
        "train --resume run",
        "is missing, though the run had come to step 6; put it back",
        remove(WEIGHTS),
    ),
    Case("checkpoint empty", "generate run", "checkpoint.safetensors: is damaged", write(WEIGHTS)),
    Case(
        "checkpoint cut short", "train --resume run --steps 9", "checkpoint.safetensors: is damaged", cut(WEIGHTS, 0.7)
    ),
    Case(
        "a byte of a weight",
        "eval run",
        "is damaged: its content does not match its checksum; use an earlier",
        flip(WEIGHTS, -5),
    ),
    Case(
        "a folder as checkpoint", "eval run", "no such checkpoint file", lambda: (remove(WEIGHTS)(), os.mkdir(WEIGHTS))
    ),
    Case(
        "no training's checkpoint",
        "train --resume run",
        "is no checkpoint of a training: .*; name one of a run",
        other_model,
    ),
    Case(
        "another model's checkpoint",
        "train --resume run",
        "use the model that it was saved from",
        lambda: other_model({"step": 2, "elapsed": 0.0}),
    ),
    Case(
        "foreign weights",
        "generate run",
        "is a safetensors file, but no Octavo checkpoint; name one",
        lambda: save_file({"w": np.ones(3)}, WEIGHTS),
    ),
    Case(
        "a weight too many",
        "eval run",
        "unexpected surprise",
        reweigh(lambda w: w.update({"model.surprise": np.ones(2, np.float32)})),
    ),
    Case(
        "an unknown array",
        "eval run",
        "neither the model's nor the optimiser's",
        reweigh(lambda w: w.update(surprise=np.ones(2))),
    ),
    Case("a weight too few", "eval run", "missing wpe.weight", reweigh(lambda w: w.pop("model.wpe.weight"))),
    Case(
        "a weight's shape",
        "eval run",
        "wpe.weight: expected floats of shape",
        reweigh(lambda w: w.update({"model.wpe.weight": np.ones((3, 3), np.float32)})),
    ),
    Case(
        "NaN in the weights",
        "generate run",
        "wte.weight has NaN or infinity: training had diverged",
        reweigh(lambda w: w["model.wte.weight"].fill(np.nan)),
    ),
    Case(
        "NaN in AdamW",
        "train --resume run",
        "exp_avgs.0 has NaN or infinity",
        reweigh(lambda w: w["optimizer.exp_avgs.0"].fill(np.inf)),
    ),
    # flags
    *(
        Case(flags, f"{NEW} {flags}", sentence, code=code)
        for flags, sentence, code in (
            ("--steps -5", "steps must be a whole number of at least 1", 1),
            ("--steps 99999999999999999999", "steps must be .* below", 1),
            ("--steps ten", "'ten' is not a valid integer", 2),
            ("--minutes 0", "minutes must be a number over 0", 1),
            ("--lr nan", "lr must be a number over 0; got nan", 1),
            ("--lr inf", "lr must be a number over 0; got inf", 1),
            ("--min-lr 9", "min_lr must be at most lr", 1),
            ("--batch-size 0", "batch_size must be a whole number of at least 1", 1),
            ("--accumulate -1", "accumulate must be", 1),
            ("--seed -1", "seed must be", 1),
            ("--seed 99999999999999999999", "seed must be", 1),
            ("--width -16", "width: expected a positive integer, got -16", 1),
            ("--heads 3", "width: expected a multiple of heads = 3, got 16", 1),
            ("--context 0", "context: expected a positive integer, got 0", 1),
            ("--batch-size 1000000000000", "in batches of 1,000,000,000,000 windows, .* choose a smaller one", 1),
            ("--layers 9999999999", "GB of memory, this machine has .*; choose a smaller one", 1),
            ("--dropout 1", "dropout: expected 0 <= dropout < 1", 1),
            ("--vocab-size 3", "vocab_size must be an integer of at least 257", 1),
            ("--val-fraction 1.5", "val_fraction must lie between 0 and 1", 1),
            ("--betas 1 2", "betas must be two numbers from 0 to below 1", 1),
            ("--optimizer adam", "optimizer must be one of adamw, lion, muon, sgd", 1),
            ("--schedule square", "schedule must be one of", 1),
            ("--preset huge", "'huge' is not one of 'quick', 'nano'", 2),
            ("--threads 100000", "threads: expected 1 to", 1),
            ("--device gpu", "device: expected 'auto', 'cpu', 'cuda'", 1),
            ("--nonsense", "No such option.*--nonsense", 2),
        )
    ),
    Case(
        "--out with files",
        "train text.py --out run",
        "'run' is there already; give another --out, or go on with --resume",
    ),
    Case("--out is a file", "train text.py --out text.py", "'text.py' is a file; give another --out"),
    Case("--out below a file", f"{NEW.replace('new', 'text.py/new')}", "text.py/new: Not a directory; name another"),
    Case("runs/ is a file", NEW.replace("--out new", ""), "runs: File exists; name another", write("runs", "x")),
    Case("--resume and text", "train text.py --resume run", "leave out SOURCE", code=2),
    Case("--resume and width", "train --resume run --width 8", "leave out --width", code=2),
    Case("resumed with nonsense", "train --resume run --lr -1", "lr must be a number over 0"),
    Case("temperature", "generate run --temperature -1", r"temperature: expected a number in \[0, inf\), got -1"),
    Case("temperature nan", "generate run --temperature nan", "temperature: expected a number"),
    Case("top-p", "generate run --top-p 2", r"top_p: expected a number in \(0, 1\], got 2"),
    Case("top-k", "generate run --top-k -1", "top_k: expected a whole number"),
    Case("min-p", "generate run --min-p 2", r"min_p: expected a number in \[0, 1\], got 2"),
    Case("penalty", "generate run --repetition-penalty 0", r"penalty: expected a number in \(0, inf\], got 0"),
    Case("tokens", "generate run --tokens -1", "-1 is not in the range", code=2),
    Case("seed", f"generate run --seed {10**30}", "seed: expected a whole number"),
    Case("prompt not UTF-8", "generate run --prompt \udcff", "--prompt: it is not UTF-8", code=2),
    Case("eval batch", "eval run --batch-size 0", "0 is not in the range", code=2),
    Case("no such command", "trian", "No such command 'trian'", code=2),
]
