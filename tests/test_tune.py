"""The search for hyper-parameters: it tries, prunes, goes on after Ctrl-C, and says what to type."""

import re
import sys

import optuna
import pytest
from click.testing import CliRunner

from octavo.cli import main
from octavo.nn.progress import Progress
from octavo.nn.trials import draw_trials

TYPED = "--tokenizer bytes --model mlp --hidden 16 --context 16 --no-graph --betas 0.9 0.95 --seed 3"
SIZES = TYPED.split()
SEARCH = [f"--search={each}" for each in ("lr=1e-4:1e-1:log", "width=8,16", "taps=2:6:2")]


def octavo(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("of all that was tried the best one stays. " * 60)
    return path


def losses(output):
    return [float(loss) for loss in re.findall(r"^trial \d+: .*validation loss (\d\.\d+)", output, re.M)]


def test_a_search_is_stopped_goes_on_and_ends_with_what_to_type(text, tmp_path, monkeypatch, capfd):
    run, steps = tmp_path / "run", 0

    def stop(progress, trainer, step):
        nonlocal steps
        if (steps := steps + 1) == 25:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Progress, "on_step", stop)
        first = octavo("tune", text, *SIZES, *SEARCH, "--steps", 10, "--trials", 8, "--out", run)
    assert first.exit_code == 130, first.output
    assert f"go on with: octavo tune --resume {run} --trials 8" in first.stderr and len(losses(first.stdout)) == 2
    second = octavo("tune", "--resume", run, "--trials", 8)
    assert second.exit_code == 0, second.output
    found = losses(first.stdout + second.stdout)
    assert "8 trials of 10 steps, 2 are done" in second.stdout and len(found) == 8
    assert second.stdout.count("given up after") and len(set(found)) == 8
    assert (run / "tune.png").read_bytes().startswith(b"\x89PNG")
    best = re.search(r"loss +lr +width +taps\n +(\d+)  (\d\.\d+) +(\S+) +(\S+) +(\S+)\n", second.stdout)
    assert float(best[2]) == min(found)
    settings = f"--lr {best[3]} --width {best[4]} --taps {best[5]}"
    assert second.stdout.endswith(f"Next:\n  octavo train {text} {TYPED} {settings}\n")
    again = octavo("tune", "--resume", run, "--trials", 8)
    assert again.exit_code == 0 and not losses(again.stdout)
    assert "optuna" not in "".join(capfd.readouterr()).lower()


def test_without_ranges_it_searches_what_the_model_has_beginning_with_what_train_does(text, tmp_path):
    done = octavo(
        "tune", text, "--tokenizer", "bytes", "--model", "bigram", "--steps", 2, "--trials", 2, "--out", tmp_path / "a"
    )
    assert done.exit_code == 0, done.output
    assert "search     lr, weight_decay, batch_size; 2 trials of 2 steps\n" in done.stdout
    assert re.search(r"^trial 1: .*; lr 0\.05, weight decay 0\.1, batch size 16$", done.stdout, re.M)


def test_a_trial_that_diverges_or_cannot_be_is_told_of_and_no_other(text, tmp_path):
    search = "--search=lr=1e25,1e30", "--search=layers=1:2", "--trials", 2, "--steps", 4, "--warmup", 0
    sizes = "--tokenizer", "bytes", "--model", "convolution", "--width", 8, "--context", 16, "--batch-size", 2
    done = octavo("tune", text, *sizes, *search, "--out", tmp_path / "a")
    assert done.exit_code == 1 and done.stdout.count("diverged") == 2, done.output
    assert "Error: no trial came to its end; search other settings" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--search width", "expected NAME=LOW:HIGH, NAME=LOW:HIGH:log"),
        ("--search width=9:3", "expected a low end below the high one"),
        ("--search width=a:3", "'a' is not a valid integer"),
        ("--search optimizer=a:b", "expected NAME=LOW:HIGH"),
        ("--search speed=1:3", "cannot search 'speed'; it can search accumulate, batch_size"),
        ("--search width=64:256", "width: expected a multiple of heads = 4, got 65"),
        ("--search optimizer=adamw,fast", "optimizer must be one of adamw"),
        ("--search lr=1e-4:1e-2 --lr 1e-3", "--search lr and --lr contradict"),
        ("--resume {run}", "--resume goes on as the search began"),
    ],
)
def test_errors_are_one_sentence(text, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    done = octavo("tune", text, *arguments.format(run=tmp_path).split())
    assert done.exit_code in (1, 2) and sentence in done.stderr, done.stderr
    assert not (tmp_path / "runs").exists()


def test_folders_that_are_no_search_and_a_missing_extra_are_named(text, tmp_path, monkeypatch):
    run = tmp_path / "run"
    assert octavo("train", text, *SIZES, "--steps", 1, "--out", run).exit_code == 0
    assert "is no search; name a folder that octavo tune made" in octavo("tune", "--resume", run).stderr
    (run / "tune.sqlite").write_bytes(b"not a database" * 100)
    assert "tune.sqlite is damaged (" in octavo("tune", "--resume", run).stderr
    monkeypatch.setitem(sys.modules, "optuna", None)
    done = octavo("tune", text)
    assert done.exit_code == 1 and done.stderr == "Error: octavo tune needs Optuna: pip install 'octavo[tune]'\n"


def test_the_trials_of_any_study_are_drawn(tmp_path):
    study = optuna.create_study(pruner=optuna.pruners.ThresholdPruner(upper=0.5))

    with pytest.raises(ValueError, match="expected trials with a loss, got none"):
        draw_trials(study.trials, tmp_path / "a.svg")

    def objective(trial):
        loss = trial.suggest_float("lr", 1e-3, 1.0, log=True) + trial.suggest_categorical("layers", [0, 1])
        trial.report(loss, 0)
        if trial.should_prune():
            raise optuna.TrialPruned
        return loss

    study.enqueue_trial({"layers": 1})
    study.optimize(objective, 4)
    draw_trials(study.trials, tmp_path / "a.svg")
    picture = (tmp_path / "a.svg").read_text()
    assert all(f"<!-- {word} -->" in picture for word in ("lr", "layers", "pruned", "whole", "best so far"))
