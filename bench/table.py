"""Results as Markdown: a row for each side, or for each piece of work."""

import statistics
from collections.abc import Mapping
from typing import NamedTuple

PEERS = {"highest": "float32", "high": "float32", "medium": "bf16"}  # PyTorch's dtype for Octavo's precision


class Result(NamedTuple):
    """Seconds of the work, in all and of each row, bytes of memory, and the validation loss; where there are any."""

    seconds: float
    memory: int
    loss: float | None = None
    rows: Mapping[str, float] = {}


def compare(ours: list[float], theirs: list[float]) -> tuple[float, float, float]:
    """Theirs over ours: of the medians, and the lowest and the highest of the pairs of a round."""
    pairs = [t / o for o, t in zip(ours, theirs, strict=True)]
    return statistics.median(theirs) / statistics.median(ours), min(pairs), max(pairs)


def sides(
    results: dict[str, list[Result] | str], title: str, tokens: int | None = None, memory: str = "peak memory"
) -> str:
    """A row for each side, compared with Octavo's fastest; where the work has so many tokens, speeds, not seconds."""
    seconds = {name: [r.seconds for r in done] for name, done in results.items() if not isinstance(done, str)}
    best = min((n for n in seconds if n.startswith("Octavo")), key=lambda n: statistics.median(seconds[n]))
    head = [title, "tokens/s" if tokens else "seconds", "/ best Octavo", memory]
    head += ["validation loss"] if results[best][0].loss is not None else []
    rows = [head, ["---"] * len(head)]
    for name, done in results.items():
        if isinstance(done, str):
            rows.append([name, done] + [""] * (len(head) - 2))
            continue
        _, memories, losses, _ = zip(*done, strict=True)
        median = statistics.median(seconds[name])
        cells = [
            f"{tokens / median:,.0f}" if tokens else f"{median:.1f}",
            "" if name == best else "{:.2f} ({:.2f} to {:.2f})".format(*compare(seconds[best], seconds[name])),
            f"{statistics.median(memories) / 1e6:,.0f} MB",
        ]
        rows.append([name, *cells, *([f"{statistics.median(losses):.4f}"] if None not in losses else [])])
    return _markdown(rows)


def speeds(results: dict[str, list[Result] | str], title: str, work: dict[str, int]) -> str:
    """GFLOP/s for each piece of work, of so many operations, how many times PyTorch's that is, and their mean."""
    able = {name: done for name, done in results.items() if not isinstance(done, str)}
    pairs = [(f"Octavo {p}", f"PyTorch {dtype}") for p, dtype in PEERS.items() if f"Octavo {p}" in able]
    titles = [f"{ours.split()[1]} / {theirs.split()[1]}" for ours, theirs in pairs]
    rows = [[title, *able, *titles], ["---"] * (1 + len(able) + len(pairs))]
    ratios: list[list[float]] = []
    for name, operations in work.items():
        seconds = {side: statistics.median(result.rows[name] for result in done) for side, done in able.items()}
        ratios.append([seconds[theirs] / seconds[ours] for ours, theirs in pairs])
        cells = [f"{operations / s / 1e9:,.0f}" for s in seconds.values()]
        rows.append([name, *cells, *(f"{ratio:.2f}" for ratio in ratios[-1])])
    for name, summary in (("geometric mean", statistics.geometric_mean), ("minimum", min)):
        rows.append([name, *[""] * len(able), *(f"{summary(column):.2f}" for column in zip(*ratios, strict=True))])
    unable = [f"\n{name}: {why}." for name, why in results.items() if isinstance(why, str)]
    return "\n".join([_markdown(rows), *unable])


def _markdown(rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
