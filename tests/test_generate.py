"""Generation: the cache changes nothing, rows stop by themselves, draws repeat."""

from dataclasses import replace

import numpy as np
import pytest

import octavo
from octavo.nn import GPT, GPTConfig, generate, stream_tokens

CONFIG = GPTConfig(vocab_size=13, context=8, layers=2, heads=2, width=16, dropout=0.5, bias=False, tied=False)
LLAMA = replace(CONFIG, norm="rms", positions="rotary", activation="swiglu", heads=4, kv_heads=2, qk_norm=True)
PROMPT = np.array([[1, 2, 3], [4, 5, 6]])


@pytest.fixture(params=[CONFIG, LLAMA], ids=["gpt2", "llama"])
def model(request: pytest.FixtureRequest) -> GPT:
    octavo.seed(2)
    model = GPT(request.param)
    rng = np.random.default_rng(6)
    for parameter in model.parameters():  # so large that the most probable token changes from place to place
        parameter.copy_(rng.standard_normal(parameter.shape) * 0.5)
    return model


@pytest.mark.parametrize("length", [1, 5, 8, 11], ids="prompt of {}".format)
def test_cache_gives_the_same_tokens_past_the_context(model: GPT, length: int) -> None:
    prompt = np.random.default_rng(0).integers(0, 13, (3, length))
    plain = generate(model, prompt, 20, temperature=0, cache=False)
    cached = generate(model, prompt, 20, temperature=0)
    np.testing.assert_array_equal(cached, plain)
    assert cached.shape == (3, length + 20) and len(np.unique(cached[:, length:])) > 3
    np.testing.assert_array_equal(cached[:, :length], prompt)
    assert model.training


def test_cached_logits_are_the_model_s(model: GPT) -> None:
    model.eval()
    ids = np.random.default_rng(0).integers(0, 13, (2, 8))
    caches = model.caches(2)
    for part in (ids[:, :5], ids[:, 5:6], ids[:, 6:]):
        logits = model.next_logits(part, caches)
    np.testing.assert_allclose(logits.data, model(ids).data[:, -1], rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="9 tokens are more than the context of 8"):
        model.next_logits(ids[:, :1], caches)


def test_rows_of_a_batch_do_not_meet(model: GPT) -> None:
    together = generate(model, PROMPT, 10, temperature=0)
    for row, prompt in zip(together, PROMPT, strict=True):
        np.testing.assert_array_equal(generate(model, prompt, 10, temperature=0), row)


def test_a_row_stops_at_a_stop_token(model: GPT) -> None:
    free = generate(model, PROMPT, 12, temperature=0)[:, 3:]
    stop = next(i for i in free[0] if i not in free[1][:4])
    first = [int(np.flatnonzero(row == stop)[0]) if stop in row else 11 for row in free]
    assert first[0] != first[1]
    stopped = generate(model, PROMPT, 12, temperature=0, stop=[int(stop)])[:, 3:]
    assert stopped.shape[1] == max(first) + 1
    for row, expected, end in zip(stopped, free, first, strict=True):
        np.testing.assert_array_equal(row[: end + 1], expected[: end + 1])
        assert (row[end + 1 :] == stop).all()


def test_the_best_of_one_is_the_best(model: GPT) -> None:
    np.testing.assert_array_equal(
        generate(model, PROMPT, 6, top_k=1, seed=9), generate(model, PROMPT, 6, temperature=0)
    )


def test_draws_repeat_with_their_seed(model: GPT) -> None:
    one = generate(model, PROMPT, 8, seed=1)
    state = octavo.nn.random.state()
    np.testing.assert_array_equal(generate(model, PROMPT, 8, seed=1), one)
    assert octavo.nn.random.state() == state
    assert (generate(model, PROMPT, 8, seed=2) != one).any()
    octavo.seed(4)
    first = generate(model, PROMPT, 8)
    assert (generate(model, PROMPT, 8) != first).any()
    octavo.seed(4)
    np.testing.assert_array_equal(generate(model, PROMPT, 8), first)


def test_steps_come_one_by_one(model: GPT) -> None:
    steps = stream_tokens(model, [1, 2, 3], 4, temperature=0)
    assert next(steps).shape == (1,)
    assert len(list(steps)) == 3
    np.testing.assert_array_equal(generate(model, [1, 2, 3], 0), [1, 2, 3])


@pytest.mark.parametrize(
    ("prompt", "options", "text"),
    [
        ([], {}, "at least one token"),
        ([[[1]]], {}, r"got shape \(1, 1, 1\)"),
        ([0.5], {}, "expected integer ids, got float64"),
        ([1, 13], {}, r"expected 0 <= id < 13 .* got 1 to 13"),
        ([1], {"max_new_tokens": -1}, "expected at least 0, got -1"),
        ([1], {"temperature": -1.0}, "temperature"),
        ([1], {"top_p": 1.5}, "top_p"),
    ],
)
def test_bad_requests_are_refused(model: GPT, prompt: list, options: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        generate(model, prompt, **{"max_new_tokens": 3} | options)


def test_a_repetition_penalty_and_min_p_change_what_is_drawn(model: GPT) -> None:
    plain = generate(model, [1, 2, 3], 8, temperature=0)
    penalised = generate(model, [1, 2, 3], 8, temperature=0, repetition_penalty=100.0, cache=False)
    np.testing.assert_array_equal(generate(model, [1, 2, 3], 8, temperature=0, repetition_penalty=100.0), penalised)
    assert len(set(penalised.tolist())) > len(set(plain.tolist()))
    np.testing.assert_array_equal(generate(model, [1, 2, 3], 8, min_p=1.0, seed=5), plain)
    with pytest.raises(ValueError, match="min_p: expected a number in"):
        generate(model, [1], 1, min_p=2.0)
    with pytest.raises(ValueError, match="penalty: expected a number in"):
        generate(model, [1], 1, repetition_penalty=0.0)
