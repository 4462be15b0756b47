"""`octavo warmup`: the kernels of training and generation, compiled ahead of time."""

from pathlib import Path
from typing import Any

import click

from .info import kernel_cache
from .models import MODELS
from .options import GroupedCommand, thread_options, use_machine

__all__ = ["warmup"]

_TEXT = "The quick brown fox jumps over the lazy dog.\n" * 40
_GPT = {"layers": 1, "heads": 2, "width": 16}
_TINY = {"tokenizer": "bytes", "context": 16, "batch_size": 2, "steps": 1}
_TINY |= {"eval_every": 1, "eval_batches": 1}
# Presets, with what else makes a difference to kernels.
_REHEARSALS: list[tuple[str, dict[str, Any]]] = [
    ("quick", _GPT),
    ("llama", _GPT),
    ("quick", _GPT | {"bias": True, "dropout": 0.1, "accumulate": 2}),
    *(("quick", _GPT | {"optimizer": optimizer}) for optimizer in ("lion", "muon", "sgd")),
    *(("quick", {"model": model, "width": 16}) for model in MODELS if model not in ("gpt", "bigram")),
    ("quick", {"model": "bigram"}),
]


@click.command(cls=GroupedCommand, short_help="Compile all kernels ahead of time.")
@thread_options
def warmup(device: str, threads: int | None) -> None:
    """Compile the kernels that octavo train and octavo generate use, so that neither has to wait for them.

    They are kept in the cache folder, for this machine and version. After Ctrl-C, those that are ready stay.
    """
    import signal
    import tempfile
    from time import perf_counter

    from .status import compilation_shown

    place, _ = use_machine(device, threads)
    folder, before, kept = kernel_cache(place)
    if not kept:
        raise ValueError("the cache folder cannot be written; set OCTAVO_CACHE to a folder that can")
    start = perf_counter()
    # Where Ctrl-C is not Python's own the trainer lets it through at once, and not after all that a step compiles.
    handler = signal.signal(signal.SIGINT, _stop)
    try:
        with compilation_shown(), tempfile.TemporaryDirectory() as runs:
            _rehearse_tokenizer()
            for number, (preset, changes) in enumerate(_REHEARSALS):
                _rehearse(Path(runs, str(number)), preset, changes, place)
    finally:
        signal.signal(signal.SIGINT, handler)
        compiled = len(set(kernel_cache(place)[1]) - set(before))
        click.echo(
            f"kernels    {compiled} compiled in {perf_counter() - start:.0f} s, {len(before)} were there already"
        )
        click.echo(f"cache      {folder}")


def _stop(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _rehearse_tokenizer() -> None:
    """Training, and a text for each thread."""
    from ..kernels.device import threads
    from ..tokenizer import BPETokenizer

    tokenizer = BPETokenizer.train(_TEXT, 300)
    tokenizer.decode(tokenizer.encode_batch([_TEXT * 40] * threads())[0])
    tokenizer.encoder().push(_TEXT)


def _rehearse(folder: Path, preset: str, changes: dict[str, Any], place: str) -> None:
    """A step of training, with evaluation and checkpoint, and generations, with a model as small as can be."""
    from contextlib import redirect_stdout
    from io import StringIO

    from ..nn import Trainer, models, quantize
    from ..nn.token_file import TokenFile
    from .load import load
    from .prepare import prepare
    from .presets import settings
    from .text import continuation

    text = folder.with_suffix(".txt")
    text.write_text(_TEXT)
    with redirect_stdout(StringIO()):  # its report on the text
        run = prepare(str(text), folder, settings(preset, _TINY | changes))
    shape, config, _ = run.read_config()
    train, val = TokenFile(run.train).tokens, TokenFile(run.val).tokens
    fresh = models.build(shape)
    fresh.to(place)
    Trainer(fresh, config, train, val, checkpoint_path=run.checkpoint).fit()
    for weights in ("float32", "bf16", "int8"):
        _, tokenizer, model = load(folder, place)
        if weights != "float32":
            quantize(model, weights)
        for _piece in continuation(model, tokenizer, "The quick", 2, repetition_penalty=1.1, seed=0):
            pass
