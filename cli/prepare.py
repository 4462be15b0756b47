"""From text to the folder of a run, ready for training."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ..nn.data import Batches, EvalBatches
from ..nn.run import Run
from ..nn.text import Split, read_texts, split_texts
from ..nn.token_file import TokenFile
from ..nn.write_tokens import write_tokens
from ..tokenizer import Tokenizer
from ..tokenizer import train as train_tokenizer
from .load import require_memory
from .models import configure
from .presets import STANDARD_LIBRARY
from .status import bar, following

__all__ = ["prepare"]

RUNS = Path("runs")


def prepare(source: str | None, out: Path | None, settings: dict[str, Any]) -> Run:
    """Reads the text, trains the tokenizer, and writes both and the configuration into a new folder.

    Args:
        source: as `nn.text.read_texts`.
        out: the folder, new or empty; None: the next number under runs/.
        settings: as `presets.settings`.

    Raises:
        ValueError: a setting out of its range, text that cannot be used, or a folder that is not empty.
        FileNotFoundError: there is no such source.
    """
    shape, training = configure(settings)
    require_memory(shape, training)  # complains before the text is read
    _require_free(out)
    split = split_texts(read_texts(source), settings["val_fraction"])
    name = STANDARD_LIBRARY if source is None else "standard input" if source == "-" else source
    click.echo(f"text       {name}: {split}")
    tokenizer = _tokenizer(settings["tokenizer"], settings.get("vocab_size"), split)
    run = Run(_new_folder(out))
    try:
        tokenizer.save(run.tokenizer)
        for path, texts in ((run.train, split.train), (run.val, split.val)):
            with bar("encoding", sum(map(len, texts))) as shown:
                write_tokens(path, texts, tokenizer, shown.update, whole_documents=split.whole_documents)
        # What training will ask for, while a folder of no use can still go.
        Batches(TokenFile(run.train).tokens, 1, shape.context)
        EvalBatches(TokenFile(run.val).tokens, 1, shape.context)
        run.write_config(replace(shape, vocab_size=tokenizer.vocab_size), training, name)
    except BaseException:
        shutil.rmtree(run.folder, ignore_errors=True)
        raise
    return run


def _tokenizer(kind: str, vocab_size: int | None, split: Split) -> Tokenizer:
    """Of the training text; characters of the whole text, since one that is missing cannot be encoded."""
    texts = [*split.train, *split.val] if kind == "chars" else split.train
    with bar("learning the tokenizer", vocab_size or 0, " merges") as shown:
        options = {"progress": following(shown)} if kind == "bpe" else {}
        return train_tokenizer(kind, texts, vocab_size, **options)


def _require_free(out: Path | None) -> None:
    if out is None or not out.exists():
        return
    if not out.is_dir():
        raise ValueError(f"{str(out)!r} is a file; give another --out, a new or an empty folder")
    if any(out.iterdir()):
        raise ValueError(f"{str(out)!r} is there already; give another --out, or go on with --resume {out}")


def _new_folder(out: Path | None) -> Path:
    if out is not None:
        _require_free(out)
        out.mkdir(parents=True, exist_ok=True)
        return out
    RUNS.mkdir(exist_ok=True)
    number = max((int(path.name) for path in RUNS.iterdir() if path.name.isdecimal()), default=0) + 1
    while True:
        try:
            (folder := RUNS / str(number)).mkdir()
            return folder
        except FileExistsError:
            number += 1
