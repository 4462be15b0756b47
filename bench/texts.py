"""Texts for tokenizers: those that every Python has, and made-up ones."""

import random
import sysconfig
from collections.abc import Iterator
from pathlib import Path

MEGABYTE = 1_000_000
_SCRIPTS = {  # letters of words, how long these are, and what stands between them
    "Chinese": ([chr(c) for c in range(0x4E00, 0x5600)], 1, 4, ["", "", "，", "。"]),
    "Japanese": (
        [chr(c) for c in [*range(0x3041, 0x3094), *range(0x30A1, 0x30F7), *range(0x5B50, 0x5C50)]],
        1,
        6,
        ["", "", "", "、", "。"],
    ),
    "Arabic": ([chr(c) for c in [*range(0x627, 0x63B), *range(0x641, 0x64B), 0x650]], 2, 8, [" ", " ", " ", "، "]),
    "emoji": (["😀", "👍", "❤️", "👩‍👩‍👧", "🇪🇺", "👋🏽", "🎉"], 1, 4, ["", " ", " ok "]),
}


def english() -> str:
    """The topics of Python's own help, more than half a megabyte of prose."""
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics))


def library(limit: int = 25 * MEGABYTE) -> Iterator[str]:
    """The standard library's source, file by file, to about so many bytes."""
    folder, size = Path(sysconfig.get_path("stdlib")), 0
    for path in sorted(folder.rglob("*.py")):
        if "site-packages" in path.parts:
            continue
        data = path.read_bytes()
        try:
            text = data.decode()
        except UnicodeDecodeError:
            continue
        size += len(data)
        if size > limit:
            return
        yield text


def made_up(script: str) -> str:
    """A megabyte of made-up words of a script, as often as Zipf's law says."""
    letters, shortest, longest, between = _SCRIPTS[script]
    rng = random.Random(script)
    words = ["".join(rng.choices(letters, k=rng.randint(shortest, longest))) for _ in range(5000)]
    drawn = rng.choices(words, [1 / n for n in range(1, 5001)], k=MEGABYTE // 2 // shortest)
    return _cut("".join(word + rng.choice(between) for word in drawn))


def _cut(text: str, size: int = MEGABYTE) -> str:
    return text.encode()[:size].decode(errors="ignore")


def corpus() -> dict[str, str]:
    """About a megabyte of each kind of text that vocabularies are tried on."""
    return {
        "English": english(),
        "Python": "".join(library(MEGABYTE)),
        **{script: made_up(script) for script in _SCRIPTS},
    }


def worst() -> dict[str, str]:
    """Texts of a megabyte on which tokenizers have been slow; first English, to compare with."""
    rng = random.Random(0)
    runs = {
        "a": "a",
        "spaces": " ",
        "^": "^",
        "digits": "0123456789",
        "one emoji": "😀",
        "combining marks": "e\u0301\u0300",
    }
    texts = {name: unit * MEGABYTE for name, unit in runs.items()}
    texts["random bytes"] = rng.randbytes(MEGABYTE).decode("latin-1")
    texts["alternating scripts"] = "".join(rng.choices("aд日ع", k=MEGABYTE))
    return {name: _cut(text) for name, text in ({"English": english() * 2} | texts).items()}


def stream(size: int) -> Iterator[str]:
    """The standard library over and over, to so many bytes; each time other names, so that there are new words."""
    rng, done = random.Random(1), 0
    while True:
        for text in library():
            name = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=6))
            varied = text.replace("self", f"self{rng.randrange(10**5)}", 1).replace("_", f"_{name}_", 20)
            done += len(varied.encode())
            yield varied
            if done > size:
                return
