"""`octavo eval`: how well a trained model predicts a text."""

from pathlib import Path

import click

from .options import GroupedCommand, option, thread_options, use_machine

__all__ = ["evaluate"]


@click.command("eval", cls=GroupedCommand, short_help="Measure how well a trained model predicts a text.")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("source", required=False)
@option("--batch-size", type=click.IntRange(1), default=16, show_default=True, group="Machine", help="Windows at once.")
@thread_options
def evaluate(run: Path, source: str | None, batch_size: int, device: str, threads: int | None) -> None:
    """Loss, perplexity and bits per byte of the model in the folder RUN.

    SOURCE is a file, a folder or - (standard input); without it, the text that training held back counts.
    """
    import tempfile

    from ..nn.data import EvalBatches
    from ..nn.evaluate import evaluate as evaluate_model
    from ..nn.text import read_texts
    from ..nn.token_file import TokenFile
    from ..nn.write_tokens import write_tokens
    from .load import load
    from .status import bar, compilation_shown

    place, _ = use_machine(device, threads)
    files, tokenizer, model = load(run, place)
    if source is None:
        tokens = TokenFile(files.val, tokenizer)
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "tokens")
            texts = [document.text for document in read_texts(source)]
            try:
                write_tokens(path, texts, tokenizer, whole_documents=len(texts) > 1)
            except ValueError as error:
                raise ValueError(f"{source}: {error}; give text like that which the run learned from") from None
            tokens = TokenFile(path, tokenizer)
    batches = EvalBatches(tokens.tokens, batch_size, model.config.context)
    with compilation_shown(), bar("evaluating", len(batches), "batch") as shown:

        def counted():
            for batch in batches:
                yield batch
                shown.update()

        result = evaluate_model(model, counted(), tokens.bytes_per_token)
    click.echo(f"loss           {result.loss:.4f} nats per token, {result.tokens:,} tokens")
    click.echo(f"perplexity     {result.perplexity:.2f} per token")
    if result.bits_per_byte is not None:
        click.echo(f"bits per byte  {result.bits_per_byte:.4f}")
