"""The training loop: what a step computes, when it ends, and that it goes on bit for bit."""

import math
import os
import signal
from dataclasses import replace

import numpy as np
import pytest

from octavo.nn import GPT, GPTConfig, checkpoint, random
from octavo.nn.callback import Callback
from octavo.nn.config import TrainConfig
from octavo.nn.data import IGNORE_INDEX, EvalBatches
from octavo.nn.evaluate import Evaluation, evaluate
from octavo.nn.metrics import LossCurve, Metrics, read_metrics
from octavo.nn.progress import Progress
from octavo.nn.run import Run
from octavo.nn.trainer import NonFiniteLoss, Trainer

SHAPE = GPTConfig(vocab_size=16, context=8, layers=1, heads=2, width=16, dropout=0.1, bias=False)
CONFIG = TrainConfig(steps=7, batch_size=2, warmup=2, eval_every=2, eval_batches=2, save_every=3, seed=5)
TOKENS = np.random.default_rng(0).integers(0, 16, 300).astype(np.uint16)


def trainer_in(folder, config=CONFIG, callbacks=(), **options):
    random.seed(config.seed)
    run = Run(folder)
    return Trainer(
        GPT(SHAPE),
        config,
        TOKENS,
        TOKENS[:50],
        bytes_per_token=1.0,
        checkpoint_path=run.checkpoint,
        callbacks=[Metrics(run.metrics), *callbacks],
        **options,
    )


def saved(folder):
    loaded = checkpoint.load(folder / "checkpoint.safetensors")
    arrays = loaded.weights | {k: v for k, v in loaded.optimizer.items() if isinstance(v, np.ndarray)}
    return {name: array.tobytes() for name, array in arrays.items()}, loaded.random, loaded.extra["step"]


class At(Callback):
    """Acts after a step."""

    def __init__(self, step, action):
        self.step, self.action = step, action

    def on_step(self, trainer, step):
        if step.step == self.step:
            self.action(trainer)


class Recorded(Callback):
    def __init__(self):
        self.steps, self.estimates, self.samples, self.saves, self.ends = [], [], [], [], 0

    def on_step(self, trainer, step):
        self.steps.append(step)

    def on_estimate(self, trainer, estimate):
        self.estimates.append(estimate)

    def on_sample(self, trainer, text):
        self.samples.append((trainer.step, text))

    def on_save(self, trainer, path):
        self.saves.append(trainer.step)

    def on_end(self, trainer):
        self.ends += 1


class Ragged:
    """Batches in which rows keep very different numbers of targets, and some none."""

    def __getitem__(self, step):
        rng = np.random.default_rng(step)
        ids, targets = rng.integers(0, 16, (2, 6, 8))
        for row, kept in enumerate((0, 1, 8, 3, 0, 2)):
            targets[row, kept:] = IGNORE_INDEX
        return ids, targets


def test_accumulation_equals_the_whole_batch():
    ends = []
    for accumulate in (1, 3, 6):
        random.seed(1)
        model = GPT(GPTConfig(vocab_size=16, context=8, layers=1, heads=2, width=16)).to(np.float64)
        recorded = Recorded()
        config = TrainConfig(steps=3, warmup=0, batch_size=6 // accumulate, accumulate=accumulate, eval_every=0)
        Trainer(model, config, Ragged(), callbacks=[recorded]).fit()
        assert [step.tokens for step in recorded.steps] == [14, 14, 14]
        ends.append((np.concatenate([p.data.ravel() for p in model.parameters()]), recorded.steps[-1]))
    for weights, step in ends[1:]:
        np.testing.assert_allclose(weights, ends[0][0], rtol=1e-9, atol=1e-12)
        assert step[1:4] == pytest.approx(ends[0][1][1:4], rel=1e-9)


def test_gradients_of_micro_batches_add_up_to_the_whole_batchs():
    """32 rows as 1×32, 4×8 and 32×1, the rows keeping anything from no target to all, in float32."""
    rng = np.random.default_rng(3)
    ids, targets = rng.integers(0, 16, (2, 32, 8))
    targets[np.arange(8) >= rng.integers(0, 9, (32, 1))] = IGNORE_INDEX
    targets[5] = IGNORE_INDEX
    kept = np.count_nonzero(targets != IGNORE_INDEX)
    for options in ({}, {"label_smoothing": 0.1, "z_loss": 1e-3}):
        found = []
        for parts in (1, 4, 32):
            random.seed(1)
            model = GPT(GPTConfig(vocab_size=16, context=8, layers=1, heads=2, width=16))
            for part in zip(np.split(ids, parts), np.split(targets, parts), strict=True):
                model.loss(*part, divisor=kept, **options).backward()
            found.append(np.concatenate([p.grad.ravel() for p in model.parameters()]))
        for gradient in found[1:]:
            np.testing.assert_allclose(gradient, found[0], rtol=0, atol=1e-6 * np.abs(found[0]).max())


def _killed(trainer):
    raise RuntimeError("killed")


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("end", [_killed, lambda trainer: os.kill(os.getpid(), signal.SIGINT)])
@pytest.mark.parametrize("step", [1, 5])
def test_resumption_equals_the_uninterrupted_run(tmp_path, end, step):
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    trainer_in(tmp_path / "whole").fit()
    with pytest.raises((RuntimeError, KeyboardInterrupt)) as stopped:
        trainer_in(tmp_path / "parts", callbacks=[At(step, end)]).fit()
    resumed = trainer_in(tmp_path / "parts")
    resumed.resume()
    assert resumed.step == (step if stopped.type is KeyboardInterrupt else step // 3 * 3)
    resumed.fit()
    assert saved(tmp_path / "parts") == saved(tmp_path / "whole")
    lines = [read_metrics(tmp_path / name / "metrics.jsonl") for name in ("whole", "parts")]
    for line in lines[0] + lines[1]:
        line.pop("seconds", None)
    assert lines[0] == lines[1]
    assert [line["step"] for line in lines[0]] == [1, 2, 2, 3, 4, 4, 5, 6, 6, 7, 7]


def test_what_callbacks_are_told(tmp_path):
    recorded = Recorded()
    config = TrainConfig.from_json(CONFIG.to_json() | {"sample_every": 4})
    sampled = trainer_in(tmp_path, config, [recorded, Progress()], sample=lambda: str(random.next_offset()))
    final = sampled.fit()
    assert [step.step for step in recorded.steps] == [1, 2, 3, 4, 5, 6, 7]
    assert [estimate.step for estimate in recorded.estimates] == [2, 4, 6, 7]
    assert recorded.estimates[-1] == final and final.final and final.val.tokens == 49
    assert [step for step, _ in recorded.samples] == [4]
    assert recorded.saves == [3, 6, 7] and recorded.ends == 1
    assert recorded.steps[-1].lr == pytest.approx(config.min_lr)
    (tmp_path / "other").mkdir()
    trainer_in(tmp_path / "other").fit()
    assert saved(tmp_path) == saved(tmp_path / "other"), "samples changed the training"


def test_clipping_bounds_the_gradient():
    changes = []
    for clip in (0.0, 1e-3):
        random.seed(1)
        recorded = Recorded()
        # With this eps AdamW's step is in proportion to the gradient.
        config = TrainConfig(steps=1, warmup=0, batch_size=6, clip=clip, eps=1e3, weight_decay=0.0, eval_every=0)
        model = GPT(SHAPE).to(np.float64)
        before = np.concatenate([p.data.ravel() for p in model.parameters()])
        Trainer(model, config, Ragged(), callbacks=[recorded]).fit()
        changes.append(np.linalg.norm(np.concatenate([p.data.ravel() for p in model.parameters()]) - before))
        assert recorded.steps[0].grad_norm > 0.01
    assert changes[1] / changes[0] == pytest.approx(1e-3 / recorded.steps[0].grad_norm, rel=0.02)


def test_a_budget_of_minutes(tmp_path, monkeypatch):
    clock = iter(range(10**6))
    monkeypatch.setattr("octavo.nn.trainer.time.perf_counter", lambda: float(next(clock)))
    recorded = Recorded()
    config = TrainConfig(minutes=2, batch_size=2, warmup=3, eval_every=0, save_every=0)
    trainer = trainer_in(tmp_path, config, [recorded])
    trainer.fit()
    rates = [step.lr for step in recorded.steps]
    assert trainer.elapsed >= 120 and len(rates) > 10
    assert rates[:3] == sorted(rates[:3]) and rates[3:] == sorted(rates[3:], reverse=True)
    assert max(rates) > 0.95 * config.lr and rates[-1] < 1.1 * config.min_lr
    resumed = trainer_in(tmp_path, config)
    resumed.resume()
    assert resumed.progress == 1.0


def test_a_loss_that_is_not_finite_keeps_the_checkpoint(tmp_path):
    def spoil(trainer):
        trainer.model.h[0].attn.proj.weight.data[2, 7] = np.nan

    with pytest.raises(NonFiniteLoss) as caught:
        trainer_in(tmp_path, callbacks=[At(4, spoil)]).fit()
    first, second = str(caught.value).splitlines()[:2]
    assert first.startswith("training stopped at step 5: the loss is nan")
    assert "the checkpoint of step 3 is kept" in first and "lower learning rate" in first
    assert "linear in h.0.attn.proj (Linear) was given weight" in second and "nan at [2, 7]" in second
    model = checkpoint.load(tmp_path / "checkpoint.safetensors").model()
    assert all(np.isfinite(p.data).all() for p in model.parameters())


def test_evaluation_weighs_each_target_alike():
    random.seed(1)
    model = GPT(SHAPE)
    assert model.training
    # 43 tokens: the last window holds 2 of 8 targets.
    results = [evaluate(model, EvalBatches(TOKENS[:43], size, 8), 2.0) for size in (1, 4, 100)]
    assert model.training and {result.tokens for result in results} == {42}
    assert results[0].loss == pytest.approx(results[1].loss, rel=1e-6) == pytest.approx(results[2].loss, rel=1e-6)
    assert results[0].bits_per_byte == pytest.approx(results[0].loss / math.log(2) / 2)
    assert results[0].perplexity == pytest.approx(math.exp(results[0].loss))
    assert Evaluation(1e4, 1).perplexity == math.inf and Evaluation(1.0, 1).bits_per_byte is None


def test_metrics_drop_what_is_later_than_the_checkpoint(tmp_path):
    metrics = Metrics(tmp_path / "metrics.jsonl")
    metrics.path.write_text('{"step": 1}\n{"step": 4}\n{"step": 3, "final": true}\n{"step": 2, "lo')
    trainer = trainer_in(tmp_path)
    trainer.step = 3
    metrics.on_start(trainer)
    metrics.on_end(trainer)
    assert read_metrics(metrics.path) == [{"step": 1}]
    assert read_metrics(tmp_path / "none") == []


def test_the_loss_curve_is_a_png(tmp_path):
    run = Run(tmp_path)
    trainer_in(tmp_path, callbacks=[LossCurve(run.metrics, run.plot)]).fit()
    assert run.plot.read_bytes().startswith(b"\x89PNG")


def test_configuration_survives_json_and_refuses_nonsense(tmp_path):
    run = Run(tmp_path)
    run.write_config(SHAPE, CONFIG, "a text")
    assert run.read_config() == (SHAPE, CONFIG, "a text")
    for values, message in (
        ({}, "needs an end"),
        ({"steps": 0}, r"steps must be a whole number of at least 1 and below 2\*\*63, or None; got 0"),
        ({"steps": True}, "steps must be"),
        ({"minutes": math.nan}, "minutes must be a number over 0"),
        ({"steps": 5, "warmup": 5}, "warmup must be less than steps, 5; got 5"),
        ({"steps": 500, "min_lr": 1.0}, "min_lr must be at most lr"),
        ({"steps": 500, "betas": [0.9, 1.0]}, "betas must be two numbers"),
        ({"steps": 500, "schedule": "square"}, "schedule must be one of constant"),
        ({"steps": 500, "learning_rate": 1}, "unknown in a training configuration: learning_rate"),
    ):
        with pytest.raises(ValueError, match=message):
            TrainConfig.from_json(values)
    run.config.write_text("{")
    with pytest.raises(ValueError, match=r"config\.json is damaged"):
        run.read_config()
    with pytest.raises(FileNotFoundError, match="not the folder of a run"):
        Run(tmp_path / "none").read_config()


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("name", ["lion", "muon", "sgd"])
def test_other_optimisers_train_and_go_on_bit_for_bit(tmp_path, name):
    config = replace(CONFIG, optimizer=name, lr=1e-3)
    for folder in ("whole", "cut"):
        (tmp_path / folder).mkdir()
    whole = trainer_in(tmp_path / "whole", config)
    before = evaluate(whole.model, EvalBatches(TOKENS, 2, 8)).loss
    whole.fit()
    assert evaluate(whole.model, EvalBatches(TOKENS, 2, 8)).loss < before
    with pytest.raises(KeyboardInterrupt):
        trainer_in(tmp_path / "cut", config, [At(4, lambda trainer: os.kill(os.getpid(), signal.SIGINT))]).fit()
    cut = trainer_in(tmp_path / "cut", config)
    cut.resume()
    assert cut.step == 4
    cut.fit()
    assert saved(tmp_path / "cut")[0] == saved(tmp_path / "whole")[0]
