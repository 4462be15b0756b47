"""One side of a tokenizers' race, in a process of its own: `python tokens.py JOB SIDE FOLDER BUDGET WHAT ...`.

Prints {"rows": {row: seconds of a call}, "ids": {row: a hash of what came out}}, and what else the job tells. FOLDER
holds the vocabularies, WHAT names them, or is the size of one to train. BUDGET: seconds of calls for each row, at least
three calls; 0: the hashes alone.
"""

import hashlib
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from side import measure
from texts import MEGABYTE, corpus, library, stream, worst

from octavo import tokenizer
from octavo.tokenizer.patterns import find

DOCUMENT = 5000  # characters of a text in a batch
SPECIAL = "<|endoftext|>"


def encode(side: str, folder: Path, budget: float, *names: str) -> dict[str, Any]:
    """One text after another, in one thread."""
    return _encoded(side, folder, budget, corpus(), *names)


def slow(side: str, folder: Path, budget: float, *names: str) -> dict[str, Any]:
    """The texts that tokenizers are slow on."""
    return _encoded(side, folder, budget, worst(), *names)


def _encoded(side: str, folder: Path, budget: float, texts: dict[str, str], *names: str) -> dict[str, Any]:
    import octavo

    octavo.threads(1)
    calls = {}
    for name in names:
        ours = tokenizer.load(folder / name)
        if side == "tiktoken":
            call: Callable[[str], Any] = _tiktoken(ours).encode_ordinary
        else:
            call = ours.encode if side == "octavo" else lambda text, encode=ours.encode: encode(text).tolist()
        calls |= {f"{name}, {kind}": (call, text, len(text.encode())) for kind, text in texts.items()}
    return _measured(calls, budget)


def batch(side: str, folder: Path, budget: float, name: str) -> dict[str, Any]:
    """Documents of some kilobytes, with all threads."""
    import octavo

    ours = tokenizer.load(folder / name)
    if side == "tiktoken":
        theirs = _tiktoken(ours)
        call: Any = lambda texts: theirs.encode_ordinary_batch(texts, num_threads=octavo.threads())  # noqa: E731
    elif side == "octavo":
        call = lambda texts: ours.encode_batch(texts)[0]  # noqa: E731
    else:
        encodings = _tokenizers(ours)
        call = lambda texts: encodings.encode_batch_fast(texts, add_special_tokens=False)  # noqa: E731
    calls = {}
    for kind, text in corpus().items():
        documents = [text[i : i + DOCUMENT] for i in range(0, len(text), DOCUMENT)]
        calls[kind] = call, documents, len(text.encode())
    return _measured(calls, budget)


def decode(side: str, folder: Path, budget: float, name: str) -> dict[str, Any]:
    """The ids of each text, as an array and as a list, to text."""
    ours = tokenizer.load(folder / name)
    call: Any = ours.decode if side == "octavo" else _tiktoken(ours).decode
    calls = {}
    for kind, text in corpus().items():
        ids = ours.encode(text)
        size = len(text.encode())
        calls[f"{kind}, array"] = (call if side == "octavo" else lambda ids: call(ids.tolist())), ids, size
        calls[f"{kind}, list"] = call, ids.tolist(), size
    return _measured(calls, budget)


def load(side: str, folder: Path, budget: float, name: str) -> dict[str, Any]:
    """A file, and one word encoded: the process's own seconds, so imports count."""
    ours = tokenizer.load(folder / name)
    return {"ids": {"word": _hash(ours.encode(" word"))}}


def train(side: str, folder: Path, budget: float, size: str) -> dict[str, Any]:
    """The standard library's source."""
    texts, n = list(library()), int(size)
    if side == "octavo":
        tokenizer.BPETokenizer.train("ab ab", 260)  # loads the kernels
    else:
        import tokenizers as hf

        model = hf.Tokenizer(hf.models.BPE())
        model.pre_tokenizer = hf.pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = hf.pre_tokenizers.ByteLevel.alphabet()
        trainer = hf.trainers.BpeTrainer(vocab_size=n - 1, initial_alphabet=alphabet, show_progress=False)
    before = psutil.Process().memory_info().rss
    start = time.perf_counter()
    if side == "octavo":
        merges = tokenizer.BPETokenizer.train(texts, n).merges
    else:
        model.train_from_iterator(texts if side == "files" else [texts], trainer)
    seconds = time.perf_counter() - start
    memory = _peak() - before
    if side != "octavo":
        document = json.loads(model.to_str())["model"]
        ids, pairs = document["vocab"], (p if isinstance(p, list) else p.split(" ") for p in document["merges"])
        merges = np.array([(ids[left], ids[right]) for left, right in pairs])
    return {"seconds": seconds, "memory": memory, "ids": {size: _hash(merges)}}


def long(side: str, folder: Path, budget: float, megabytes: str) -> dict[str, Any]:
    """A stream of so many megabytes: bytes a second in each tenth, and the peak of the process."""
    marks, size = [0.0], int(megabytes) * MEGABYTE

    def watched() -> Any:
        """The stream; its own time does not count."""
        done, making, since = 0, 0.0, start
        for text in stream(size):
            done += len(text.encode())
            making += time.perf_counter() - since
            while done >= len(marks) * size / 10 and len(marks) < 10:
                marks.append(time.perf_counter() - start - making)
            yield text
            since = time.perf_counter()
        marks.append(since - start - making)

    tokenizer.BPETokenizer.train("ab ab", 260)
    start = time.perf_counter()
    tokenizer.BPETokenizer.train(watched(), 50257)
    tenths = {f"tenth {i}": seconds for i, seconds in enumerate(np.diff(marks).tolist(), 1)}
    return {"rows": tenths, "seconds": marks[-1], "memory": _peak()}


def _measured(calls: dict[str, tuple[Callable[[Any], Any], Any, int]], budget: float) -> dict[str, Any]:
    if not budget:
        return {"ids": {row: _hash(call(given)) for row, (call, given, _) in calls.items()}}
    told: dict[str, Any] = {"rows": {}, "work": {row: size for row, (_, _, size) in calls.items()}}
    for row, (call, given, _) in calls.items():
        told["rows"][row] = statistics.median(measure(partial(call, given), budget))
    return told


def _hash(found: Any) -> str:
    """Of a text, or of ids, in one list or in many."""
    if isinstance(found, str):
        return hashlib.sha256(found.encode()).hexdigest()
    if isinstance(found, list) and found and not isinstance(found[0], int):
        found = [i for ids in found for i in getattr(ids, "ids", ids)]
    return hashlib.sha256(np.asarray(found, np.int64).tobytes()).hexdigest()


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _tiktoken(ours: Any) -> Any:
    import tiktoken

    ranks = {token: i for i, token in enumerate(ours.token_bytes) if i not in ours.special_tokens.values()}
    return tiktoken.Encoding(
        "ours", pat_str=find(ours.pattern).text, mergeable_ranks=ranks, special_tokens=ours.special_tokens
    )


def _tokenizers(ours: Any) -> Any:
    import tokenizers as hf

    letters = hf.pre_tokenizers.ByteLevel.alphabet()
    names = dict(zip((t[0] for t in ours.token_bytes[:256]), sorted(letters), strict=True))  # ids are in this order
    vocabulary = ["".join(names[b] for b in token) for token in ours.token_bytes]
    merges = [(vocabulary[left], vocabulary[right]) for left, right in ours.merges.tolist()]
    made = hf.Tokenizer(hf.models.BPE({token: i for i, token in enumerate(vocabulary)}, merges))
    made.pre_tokenizer = hf.pre_tokenizers.ByteLevel(add_prefix_space=False)
    return made


if __name__ == "__main__":
    job, side, folder, budget, *what = sys.argv[1:]
    print(json.dumps(globals()[job](side, Path(folder), float(budget), *what)))
