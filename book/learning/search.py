"""What gradient descent cannot find: settings of the training itself, by grid, at random and with Optuna."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import optuna

from ... import nn
from ...nn import Tensor
from ...nn import functional as F
from ..data import digits
from ..look import BLUE, GREEN, GREY, ORANGE
from ..section import Page, section

LOW, HIGH = {"lr": 1e-4, "width": 4, "decay": 1e-3}, {"lr": 1.0, "width": 256, "decay": 10.0}
STOPS = {"lr": 5, "width": 3, "decay": 2}  # of the grid
EPOCHS, BUDGET, SEEDS = 10, 300, 3  # a budget is in epochs
Parts = list[tuple[np.ndarray, np.ndarray]]


@dataclass
class Trial:
    """Settings, the validation loss after every epoch, and the share of test digits read right in the end."""

    settings: dict[str, float]
    losses: list[float] = field(default_factory=list)
    right: float = 0.0
    pruned: bool = False


def training(trial: Trial, parts: Parts) -> Iterator[float]:
    """Trains a network on the first part; gives its loss on the second after every epoch."""
    lr, width, decay = (trial.settings[name] for name in LOW)
    model = nn.Sequential(nn.Linear(64, int(width), activation="relu"), nn.Linear(int(width), 10))
    optimizer = nn.AdamW(nn.decay_groups(model, decay), lr=lr)
    (x, y), (unseen, wanted), (last, truth) = parts
    for _ in range(EPOCHS):
        for batch in np.array_split(np.random.default_rng(0).permutation(len(x)), len(x) // 50):
            F.cross_entropy(model(Tensor(x[batch])), y[batch]).backward()
            optimizer.step()
            optimizer.zero_grad()
        with nn.no_grad():
            trial.losses.append(min(F.cross_entropy(model(Tensor(unseen)), wanted).item(), 100))
        yield trial.losses[-1]
    with nn.no_grad():
        trial.right = float((model(Tensor(last)).numpy().argmax(1) == truth).mean())


def to_the_end(settings: dict[str, float], parts: Parts) -> Trial:
    """A trial that nobody interrupts."""
    trial = Trial(settings)
    for _ in training(trial, parts):
        pass
    return trial


def by_grid(parts: Parts, seed: int) -> list[Trial]:
    """Every combination of a few values of each setting, in random order."""
    axes = [np.geomspace(LOW[name], HIGH[name], stops + 2)[1:-1].tolist() for name, stops in STOPS.items()]
    every = list(product(*axes))
    order = np.random.default_rng(seed).permutation(len(every))
    return [to_the_end(dict(zip(STOPS, every[i], strict=True)), parts) for i in order]


def at_random(parts: Parts, seed: int) -> list[Trial]:
    """Settings drawn on a logarithmic scale."""
    rng = np.random.default_rng(seed)
    draws = (
        {name: LOW[name] * (HIGH[name] / LOW[name]) ** rng.random() for name in LOW} for _ in range(BUDGET // EPOCHS)
    )
    return [to_the_end(settings, parts) for settings in draws]


def with_optuna(parts: Parts, seed: int) -> list[Trial]:
    """Settings near those that did well; a trial that is worse than most were at its age ends early."""
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1),
    )
    trials: list[Trial] = []
    while sum(len(trial.losses) for trial in trials) < BUDGET:
        asked = study.ask()
        trial = Trial({name: asked.suggest_float(name, LOW[name], HIGH[name], log=True) for name in LOW})
        trials.append(trial)
        for epoch, loss in enumerate(training(trial, parts)):
            asked.report(loss, epoch)
            if asked.should_prune():
                trial.pruned = True
                break
        state = optuna.trial.TrialState.PRUNED if trial.pruned else optuna.trial.TrialState.COMPLETE
        study.tell(asked, None if trial.pruned else loss, state)
    return trials


def best(trials: list[Trial]) -> Trial:
    """The one of the lowest loss, of those that came to their end."""
    return min((trial for trial in trials if not trial.pruned), key=lambda trial: trial.losses[-1])


def best_so_far(trials: list[Trial]) -> tuple[np.ndarray, np.ndarray]:
    """Epochs spent by the end of each trial, and the lowest final loss by then."""
    finals = [np.inf if trial.pruned else trial.losses[-1] for trial in trials]
    return np.cumsum([len(trial.losses) for trial in trials]), np.minimum.accumulate(finals)


SEARCHES: dict[str, tuple[Callable[[Parts, int], list[Trial]], str, int]] = {
    "on a grid": (by_grid, GREEN, 1),
    "at random": (at_random, GREY, SEEDS),
    "Optuna": (with_optuna, BLUE, SEEDS),
}


@section
def search(page: Page) -> None:
    """What gradient descent cannot find: settings of the training itself, by grid, at random and with Optuna."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    images, labels = digits()
    order = np.random.default_rng(0).permutation(len(images))
    parts = [(images[rows].reshape(-1, 64), labels[rows]) for rows in np.split(order, [500, 1000])]
    plan = [(name, seed) for name, (_, _, seeds) in SEARCHES.items() for seed in range(seeds)]
    studies: dict[str, list[list[Trial]]] = {name: [] for name in SEARCHES}
    for name, seed in page.progress(plan, "searches"):
        studies[name].append(SEARCHES[name][0](parts, seed))

    rows, loss, right = [], {}, {}
    for name, runs in studies.items():
        loss[name] = np.array([best(trials).losses[-1] for trials in runs])
        right[name] = np.mean([best(trials).right for trials in runs])
        count = np.mean([len(trials) for trials in runs])
        rows.append([name, f"{count:.0f}", f"{loss[name].mean():.3f}", f"{loss[name].max():.3f}", f"{right[name]:.1%}"])
    page.table("searches", ["", "trials", "best loss, mean", "worst", "test digits right"], rows)
    shown = studies["Optuna"][0]
    pruned = [trial for trial in shown if trial.pruned]
    counts = [len(trials) for trials in studies["Optuna"]]
    page.claim(
        "Optuna tries at least a quarter more settings for the same epochs", min(counts) > 1.25 * BUDGET / EPOCHS
    )
    ends = [trial.losses[-1] for trial in studies["at random"][0]]
    page.claim("a network of bad settings ends with twice the loss of the best, and more", max(ends) > 2 * min(ends))
    spread = np.sqrt(right["Optuna"] * (1 - right["Optuna"]) / len(parts[2][1]))
    page.tell(trained=len(parts[0][1]), judged=len(parts[1][1]), final=len(parts[2][1]), epochs=EPOCHS, budget=BUDGET)
    page.tell(
        repeats=SEEDS, trials=len(shown), pruned=len(pruned), plain=BUDGET // EPOCHS, settings=best(shown).settings
    )
    page.tell(lower=bool(loss["Optuna"].mean() < loss["at random"].mean()))
    page.tell(apart=bool(loss["Optuna"].max() < loss["at random"].min()))
    page.tell(flattered=bool(right["Optuna"] < max(right.values()) + spread), spread=100 * spread)
    page.tell(random=loss["at random"].mean(), optuna=loss["Optuna"].mean(), worst=max(ends))

    with page.figure("trials", 7, 3.6) as figure:
        axes = figure.subplots()
        for trial in shown:
            epochs, colour = np.arange(1, len(trial.losses) + 1), GREY if trial.pruned else BLUE
            axes.semilogy(epochs, trial.losses, color=colour, linewidth=0.8)
            if trial.pruned:
                axes.semilogy(epochs[-1], trial.losses[-1], "x", color=GREY, markersize=4)
        axes.semilogy(np.arange(1, EPOCHS + 1), best(shown).losses, color=ORANGE, linewidth=2)
        axes.set(xlabel="epoch", ylabel="validation loss, nats")
    with page.figure("searches", 8.4, 3.8) as figure:
        left, right_axes = figure.subplots(1, 2)
        left.loglog(*_places(pruned), "x", color=GREY, markersize=4)
        left.loglog(*_places([trial for trial in shown if not trial.pruned]), "o", color=BLUE, markersize=4)
        left.loglog(*_places([best(shown)]), "o", color=ORANGE)
        left.set(xlabel="learning rate", ylabel="width")
        for name, runs in studies.items():
            for i, trials in enumerate(runs):
                right_axes.step(
                    *best_so_far(trials), where="post", color=SEARCHES[name][1], label=name if not i else None
                )
        right_axes.set(xlabel="epochs spent", ylabel="best validation loss so far, nats", yscale="log")
        right_axes.legend()


def _places(trials: list[Trial]) -> tuple[list[float], list[float]]:
    return [trial.settings["lr"] for trial in trials], [trial.settings["width"] for trial in trials]
