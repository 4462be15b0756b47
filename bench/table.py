"""Results as Markdown: a row for each side, or for each piece of work."""

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

PEERS = {"highest": "float32", "high": "float32", "medium": "bf16"}  # PyTorch's dtype for Octavo's precision
EVERY = 10  # so many steps a row of a curve


class Result(NamedTuple):
    """Seconds of the work, in all and of each row, bytes of memory, the validation loss, and those of training steps,
    of each row how much work it is and a hash of what came out; where there are any."""

    seconds: float
    memory: int
    loss: float | None = None
    rows: Mapping[str, float] = {}
    losses: Sequence[float] = ()
    work: Mapping[str, int] = {}
    ids: Mapping[str, str] = {}


def compare(ours: list[float], theirs: list[float]) -> tuple[float, float, float]:
    """Theirs over ours: of the medians, and the lowest and the highest of the pairs of a round."""
    pairs = [t / o for o, t in zip(ours, theirs, strict=True)]
    return statistics.median(theirs) / statistics.median(ours), min(pairs), max(pairs)


def sides(
    results: dict[str, list[Result] | str],
    title: str,
    tokens: int | None = None,
    memory: str = "peak memory",
    peer: str | None = None,
) -> str:
    """A row for each side, compared with Octavo's fastest, or each of Octavo's with the fastest of the peer named.

    Where the work has so many tokens, speeds, not seconds.
    """
    seconds = {name: [r.seconds for r in done] for name, done in results.items() if not isinstance(done, str)}
    best = min((n for n in seconds if n.startswith(peer or "Octavo")), key=lambda n: statistics.median(seconds[n]))
    head = [title, "tokens/s" if tokens else "seconds", f"best {peer} / this" if peer else "/ best Octavo", memory]
    head += ["validation loss"] if results[best][0].loss is not None else []
    rows = [head, ["---"] * len(head)]
    for name, done in results.items():
        if isinstance(done, str):
            rows.append([name, done] + [""] * (len(head) - 2))
            continue
        _, memories, losses, *_ = zip(*done, strict=True)
        median = statistics.median(seconds[name])
        compared = not name.startswith(peer) if peer else name != best
        pair = (seconds[name], seconds[best]) if peer else (seconds[best], seconds[name])
        cells = [
            f"{tokens / median:,.0f}" if tokens else f"{median:.{1 if median >= 10 else 2}f}",
            "{:.2f} ({:.2f} to {:.2f})".format(*compare(*pair)) if compared else "",
            f"{statistics.median(memories) / 1e6:,.0f} MB",
        ]
        rows.append([name, *cells, *([f"{statistics.median(losses):.4f}"] if None not in losses else [])])
    return markdown(rows)


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
    return markdown(rows) + _unable(results)


def rates(results: dict[str, list[Result] | str], title: str, unit: str, scale: float, only: str = "") -> str:
    """Work a second of each side for each row (that ends in `only`), and how many times as long as each of Octavo's
    the best peer takes."""
    able = {name: done for name, done in results.items() if not isinstance(done, str)}
    ours = [name for name in able if name.startswith("Octavo")]
    peer = " or ".join(name for name in able if name not in ours)
    rows = [[f"{title}, {unit}", *able, *(f"{peer} / {name}" for name in ours)]]
    rows.append(["---"] * len(rows[0]))
    ratios: list[list[float]] = []
    for row, work in next(iter(able.values()))[0].work.items():
        if not row.endswith(only):
            continue
        seconds = {name: statistics.median(result.rows[row] for result in done) for name, done in able.items()}
        best = min(s for name, s in seconds.items() if name not in ours)
        ratios.append([best / seconds[name] for name in ours])
        rows.append([row, *(f"{work / s / scale:,.1f}" for s in seconds.values()), *(f"{r:.2f}" for r in ratios[-1])])
    for name, summary in (("geometric mean", statistics.geometric_mean), ("minimum", min)):
        rows.append([name, *[""] * len(able), *(f"{summary(column):.2f}" for column in zip(*ratios, strict=True))])
    return markdown(rows) + _unable(results)


def curves(results: dict[str, list[Result] | str], title: str, peer: str) -> str:
    """The peer's loss at each tenth step, how far Octavo's are from it, and how far at most at any step."""
    losses = {name: np.array(done[0].losses) for name, done in results.items() if not isinstance(done, str)}
    theirs = losses.pop(peer)
    apart = {name: ours / theirs - 1 for name, ours in losses.items()}
    rows = [[f"{title}, step", f"loss of {peer}", *apart], ["---"] * (2 + len(apart))]
    for step in [1, *range(EVERY, len(theirs) + 1, EVERY)]:
        rows.append([str(step), f"{theirs[step - 1]:.4f}", *(f"{a[step - 1]:+.3%}" for a in apart.values())])
    rows.append(["largest difference", "", *(f"{np.abs(a).max():.3%}" for a in apart.values())])
    return markdown(rows) + _unable(results)


def _unable(results: dict[str, list[Result] | str]) -> str:
    return "".join(f"\n\n{name}: {why}." for name, why in results.items() if isinstance(why, str))


def markdown(rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
