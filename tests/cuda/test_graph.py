"""A training step as one CUDA graph: the same bits as kernel by kernel, and nothing in it that a GPU would refuse."""

import gc
from dataclasses import replace

import numpy as np
import pytest

import octavo
from octavo.kernels import device, registry, stream
from octavo.kernels.device import to
from octavo.nn import GPT, GPTConfig, TrainConfig
from octavo.nn.callback import Callback
from octavo.nn.trainer import NonFiniteLoss, Trainer

pytestmark = pytest.mark.cuda

SHAPE = GPTConfig(vocab_size=61, context=8, layers=1, heads=2, width=16, dropout=0.2)
CONFIG = TrainConfig(
    steps=4, batch_size=2, accumulate=2, lr=1e-2, min_lr=1e-3, warmup=1, clip=0.5, eval_every=0, save_every=0, seed=5
)
TOKENS = np.random.default_rng(0).integers(0, 61, 400).astype(np.uint16)


class Steps(Callback):
    def __init__(self):
        self.told = []

    def on_step(self, trainer, step):
        self.told.append((step.step, step.loss, step.grad_norm, step.lr))


@pytest.fixture
def launched(monkeypatch):
    """How often a graph was launched."""
    from octavo.nn import update

    count = []

    def capture(body, real=stream.capture):
        launch = real(body)
        return lambda: (count.append(1), launch())

    monkeypatch.setattr(update.stream, "capture", capture)
    return count


def _trainer(config, tokens=TOKENS, shape=SHAPE, **options):
    octavo.seed(config.seed)
    model = GPT(shape)
    model.to("cuda")
    return Trainer(model, config, tokens, callbacks=[Steps()], **options)


def _trained(config, **options):
    trainer = _trainer(config, **options)
    trainer.fit()
    weights = [p.numpy() for p in trainer.optimizer.params]
    state = [to(x, "cpu") for xs in trainer.optimizer.state.values() for x in xs]
    return trainer.callbacks[0].told, weights + state, octavo.nn.random.state()


def _same(a, b):
    assert a[0] == b[0] and a[2] == b[2]
    for x, y in zip(a[1], b[1], strict=True):
        assert np.array_equal(x, y)


CHANGES = {
    "plain": {},
    "bfloat16": {"dtype": "bfloat16"},
    "no clipping": {"clip": 0.0},
    "lion": {"optimizer": "lion"},
    "recompute": {"recompute": True},
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_a_graph_gives_the_bits_of_its_kernels(changes, launched):
    """Dropout, micro-batches, clipping and a schedule; the first step runs before there is a graph."""
    config = replace(CONFIG, **changes)
    with_graph = _trained(config)
    assert len(launched) == config.steps - 1
    _same(with_graph, _trained(replace(config, graph=False)))
    assert len(launched) == config.steps - 1


def test_sgd_and_llama_are_captured_too(launched):
    shape = GPTConfig(vocab_size=61, context=8, layers=1, heads=2, width=16, positions="rotary", norm="rms",
                      activation="swiglu", kv_heads=1, tied=False)  # fmt: skip
    config = replace(CONFIG, optimizer="sgd", steps=3)
    _same(_trained(config, shape=shape), _trained(replace(config, graph=False), shape=shape))
    assert len(launched) == 2


class Growing:
    """Batches that get longer: two of each size."""

    def __getitem__(self, step):
        ids = np.random.default_rng(step).integers(0, 61, (2, 4 + step // 2))
        return ids[:, :-1], ids[:, 1:]


def test_a_size_that_comes_twice_is_captured(launched):
    config = replace(CONFIG, steps=5)
    _same(_trained(config, tokens=Growing()), _trained(replace(config, graph=False), tokens=Growing()))
    assert len(launched) == 2


def test_what_is_not_captured(launched):
    """Muon, which needs numbers of the host; a step that is looked at, by ops or by hooks."""
    config = replace(CONFIG, steps=3)
    _trained(replace(config, optimizer="muon"))
    with octavo.nn.profile() as table:
        _trained(config)
    assert table["adamw_"].calls > 0
    trainer = _trainer(config)
    seen = []
    trainer.optimizer.params[0].register_hook(lambda gradient: seen.append(gradient.shape))
    trainer.fit()
    assert len(seen) == 6 and not launched


class Killed(Exception):
    pass


class Kills(Callback):
    def on_save(self, trainer, path):
        raise Killed


def test_a_resumed_run_goes_on_with_the_same_bits(tmp_path, launched):
    config = replace(CONFIG, save_every=2)
    killed = _trainer(config, checkpoint_path=tmp_path / "a.safetensors")
    killed.callbacks += (Kills(),)
    with pytest.raises(Killed):
        killed.fit()
    assert [told[0] for told in killed.callbacks[0].told] == [1, 2]
    trainer = _trainer(config, checkpoint_path=killed._path)
    trainer.resume()
    trainer.fit()
    for x, y in zip(trainer.optimizer.params, _trained(CONFIG)[1], strict=False):
        assert np.array_equal(x.numpy(), y)


class Spoiled:
    """Tokens, of which a step has a bad batch."""

    def __init__(self, step, batch):
        self.step, self.batch = step, batch

    def __getitem__(self, step):
        ids = np.random.default_rng(step).integers(0, 61, (4, 9))
        return (ids[:, :-1], ids[:, 1:]) if step != self.step else self.batch


@pytest.mark.parametrize("graph", [True, False])
def test_a_step_that_goes_wrong_changes_nothing_nor_does_the_next(graph):
    """The host learns of it when the next one is under way."""
    trainer = _trainer(replace(CONFIG, steps=6, clip=0.0, graph=graph), Spoiled(-1, None))
    weight = trainer.optimizer.params[0]

    class Breaks(Callback):
        def on_step(self, trainer, step):
            if step.step == 3:
                self.before = weight.numpy()
                weight.copy_(np.full(weight.shape, np.inf, np.float32))

    breaks = Breaks()
    trainer.callbacks += (breaks,)
    with pytest.raises(NonFiniteLoss, match=r"stopped at step 5: the loss is nan[^\n]*\n.*layer_norm in h.0.norm1"):
        trainer.fit()
    assert trainer.step == 4 and trainer.optimizer.step_count == 4
    assert np.isinf(weight.numpy()).all()
    assert all(np.isfinite(x.get()).all() for xs in trainer.optimizer.state.values() for x in xs)
    weight.copy_(breaks.before)
    trainer.callbacks = trainer.callbacks[:1]
    trainer.fit()
    assert trainer.step == 6 and np.isfinite(weight.numpy()).all()


def test_a_bad_id_in_a_batch_raises_and_changes_nothing():
    batch = np.full((4, 8), 61), np.zeros((4, 8), np.int64)
    trainer = _trainer(CONFIG, Spoiled(3, batch))
    with pytest.raises(ValueError, match="embedding: ids: expected 0 <= id < 61, got 61"):
        trainer.fit()
    assert trainer.step == 3 and trainer.optimizer.step_count == 3
    assert all(np.isfinite(p.numpy()).all() for p in trainer.optimizer.params)


def test_the_losses_are_those_of_the_cpu():
    shape = replace(SHAPE, dropout=0.0)
    octavo.seed(CONFIG.seed)
    here = Trainer(GPT(shape), CONFIG, TOKENS, callbacks=[Steps()])
    here.fit()
    there = _trained(CONFIG, shape=shape)[0]
    np.testing.assert_allclose(there, here.callbacks[0].told, rtol=2e-5)


@pytest.mark.parametrize(
    "work",
    [
        lambda x: to(x, "cpu"),
        lambda x: to(np.ones(3), "cuda"),
        lambda x: x[0].item(),
        lambda x: device.synchronize(),
        lambda x: stream.fetch(x),
    ],
)
def test_what_a_gpu_refuses_while_a_graph_is_captured_raises(work):
    from octavo.kernels.cuda.emulator import Fault

    x = to(np.ones(3), "cuda")
    with pytest.raises(Fault, match="while a graph is captured"):
        stream.capture(lambda: work(x))
    assert registry["add"](x, x).get().tolist() == [2, 2, 2]


def test_a_graph_keeps_what_it_uses_and_shares_nothing_of_its_own():
    add, out = registry["add"], device.zeros(3, np.float64, "cuda")

    def captured(x):
        def body():
            y = add(x, x)
            z = add(y, x)
            del y
            device.copy(add(z, z), out)

        body()
        return stream.capture(body)

    launch = captured(to(np.ones(3), "cuda"))
    others = [to(np.full(3, 9.0), "cuda") for _ in range(20)]
    launch()
    assert out.get().tolist() == [6, 6, 6]
    assert all((y.get() == 9).all() for y in others)
    del launch
    gc.collect()


def test_a_graph_that_outlives_what_it_uses_is_found_out(monkeypatch):
    """Of a graph that does not keep it."""
    from octavo.kernels.cuda import graph
    from octavo.kernels.cuda.emulator import Fault

    monkeypatch.setattr(graph.Graph, "uses", lambda *_: None)
    held, out = [to(np.ones(3), "cuda")], device.zeros(3, np.float64, "cuda")
    launch = stream.capture(lambda: device.copy(held[0], out))
    held.clear()
    gc.collect()
    with pytest.raises(Fault, match="out of bounds"):
        launch()
