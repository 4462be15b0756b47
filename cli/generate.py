"""`octavo generate`: text from a trained model."""

from pathlib import Path

import click

from .options import GroupedCommand, option, thread_options, use_machine

__all__ = ["generate"]


@click.command(cls=GroupedCommand, short_help="Write text with a trained model.")
@click.argument("run", type=click.Path(path_type=Path))
@option("--prompt", default="", group="Text", help="What the text begins with. [the beginning of a document]")
@option("--tokens", type=click.IntRange(0), default=200, show_default=True, group="Text", help="The most to write.")
@option("--stop", multiple=True, group="Text", help="Ends the text where this would come; may be repeated.")
@option("--temperature", type=float, default=0.8, show_default=True, group="Choice", help="0: always the likeliest.")
@option("--top-k", type=int, default=0, show_default=True, group="Choice", help="Only the k likeliest tokens; 0: all.")
@option("--top-p", type=float, default=1.0, show_default=True, group="Choice", help="Only the likeliest, up to this.")
@option("--min-p", type=float, default=0.0, show_default=True, group="Choice", help="Only this share of the likeliest.")
@option("--repetition-penalty", type=float, default=1.0, show_default=True, group="Choice", help="Over 1: less of it.")
@option("--seed", type=click.IntRange(0), group="Choice", help="The same text each time. [another each time]")
@option(
    "--weights",
    type=click.Choice(["float32", "bf16", "int8"]),
    default="float32",
    show_default=True,
    group="Machine",
    help="Fewer bits are faster and take less memory; the text may differ.",
)
@thread_options
def generate(
    run: Path,
    prompt: str,
    tokens: int,
    stop: tuple[str, ...],
    temperature: float,
    top_k: int,
    top_p: float,
    min_p: float,
    repetition_penalty: float,
    seed: int | None,
    weights: str,
    device: str,
    threads: int | None,
) -> None:
    """Write text with the model that octavo train left in the folder RUN."""
    import secrets

    try:
        prompt.encode()
    except UnicodeEncodeError:
        raise click.BadParameter("it is not UTF-8; type it in a terminal set to UTF-8", param_hint="--prompt") from None

    from ..nn import quantize
    from .load import load
    from .status import compilation_shown
    from .text import continuation

    place, _ = use_machine(device, threads)
    _, tokenizer, model = load(run, place)
    if weights != "float32":
        quantize(model, weights)
    seed = secrets.randbits(32) if seed is None else seed
    choice = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p}
    choice |= {"repetition_penalty": repetition_penalty, "seed": seed}
    text = continuation(model, tokenizer, prompt, tokens, stop, **choice)
    click.echo(prompt, nl=False)
    with compilation_shown():
        for piece in text:
            click.echo(piece, nl=False)
    click.echo()
