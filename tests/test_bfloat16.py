"""bfloat16 from the array to the checkpoint; that each op takes it is in test_ops.py."""

import numpy as np
import pytest
from cases.case import normal

import octavo
from octavo.kernels import adamw_, add, add_, cross_entropy, device, layer_norm, lion_, muon_, rotary, sgd_
from octavo.nn import (
    GPT,
    SGD,
    AdamW,
    GPTConfig,
    Tensor,
    TrainConfig,
    Trainer,
    checkpoint,
    generate,
    huggingface,
    quantize,
)
from octavo.nn.callback import Callback
from octavo.nn.explain import NonFiniteValue

BFLOAT16 = device.BFLOAT16
SHAPE = {"vocab_size": 61, "context": 16, "layers": 2, "heads": 2, "width": 32}
LLAMA = SHAPE | {"positions": "rotary", "norm": "rms", "activation": "swiglu", "kv_heads": 1, "tied": False}
IDS = np.random.default_rng(0).integers(0, 61, 300)


def _half(*shape, seed=0):
    return normal(*shape, seed=seed).astype(BFLOAT16)


def _model(dtype="bfloat16", shape=SHAPE):
    octavo.seed(3)
    return GPT(GPTConfig(**shape)).to(dtype)


def test_promotion_is_numpys():
    x = _half(3)
    assert add(x, x).dtype == BFLOAT16
    assert add(x, x.astype(np.float32)).dtype == np.float32
    assert add(x.astype(np.float64), x).dtype == np.float64
    assert (Tensor(x) * 2.5).dtype == BFLOAT16


def test_losses_and_statistics_are_float32_and_widen_nothing():
    x, ids = _half(4, 6), np.arange(4)
    loss, (dlogits,) = cross_entropy.forward(x, ids)
    assert (loss.dtype, dlogits.dtype) == (np.float32, BFLOAT16)
    assert cross_entropy.backward(np.array(0.5, np.float32), dlogits).dtype == BFLOAT16
    out, saved = layer_norm.forward(x, None, None)
    assert [s.dtype for s in saved if s is not None] == [BFLOAT16, np.float32, np.float32]
    assert layer_norm.backward(out, *saved)[0].dtype == BFLOAT16
    angles = normal(2, 1).astype(np.float32)
    assert rotary(_half(1, 2, 1, 2), np.cos(angles), np.sin(angles)).dtype == BFLOAT16


def test_gradients_have_the_dtype_of_their_tensors():
    x, y = Tensor(_half(2, 3), True), Tensor(normal(2, 3).astype(np.float32), True)
    half = x * 2.0
    half.register_hook(lambda gradient: seen.append(gradient.dtype))
    seen = []
    (half * y).sum().backward()
    assert (x.grad.dtype, y.grad.dtype) == (BFLOAT16, np.float32)
    np.testing.assert_array_equal(x.grad, (2 * y.data.astype(BFLOAT16)).astype(BFLOAT16))


def test_in_place_ops_round_what_they_change():
    x, y = _half(5), _half(5, seed=1)
    expected = (x.astype(np.float32) + y.astype(np.float32)).astype(BFLOAT16)
    y.flags.writeable = False
    add_([x], [y])
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize(
    ("step", "count"),
    [
        (lambda *lists, **more: adamw_(*lists, 1, 0.1, **more), 4),
        (lambda *lists, **more: lion_(*lists, 0.1, **more), 3),
        (lambda *lists, **more: sgd_(*lists, 0.1, 0.9, **more), 3),
        (lambda *lists, **more: sgd_(*lists, None, 0.1, **more), 2),
        (lambda *lists, **more: muon_(*lists, 0.1, **more), 3),
    ],
    ids=["adamw", "lion", "sgd", "descent", "muon"],
)
def test_optimisers_write_copies_of_float32_parameters(step, count):
    """The same step as with float32 gradients of the same values."""
    shapes = [(3, 4), (7, 5), (2, 9000)]
    grads = [_half(*s, seed=1) for s in shapes]
    lists, expected = ([[np.abs(normal(*s, seed=k)).astype("f4") for s in shapes] for k in (0, 2, 3)] for _ in range(2))
    copies = [np.zeros(s, BFLOAT16) for s in shapes]
    step(lists[0], grads, *lists[1 : count - 1], copies=copies)
    step(expected[0], [g.astype(np.float32) for g in grads], *expected[1 : count - 1])
    for p, e, c in zip(lists[0], expected[0], copies, strict=True):
        np.testing.assert_array_equal(p, e)
        np.testing.assert_array_equal(c, p.astype(BFLOAT16))


def test_bad_copies_and_states_are_refused():
    p, g = normal(3).astype(np.float32), _half(3)
    with pytest.raises(ValueError, match="sgd_: copies: expected arrays like params, in bfloat16"):
        sgd_([p], [g], None, 0.1, copies=[p.copy()])
    with pytest.raises(
        TypeError, match="adamw_: exp_avgs: expected arrays of one dtype, got float32 at 0 and bfloat16"
    ):
        adamw_([p], [g], [g.copy()], [p.copy()], 1, 0.1)
    with pytest.raises(ValueError, match="expected parameters of one dtype, got bfloat16 and others"):
        SGD([Tensor(g, True), Tensor(p, True)], 0.1)
    with pytest.raises(TypeError, match="expected float32, float64 or bfloat16, got float16"):
        _model("float16")


@pytest.mark.parametrize("shape", [SHAPE, LLAMA], ids=["gpt2", "llama"])
def test_training_follows_float32(shape):
    """Each of some 20 values on the way to a logit is rounded by up to 2^-9; their errors add up as their squares."""

    def losses(dtype):
        model, found = _model(dtype, shape), []
        optimizer = AdamW(model.parameters(), lr=1e-2)
        for batch in IDS[:160].reshape(10, 2, 8):
            loss = model.loss(batch[:, :-1], batch[:, 1:])
            loss.backward()
            assert loss.dtype == np.float32
            assert {p.grad.dtype for p in model.parameters()} == {np.dtype(dtype) if dtype != "bfloat16" else BFLOAT16}
            optimizer.step()
            optimizer.zero_grad()
            found.append(loss.item())
        return found

    np.testing.assert_allclose(losses("bfloat16"), losses("float32"), rtol=2**-7)


def test_masters_gather_steps_that_rounding_would_lose():
    p = Tensor(np.ones(1, BFLOAT16), True)
    optimizer = SGD([p], lr=1e-3)
    for _ in range(8):
        p.grad = np.ones(1, BFLOAT16)
        optimizer.step()
    assert p.data[0] == BFLOAT16.type(1 - 8e-3)


class Stop(Callback):
    """Ctrl-C after a step."""

    def __init__(self, after):
        self.after = after

    def on_step(self, trainer, step):
        if step.step == self.after:
            raise KeyboardInterrupt


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_resumed_run_is_the_same_bit_for_bit(tmp_path, optimizer):
    config = TrainConfig(steps=6, warmup=1, batch_size=2, eval_every=0, dtype="bfloat16", optimizer=optimizer)

    def run(path, stop=None):
        trainer = Trainer(_model("float32"), config, IDS, checkpoint_path=path, callbacks=[Stop(stop)])
        trainer.resume()
        trainer.fit()
        return trainer

    whole = run(tmp_path / "whole.safetensors")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts.safetensors", 3)
    again = run(tmp_path / "parts.safetensors")
    for a, b in zip(whole.model.parameters(), again.model.parameters(), strict=True):
        assert a.dtype == b.dtype == BFLOAT16
        np.testing.assert_array_equal(a.data, b.data)
    saved = checkpoint.load(tmp_path / "whole.safetensors")
    assert any("masters" in name for name in saved.optimizer)
    for a, b in zip(saved.model().parameters(), whole.model.parameters(), strict=True):
        np.testing.assert_array_equal(a.data, b.data)


def test_generation_with_a_cache_and_from_quantized_weights():
    model = _model(shape=LLAMA)
    texts = [generate(model, [1, 2, 3], 8, temperature=0, cache=cache) for cache in (True, False)]
    np.testing.assert_array_equal(*texts)
    assert quantize(model, "int8").norm.weight.dtype == np.float32
    assert len(generate(model, [1, 2, 3], 4, temperature=0)) == 7


def test_hugging_faces_format(tmp_path):
    model = _model()
    huggingface.export(model, tmp_path)
    back = huggingface.load(tmp_path)
    for a, b in zip(model.parameters(), back.parameters(), strict=True):
        np.testing.assert_array_equal(a.data.astype(np.float32), b.data)


def test_verify_and_explain_nan_know_it():
    model = _model()
    with octavo.verify() as errors:
        model.loss(IDS[:8].reshape(1, 8), IDS[1:9].reshape(1, 8)).backward()
    assert all(row.strays == 0 and row.ulps < 4 for row in errors.values()), errors
    model.h[1].mlp.fc.weight.data[0, 0] = np.nan
    with pytest.raises(NonFiniteValue, match=r"h\.1"), octavo.nn.explain_nan(model):
        model.loss(IDS[:8].reshape(1, 8), IDS[1:9].reshape(1, 8))
