"""GPT as a whole: its gradient, its causality, its loss."""

import json
from dataclasses import replace

import numpy as np
import pytest
from differences import check

import octavo
from octavo.nn import GPT, PRESETS, GPTConfig, no_grad
from octavo.nn import functional as F

TINY = GPTConfig(vocab_size=11, context=7, layers=2, heads=2, width=8)
LLAMA = replace(TINY, norm="rms", positions="rotary", activation="swiglu", bias=False, tied=False)
SCALING = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 4,
}
STYLES = {
    "tied": TINY,
    "untied": replace(TINY, bias=False, tied=False),
    "llama": replace(LLAMA, kv_heads=1, rope_scaling=SCALING),
    "qwen2": replace(LLAMA, qkv_bias=True, hidden=10),
    "qwen3": replace(LLAMA, qk_norm=True, heads=4, kv_heads=2, head_size=6, norm_eps=1e-3),
}
RNG = np.random.default_rng(3)
IDS = RNG.integers(0, 11, (2, 6))
TARGETS = RNG.integers(0, 11, (2, 6))
TARGETS[0, 2] = -100


def model_of(config: GPTConfig, dtype: type = np.float64) -> GPT:
    """A model whose weights are large enough for every path to matter."""
    octavo.seed(5)
    model = GPT(config).to(dtype)
    for parameter in model.parameters():
        parameter.add_(RNG.standard_normal(parameter.shape).astype(dtype) * 0.2)
    return model


@pytest.mark.parametrize("config", STYLES.values(), ids=STYLES)
def test_gradient_equals_differences(config: GPTConfig) -> None:
    model = model_of(config)

    def value() -> float:
        with no_grad():
            return model.loss(IDS, TARGETS).item()

    model.loss(IDS, TARGETS).backward()
    for name, parameter in model.named_parameters():
        flat = RNG.choice(parameter.size, min(4, parameter.size), replace=False)
        entries = [np.unravel_index(i, parameter.shape) for i in flat]
        check(value, name, parameter.data, parameter.grad, entries)


def test_gradient_through_dropout_equals_differences() -> None:
    model = model_of(replace(TINY, dropout=0.3))
    start = octavo.nn.random.state()

    def loss() -> octavo.nn.Tensor:
        octavo.nn.random.set_state(start)
        return model.loss(IDS, TARGETS)

    loss().backward()
    weight = model.h[0].attn.qkv.weight
    check(lambda: loss().item(), "qkv", weight.data, weight.grad, [(0, 0), (9, 3), (20, 7)])
    assert loss().item() != model.eval().loss(IDS, TARGETS).item()


@pytest.mark.parametrize("config", [TINY, STYLES["qwen3"]], ids=["gpt2", "qwen3"])
def test_no_logit_depends_on_later_tokens(config: GPTConfig) -> None:
    model = model_of(config)
    before = model(IDS).data
    for t in range(IDS.shape[1]):
        changed = IDS.copy()
        changed[:, t] = (changed[:, t] + 1) % 11
        differs = (model(changed).data != before).any((0, 2))
        assert not differs[:t].any() and differs[t:].all()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_loss_is_the_cross_entropy_of_the_logits(reduction: str) -> None:
    model = model_of(TINY)
    logits = model(IDS).reshape(-1, 11)
    expected = F.cross_entropy(logits, TARGETS.reshape(-1), reduction=reduction)
    got = model.loss(IDS, TARGETS, reduction=reduction)
    np.testing.assert_allclose(got.data, expected.data, rtol=1e-12)


def test_a_divisor_makes_micro_batches_add_up() -> None:
    model = model_of(TINY)
    model.loss(IDS, TARGETS).backward()
    whole = {name: p.grad for name, p in model.named_parameters()}
    model.zero_grad()
    for row in (slice(0, 1), slice(1, 2)):
        model.loss(IDS[row], TARGETS[row], divisor=11).backward()
    for name, parameter in model.named_parameters():
        np.testing.assert_allclose(parameter.grad, whole[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_initial_weights_are_gpt2_s() -> None:
    octavo.seed(1)
    config = GPTConfig(vocab_size=500, context=16, layers=8, heads=4, width=64)
    model = GPT(config)
    ids = RNG.integers(0, 500, (4, 16))
    assert abs(model.loss(ids, RNG.integers(0, 500, (4, 16))).item() - np.log(500)) < 0.1
    assert abs(model.wte.weight.data.std() / 0.02 - 1) < 0.02
    assert abs(model.h[7].mlp.proj.weight.data.std() / (0.02 / 4) - 1) < 0.02
    assert not model.h[0].attn.qkv.bias.data.any()
    octavo.seed(1)
    for a, b in zip(model.parameters(), GPT(config).parameters(), strict=True):
        np.testing.assert_array_equal(a.data, b.data)


def test_a_tied_head_is_one_parameter() -> None:
    tied, untied = GPT(TINY), GPT(replace(TINY, tied=False))
    assert untied.num_parameters() - tied.num_parameters() == 11 * 8
    assert "head.weight" in untied.state_dict() and "head.weight" not in tied.state_dict()


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("gpt2", 124_439_808),
        ("gpt2-xl", 1_557_611_200),
        ("smollm2-135m", 134_515_008),
        ("llama-3.2-1b", 1_235_814_400),
        ("qwen2.5-0.5b", 494_032_768),
        ("qwen3-0.6b", 596_049_920),
    ],
)
def test_presets_have_the_published_number_of_parameters(name: str, count: int) -> None:
    with octavo.nn.random.unset():
        one, two = (GPT(replace(PRESETS[name], layers=n)).num_parameters() for n in (1, 2))
    assert one + (PRESETS[name].layers - 1) * (two - one) == count


def test_bad_ids_are_refused() -> None:
    model = GPT(TINY)
    with pytest.raises(ValueError, match="8 tokens are more than the context of 7"):
        model(np.zeros((1, 8), np.int64))
    with pytest.raises(ValueError, match=r"expected integers of shape \(B, T\), at least one, got float64 \(2,\)"):
        model(np.zeros(2))
    with pytest.raises(ValueError, match=r"expected 0 <= id < 11, got 11 at \(0, 1\)"):
        model(np.array([[0, 11]]))
    with pytest.raises(ValueError, match=r"targets of the ids' shape \(2, 6\), got \(12,\)"):
        model.loss(IDS, TARGETS.reshape(-1))


def test_config_makes_the_round_trip_through_json() -> None:
    for config in PRESETS.values():
        assert GPTConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"wide": 3}, "unknown wide; it has vocab_size, context"),
        ({"width": 9}, "width: expected a multiple of heads = 2, got 9"),
        ({"layers": 0}, "layers: expected a positive integer, got 0"),
        ({"heads": "2"}, "heads: expected a positive integer, got '2'"),
        ({"context": True}, "context: expected a positive integer, got True"),
        ({"dropout": 1.0}, "expected 0 <= dropout < 1, got 1.0"),
        ({"tied": 1}, "tied: expected true or false, got 1"),
        ({"kv_heads": 0}, "kv_heads: expected a positive integer or null, got 0"),
        ({"kv_heads": 3}, "kv_heads: expected a divisor of heads = 2, got 3"),
        ({"head_size": 2.0}, "head_size: expected a positive integer or null, got 2.0"),
        ({"norm": "batch"}, "norm: expected one of layer, rms, got 'batch'"),
        ({"norm_eps": 0}, "norm_eps: expected a finite number above 0, got 0"),
        ({"activation": None}, "activation: expected one of gelu_tanh, gelu, relu, swiglu, got None"),
        ({"qkv_bias": "no"}, "qkv_bias: expected true or false or null, got 'no'"),
        ({"positions": "rotary", "head_size": 3}, "rotary positions need an even head size, got 3"),
        ({"positions": "rotary", "rope_base": float("inf")}, "rope_base: expected a finite number above 0, got inf"),
        ({"rope_scaling": SCALING}, "rope_scaling: needs rotary positions, got learned ones"),
        ({"rope_scaling": {"rope_type": "yarn"}}, "rope_scaling: expected null or rope_type 'linear' with factor or"),
        ({"positions": "rotary", "rope_scaling": SCALING | {"factor": "8"}}, "factor: expected a positive number"),
    ],
)
def test_a_config_that_cannot_be_is_refused(change: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        GPTConfig.from_dict(TINY.to_dict() | change)


def test_json_that_is_no_config_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON"):
        GPTConfig.from_json("{")
    with pytest.raises(ValueError, match="missing context, layers"):
        GPTConfig.from_json(json.dumps({"vocab_size": 3, "heads": 1, "width": 4}))
    with pytest.raises(ValueError, match="expected an object"):
        GPTConfig.from_json("[]")


def test_recomputed_blocks_give_the_same_gradients() -> None:
    ids = np.random.default_rng(0).integers(0, 11, (2, 8))
    found = []
    for again in (False, True):
        octavo.seed(4)
        model = GPT(GPTConfig(vocab_size=11, context=8, layers=2, heads=2, width=8, dropout=0.2))
        model.recompute = again
        model.loss(ids, ids).backward()
        found.append([p.grad.tobytes() for p in model.parameters()])
    assert found[0] == found[1]
