"""Text from a model, as it comes."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..nn import LanguageModel
    from ..tokenizer import Tokenizer

__all__ = ["continuation"]


def continuation(
    model: "LanguageModel", tokenizer: "Tokenizer", prompt: str, tokens: int, stop: Sequence[str] = (), **options: Any
) -> Iterator[str]:
    """What the model writes after the prompt, piece by piece, up to the first stop text or the end of the document.

    An empty prompt stands for the beginning of a document. `options` are those of `nn.stream_tokens`.

    Raises:
        ValueError: the prompt has a character that the tokenizer lacks, or an option is out of its range.
    """
    from ..nn import stream_tokens
    from ..nn.token_file import END_OF_TEXT

    end = tokenizer.special_tokens.get(END_OF_TEXT)
    first = [end if end is not None else 0]
    ids = tokenizer.encode(prompt) if prompt else first
    stream, ends = tokenizer.stream(), first if end is not None else []

    def pieces() -> Iterator[str]:
        for (token,) in stream_tokens(model, ids, tokens, stop=ends, **options):
            if token != end:
                yield stream.push(int(token))
        yield stream.finish()

    return _until(pieces(), stop)


def _until(pieces: Iterator[str], stop: Sequence[str]) -> Iterator[str]:
    """The text up to the first stop text; what may be the beginning of one is kept back until that is known."""
    longest = max(map(len, stop), default=1)
    held = ""
    for piece in pieces:
        held += piece
        found = [at for at in (held.find(text) for text in stop if text) if at >= 0]
        if found:
            yield held[: min(found)]
            return
        sure = len(held) - (longest - 1)
        if sure > 0:
            yield held[:sure]
            held = held[sure:]
    yield held
