"""Quantized models: as exact as their rounded weights, smaller, and for inference alone."""

import gc
from dataclasses import replace

import numpy as np
import pytest

import octavo
from octavo.nn import GPT, AdamW, GPTConfig, QuantizedParameter, checkpoint, evaluate, generate, no_grad, quantize

CONFIG = GPTConfig(vocab_size=40, context=24, layers=2, heads=2, width=16, dropout=0.5)
LLAMA = replace(
    CONFIG, norm="rms", positions="rotary", activation="swiglu", heads=4, kv_heads=2, qk_norm=True, tied=False
)
IDS = np.random.default_rng(0).integers(0, 40, (2, 20))


def make(config: GPTConfig) -> GPT:
    octavo.seed(3)
    model = GPT(config).eval()
    rng = np.random.default_rng(1)
    for parameter in model.parameters():  # so that logits differ from place to place
        parameter.copy_(rng.standard_normal(parameter.shape) * 0.3)
    return model


@pytest.fixture(params=["int8", "bf16"])
def form(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=[CONFIG, LLAMA], ids=["gpt2", "llama"])
def pair(request: pytest.FixtureRequest, form: str) -> tuple[GPT, GPT]:
    """A quantized model, and one in float32 that has its rounded weights."""
    exact, model = make(request.param), quantize(make(request.param), form)
    for weight, parameter in zip(exact.parameters(), model.parameters(), strict=True):
        if isinstance(parameter, QuantizedParameter):
            largest = np.abs(weight.data).max(1, keepdims=True)
            error = largest / 254 if form == "int8" else np.abs(weight.data) / 2**8
            rounded = parameter.widened()
            assert (np.abs(rounded - weight.data) <= error * (1 + 1e-5)).all()
            assert (rounded != weight.data).any()
            weight.copy_(rounded)
    return exact, model


def test_logits_and_losses_are_those_of_the_rounded_weights(pair: tuple[GPT, GPT]) -> None:
    exact, model = pair
    with no_grad():
        np.testing.assert_allclose(model(IDS).data, exact(IDS).data, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(model(IDS[:1, :3]).data, exact(IDS[:1, :3]).data, rtol=1e-4, atol=1e-4)
    losses = [evaluate(m, [(IDS[:, :-1], IDS[:, 1:])]).loss for m in pair]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_the_cache_holds_bfloat16(pair: tuple[GPT, GPT]) -> None:
    exact, model = pair
    whole, parts = model.caches(2), model.caches(2)
    assert whole[0].keys.dtype == np.uint16
    with no_grad():
        logits = model.next_logits(IDS, whole).data
        for part in (IDS[:, :9], IDS[:, 9:12], IDS[:, 12:19], IDS[:, 19:]):
            step = model.next_logits(part, parts).data
        np.testing.assert_allclose(step, logits, rtol=1e-3, atol=1e-3)
        expected = exact(IDS).data[:, -1]
    assert 0 < np.abs(logits - expected).max() < 2**-5 * np.abs(expected).max()


def test_greedy_text_is_the_same_in_each_row_and_in_the_batch(pair: tuple[GPT, GPT]) -> None:
    together = generate(pair[1], IDS[:, :3], 12, temperature=0)
    for row, prompt in zip(together, IDS[:, :3], strict=True):
        np.testing.assert_array_equal(generate(pair[1], prompt, 12, temperature=0), row)


def test_the_float32_weights_are_gone(form: str) -> None:
    model = make(replace(CONFIG, width=128))
    gc.collect()
    before, count = octavo.memory().current, model.num_parameters()
    quantize(model, form)
    gc.collect()
    saved = sum(p.size for p in model.parameters() if isinstance(p, QuantizedParameter)) * (3 if form == "int8" else 2)
    assert octavo.memory().current < before - 0.9 * saved
    assert model.num_parameters() == count
    assert repr(model).count(f", {form})") == 1 + 4 * CONFIG.layers


def test_it_neither_trains_nor_is_saved(form: str, tmp_path) -> None:
    model = quantize(make(CONFIG), form)
    state = make(CONFIG).state_dict()
    with pytest.raises(RuntimeError, match=r"linear_quantized has no gradient .* train in float32"):
        model.train().loss(IDS[:, :-1], IDS[:, 1:])
    for refused in (
        lambda: checkpoint.save(tmp_path / "model.safetensors", model, AdamW(model.parameters(), lr=0.1)),
        lambda: model.load_state_dict(state),
        lambda: model.to(np.float64),
    ):
        with pytest.raises(ValueError, match=r"wte.weight is quantized; use the model as it was before"):
            refused()
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="quantized already"):
        quantize(model, form)


def test_what_cannot_be_quantized_stays_as_it_was() -> None:
    model = make(CONFIG)
    with pytest.raises(ValueError, match="form: expected 'int8' or 'bf16', got 'int4'"):
        quantize(model, "int4")
    model.h[1].mlp.proj.weight.data[3, 2] = np.nan
    with pytest.raises(ValueError, match="expected finite numbers, got NaN, infinity or larger in row 3"):
        quantize(model, "int8")
    assert all(p.dtype == np.float32 for p in model.parameters())
