"""A small model on the GPU does what it does on the CPU."""

import numpy as np
import pytest

import octavo
from octavo.nn import GPT, AdamW, GPTConfig, checkpoint, clip_grad_norm, generate

pytestmark = pytest.mark.cuda

GPT2 = {"vocab_size": 61, "context": 16, "layers": 2, "heads": 2, "width": 32}
LLAMA = GPT2 | {"positions": "rotary", "norm": "rms", "activation": "swiglu", "kv_heads": 1, "tied": False}


def _model(shape: dict, place: str, dtype: str = "float32") -> GPT:
    octavo.seed(3)
    model = GPT(GPTConfig(**shape))
    model.to(place).to(dtype)
    return model


def _losses(model: GPT, steps: int) -> list[float]:
    ids = np.random.default_rng(0).integers(0, 61, (steps, 2, 9))
    optimizer = AdamW(model.parameters(), lr=1e-2)
    losses = []
    for batch in ids:
        loss = model.loss(batch[:, :-1], batch[:, 1:])
        loss.backward()
        _, scale = clip_grad_norm(optimizer.params, 1.0)
        optimizer.step(scale)
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("shape", [GPT2, LLAMA], ids=["gpt2", "llama"])
def test_ten_steps_give_the_losses_of_the_cpu(shape):
    expected, got = (_losses(_model(shape, place), 10) for place in ("cpu", "cuda"))
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_steps_on_tensor_cores_follow_float32():
    """bf16 rounds to 8 bits; the loss is a mean over tokens of which each depends on many rounded products."""
    shape = GPT2 | {"width": 128, "layers": 1}  # heads of 64
    expected = _losses(_model(shape, "cpu"), 3)
    octavo.precision("medium")
    try:
        got = _losses(_model(shape, "cuda"), 3)
    finally:
        octavo.precision("highest")
    np.testing.assert_allclose(got, expected, rtol=2**-8)


@pytest.mark.parametrize("shape", [GPT2, LLAMA], ids=["gpt2", "llama"])
def test_steps_in_bfloat16_follow_float32(shape):
    """Each of some 20 values on the way to a logit is rounded by up to 2^-9; their errors add up as their squares."""
    expected, got = _losses(_model(shape, "cpu"), 5), _losses(_model(shape, "cuda", "bfloat16"), 5)
    np.testing.assert_allclose(got, expected, rtol=2**-7)


def test_every_op_of_a_step_is_near_its_reference():
    model = _model(LLAMA, "cuda")
    ids = np.arange(16).reshape(2, 8)
    with octavo.verify() as errors:
        model.loss(ids, ids).backward()
    assert len(errors) > 15
    for name, row in errors.items():
        assert row.strays == 0 and row.ulps < 64, f"{name}: {row}"


def test_recomputation_and_dropout_give_the_same_gradients():
    gradients = []
    for again in (False, True):
        model = _model(GPT2 | {"dropout": 0.2}, "cuda")
        model.recompute = again
        ids = np.arange(16).reshape(2, 8)
        model.loss(ids, ids).backward()
        gradients.append([p.grad.get() for p in model.parameters()])
    for a, b in zip(*gradients, strict=True):
        assert np.array_equal(a, b)


def test_greedy_continuations_are_those_of_the_cpu():
    texts = [
        generate(_model(LLAMA, place), [1, 2, 3], 6, temperature=0, repetition_penalty=1.2) for place in ("cpu", "cuda")
    ]
    assert np.array_equal(*texts)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_checkpoint_moves_between_devices(tmp_path, dtype):
    model = _model(GPT2, "cuda", dtype)
    optimizer = AdamW(model.parameters(), lr=1e-3)
    ids = np.arange(16).reshape(2, 8)
    model.loss(ids, ids).backward()
    optimizer.step()
    checkpoint.save(tmp_path / "a.safetensors", model, optimizer)
    saved = checkpoint.load(tmp_path / "a.safetensors")
    back = _model(GPT2, "cpu", dtype)
    again = AdamW(back.parameters(), lr=1e-3)
    saved.restore(back, again)
    for a, b in zip(model.parameters(), back.parameters(), strict=True):
        assert np.array_equal(a.numpy(), b.data)
    saved.restore(model, optimizer)
    assert ("masters" in again.state) == (dtype == "bfloat16")
    for slot, arrays in optimizer.state.items():
        for a, b in zip(arrays, again.state[slot], strict=True):
            assert np.array_equal(a.get(), b)


def test_mixed_devices_raise():
    x = octavo.nn.Tensor(np.ones(3, np.float32))
    with pytest.raises(ValueError, match="is on cpu and an earlier argument on cuda"):
        x.to("cuda") + x
