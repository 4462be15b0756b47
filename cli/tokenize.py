"""`octavo tokenize`: a tokenizer of your own; text to ids and back; a look at tokens."""

import sys
from collections.abc import Iterable, Iterator
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import GroupedCommand, option

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..tokenizer import Tokenizer

__all__ = ["tokenize"]

_PATTERNS = "gpt2, cl100k, o200k, llama3, qwen2, or a regular expression."
_COLOURS = (153, 223, 158, 218, 189)  # of a terminal's 256, light ones
_AT_ONCE = 1 << 20  # ids


@click.group(short_help="Train a tokenizer, and turn text into ids and back.")
def tokenize() -> None:
    """Train a tokenizer, and turn text into ids and back.

    TOKENIZER is a file of Octavo's, a tokenizer.json of Hugging Face, a file of tiktoken, or the folder of a run.
    """


def _tokenizer_argument(command: Any) -> Any:
    """Adds TOKENIZER and what a file of tiktoken does not say, for `_load`."""
    argument = click.argument("tokenizer", type=click.Path(path_type=Path))
    pattern = option("--pattern", group="Files of tiktoken", help=f"How text is cut into words: {_PATTERNS}")
    special = option(
        "--special", multiple=True, metavar="TEXT=ID", group="Files of tiktoken", help="A special token; repeatable."
    )
    return argument(pattern(special(command)))


def _load(path: Path, pattern: str | None, special: tuple[str, ...]) -> "Tokenizer":
    from .. import tokenizer as tokenizers

    ids = {}
    for entry in special:
        text, _, number = entry.rpartition("=")
        if not text or not number.isdecimal():
            raise click.BadParameter(f"{entry!r} should be a text, = and its id", param_hint="--special")
        ids[text] = int(number)
    file = path / "tokenizer.json" if path.is_dir() else path
    return tokenizers.load(file, pattern=pattern, special_tokens=ids or None)


_allow_special = option(
    "--allow-special", is_flag=True, group="Text", help="Special tokens that the text spells out count as such."
)


@tokenize.command(cls=GroupedCommand, short_help="Learn a tokenizer from texts.")
@click.argument("sources", nargs=-1, required=True)
@option(
    "--out",
    type=click.Path(path_type=Path),
    default="tokenizer.json",
    show_default=True,
    group="Result",
    help="The file to write.",
)
@option("--vocab-size", type=int, default=8192, show_default=True, group="Result", help="The number of tokens.")
@option(
    "--special",
    multiple=True,
    default=["<|endoftext|>"],
    show_default=True,
    group="Result",
    help="A special token; repeatable; '' for none.",
)
@option("--pattern", default="gpt2", show_default=True, group="Result", help=f"How text is cut into words: {_PATTERNS}")
@option(
    "--min-frequency", type=int, default=1, show_default=True, group="Learning", help="Merge no pair that is rarer."
)
@option(
    "--max-token-length",
    type=int,
    default=1 << 16,
    show_default=True,
    group="Learning",
    help="The most bytes that a merge may make.",
)
@option(
    "--memory",
    type=int,
    default=1024,
    show_default=True,
    group="Learning",
    help="Megabytes for distinct words; the rarest go where there are too many.",
)
def train(
    sources: tuple[str, ...], out: Path, vocab_size: int, special: tuple[str, ...], memory: int, **options: Any
) -> None:
    """Learn a byte-pair vocabulary from SOURCES: files, folders, or - for standard input."""
    from ..tokenizer import BPETokenizer
    from .status import bar, compilation_shown, following

    with compilation_shown(), bar("learning the tokenizer", vocab_size, " merges") as shown:
        tokenizer = BPETokenizer.train(
            _texts(sources),
            vocab_size,
            special_tokens=[text for text in special if text],
            memory=memory << 20,
            progress=following(shown),
            **options,
        )
    tokenizer.save(out)
    click.echo(f"{out}: {tokenizer.vocab_size:,} tokens")


@tokenize.command(cls=GroupedCommand, short_help="Turn text into ids.")
@_tokenizer_argument
@click.argument("sources", nargs=-1)
@option(
    "--out",
    type=click.Path(path_type=Path),
    group="Result",
    help="A token file to write, such as octavo train makes: <|endoftext|> after each text. [ids as text]",
)
@_allow_special
def encode(
    tokenizer: Path,
    sources: tuple[str, ...],
    out: Path | None,
    allow_special: bool,
    pattern: str | None,
    special: tuple[str, ...],
) -> None:
    """Print the ids of SOURCES, a line for each text, or write them into a token file.

    SOURCES are files, folders, or - for standard input, which is also read where there is none. What interrupts the
    writing of a token file loses little: the same command goes on with it.
    """
    from .status import bar, compilation_shown

    loaded = _load(tokenizer, pattern, special)
    if out is None:
        with compilation_shown():
            for text in _texts(sources):
                _print_ids(loaded, [text] if isinstance(text, str) else text, allow_special)
        return
    if allow_special:
        raise click.UsageError("--allow-special is for printed ids; leave out --out.")
    from ..nn.token_file import TokenFile
    from ..nn.write_tokens import write_tokens

    with compilation_shown(), bar("encoding", _size(sources)) as shown:
        write_tokens(out, _texts(sources), loaded, shown.update, resume=True)
    written = TokenFile(out, loaded)
    click.echo(f"{out}: {len(written.tokens):,} tokens of {written.bytes:,} bytes")


def _print_ids(tokenizer: "Tokenizer", pieces: Iterable[str], allow_special: bool) -> None:
    encoder = tokenizer.encoder(allowed_special="all" if allow_special else ())
    between = ""
    for ids in encoder.encode(pieces):
        if ids.size:
            click.echo(between + " ".join(map(str, ids.tolist())), nl=False)
            between = " "
    click.echo()


@tokenize.command(cls=GroupedCommand, short_help="Turn ids into text.")
@_tokenizer_argument
@click.argument("tokens", default="-")
def decode(tokenizer: Path, tokens: str, pattern: str | None, special: tuple[str, ...]) -> None:
    """Print the text of TOKENS: a token file, a file of ids as text, or - for such ids from standard input.

    The bytes come out as they are, also where they are not UTF-8.
    """
    from ..nn.token_file import MAGIC, TokenFile

    loaded = _load(tokenizer, pattern, special)
    with click.open_file(tokens, "rb") as file:
        data = file.read(len(MAGIC))
        ids = TokenFile(tokens, loaded).tokens if data == MAGIC else _numbers(data + file.read())
    out = sys.stdout.buffer
    for start in range(0, len(ids), _AT_ONCE):
        out.write(loaded.decode_bytes(ids[start : start + _AT_ONCE]))
    out.flush()


def _numbers(data: bytes) -> "NDArray[Any]":
    import numpy as np

    words = data.split()
    if not all(map(bytes.isdigit, words)):
        word = next(word for word in words if not word.isdigit())
        raise ValueError(
            f"ids should be numbers with white space between them, not {word[:80].decode(errors='replace')!r}"
        )
    return np.array(list(map(int, words)), np.uint64)


@tokenize.command(cls=GroupedCommand, short_help="Show the tokens of a text in colours.")
@_tokenizer_argument
@click.argument("sources", nargs=-1)
@option("--text", group="Text", help="The text itself, instead of SOURCES.")
@_allow_special
@option("--ids", is_flag=True, group="Result", help="Each token's id behind it.")
def show(
    tokenizer: Path,
    sources: tuple[str, ...],
    text: str | None,
    allow_special: bool,
    ids: bool,
    pattern: str | None,
    special: tuple[str, ...],
) -> None:
    """Show the tokens of SOURCES in colours, or divided by | where there are none.

    SOURCES are files, folders, or - for standard input, which is also read where there is none.
    """
    from .status import compilation_shown

    loaded = _load(tokenizer, pattern, special)
    coloured = sys.stdout.isatty()
    count = size = 0
    for part in [text] if text is not None else _texts(sources):
        whole = part if isinstance(part, str) else "".join(part)
        with compilation_shown():
            encoded = loaded.encode(whole, allowed_special="all" if allow_special else ())
        click.echo("".join(painted(loaded, encoded.tolist(), coloured, ids)))
        count, size = count + encoded.size, size + len(whole.encode())
    click.echo(f"{count:,} tokens, {size:,} bytes: {size / max(count, 1):.2f} bytes a token")


def painted(tokenizer: "Tokenizer", ids: Iterable[int], coloured: bool, with_ids: bool) -> Iterator[str]:
    """The tokens as text for a terminal; what does not print, and parts of characters, are written as escapes."""
    for i, colour in zip(ids, cycle(_COLOURS)):
        token = tokenizer.token_bytes[i]
        text = token.decode(errors="backslashreplace")
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
        text += f"·{i}" if with_ids else ""
        yield click.style(text, fg=16, bg=colour) if coloured else f"{text}|"
        if token.endswith(b"\n"):
            yield "\n"


def _texts(sources: tuple[str, ...]) -> "Iterator[str | Iterator[str]]":
    from ..nn.text import iterate_texts

    for source in sources or ("-",):
        yield from iterate_texts(source)


def _size(sources: tuple[str, ...]) -> int | None:
    """The bytes of all files, for the progress bar; None where there is no telling."""
    paths = [path for source in sources for path in (Path(source), *Path(source).rglob("*"))]
    return sum(path.stat().st_size for path in paths if path.is_file()) if sources and "-" not in sources else None
