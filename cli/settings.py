"""The options of `octavo train` that other commands have too, and a command line from what was given of them."""

import shlex
from collections.abc import Callable
from typing import Any

import click

from .models import MODELS
from .options import option
from .presets import BIGRAM, DEFAULT, PRESETS

__all__ = [
    "budget_settings",
    "learning_settings",
    "model_settings",
    "preset_settings",
    "rate_settings",
    "setting",
    "settings_group",
    "text_settings",
    "typed",
]


def setting(*names: str, group: str, help: str, **kwargs: Any) -> Any:
    """An option whose default is the preset's."""
    name = names[0].partition("/")[0].removeprefix("--").replace("-", "_")
    default = PRESETS[DEFAULT].get(name)
    if isinstance(default, tuple):
        default = " ".join(map(str, default))
    shown = "" if default is None or isinstance(default, bool) else f" [{default}]"
    return option(*names, group=group, help=help + shown, **kwargs)


def settings_group(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Options as one decorator, in their order."""

    def add(command: Any) -> Any:
        for each in reversed(options):
            command = each(command)
        return command

    return add


def typed(command: str, source: str | None, preset: str, given: dict[str, Any]) -> str:
    """What to type for a command with these settings; flags are called as in the present command."""
    words = ["octavo", command, *([] if source is None else [source])]
    words += [] if preset == DEFAULT else ["--preset", preset]
    options = {each.name: each for each in click.get_current_context().command.params}
    for name, value in given.items():
        if isinstance(value, bool):
            words.append((options[name].opts if value else options[name].secondary_opts)[0])
        else:
            words += [f"--{name.replace('_', '-')}", *map(str, value if isinstance(value, tuple) else (value,))]
    return shlex.join(words)


preset_settings = settings_group(
    option(
        "--preset",
        type=click.Choice(list(PRESETS)),
        default=DEFAULT,
        group="Run",
        help=(
            "Where options that are left out come from: quick, two minutes; llama, the same in Llama's style; nano, "
            "nanoGPT's recipe for a processor. [quick]"
        ),
    ),
    setting("--seed", type=int, group="Run", help="Of weights, data order, dropout and samples."),
)

text_settings = settings_group(
    setting("--tokenizer", type=click.Choice(["bytes", "chars", "bpe"]), group="Text", help="What a token is."),
    setting("--vocab-size", type=int, group="Text", help="Tokens that bpe learns."),
    setting("--val-fraction", type=float, group="Text", help="Share of the text held back for validation."),
)

model_settings = settings_group(
    setting(
        "--model", type=click.Choice(list(MODELS)), group="Model", help="What learns. The sizes shown here are a gpt's."
    ),
    setting("--layers", type=int, group="Model", help="Blocks, or layers."),
    setting("--heads", type=int, group="Model", help="Attention heads in a block."),
    setting("--width", type=int, group="Model", help="Channels, a multiple of the heads."),
    setting("--hidden", type=int, group="Model", help="Channels of an MLP's hidden layer."),
    setting("--taps", type=int, group="Model", help="Tokens that an mlp or a layer of convolution looks at."),
    setting("--context", type=int, group="Model", help="Tokens that the model sees at once."),
    setting("--dropout", type=float, group="Model", help="Probability of dropout."),
    setting("--bias/--no-bias", default=None, group="Model", help="Biases in linear layers and norms. [no]"),
)

budget_settings = settings_group(
    setting("--steps", type=int, group="Budget", help="Updates of the weights."),
    setting("--minutes", type=float, group="Budget", help="Minutes of training; not repeatable bit for bit."),
)

learning_settings = settings_group(
    setting("--batch-size", type=int, group="Learning", help="Windows of text in a micro-batch."),
    setting("--accumulate", type=int, group="Learning", help="Micro-batches in an update."),
    setting("--optimizer", group="Learning", help="adamw, lion, muon or sgd. [adamw]"),
    setting(
        "--betas",
        type=float,
        nargs=2,
        group="Learning",
        help="Of AdamW and Lion; the first is the momentum of Muon and SGD.",
    ),
    setting("--weight-decay", type=float, group="Learning", help="On matrices only."),
    setting("--clip", type=float, group="Learning", help="Largest norm of the gradient; 0: any."),
    setting("--dtype", group="Learning", help="Of weights, activations and gradients: float32, or bfloat16 on a GPU."),
    setting(
        "--precision",
        group="Learning",
        help="Of float32 products: highest, high, or medium where it is faster.",
    ),
    setting("--recompute/--keep", default=None, group="Learning", help="Less memory for more time. [keep]"),
    setting("--graph/--no-graph", default=None, group="Learning", help="Launch whole steps at once, on a GPU. [graph]"),
)

rate_settings = settings_group(
    setting("--lr", type=float, group="Learning", help=f"The highest learning rate; of a bigram {BIGRAM['lr']}."),
    setting("--min-lr", type=float, group="Learning", help="The learning rate at the end. [a tenth of --lr]"),
    setting("--warmup", type=int, group="Learning", help="Steps in which the learning rate rises."),
    setting("--schedule", group="Learning", help="How it falls: cosine, linear, wsd or constant."),
)
