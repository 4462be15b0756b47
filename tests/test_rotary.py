"""Rotary embedding: what it is for, and its tables beside those of the transformers library."""

import numpy as np
import pytest

from octavo.nn import LinearScaling, Llama3Scaling, Rotary, Tensor, rotary_tables

RNG = np.random.default_rng(5)
LLAMA3 = Llama3Scaling(8.0, 1.0, 4.0, 8192)


def test_products_depend_on_distances_alone() -> None:
    rotary = Rotary(8, base=100.0)
    q, k = (RNG.standard_normal((1, 1, 2, 8)) for _ in range(2))

    def product(at: int, to: int) -> np.ndarray:
        return (rotary(Tensor(q), at).data * rotary(Tensor(k), to).data).sum(-1)

    np.testing.assert_allclose(product(9, 4), product(5, 0), rtol=1e-5)
    assert not np.allclose(product(9, 4), product(9, 5))


def test_a_start_continues_the_sequence() -> None:
    rotary = Rotary(8)
    x = RNG.standard_normal((2, 7, 3, 8)).astype(np.float32)
    whole = rotary(Tensor(x)).data
    pieces = [Rotary(8)(Tensor(x[:, :3])).data, rotary(Tensor(x[:, 3:]), 3).data]
    np.testing.assert_array_equal(np.concatenate(pieces, 1), whole)


def test_views_of_a_fused_product_are_read_in_place() -> None:
    qkv = Tensor(RNG.standard_normal((2, 5, 3, 2, 8)), requires_grad=True)
    rotary = Rotary(8)
    q, k, v = qkv.unbind(2)
    (rotary(q) * rotary(k, 2) * v).sum().backward()
    copies = [Tensor(np.ascontiguousarray(x.data), requires_grad=True) for x in (q, k, v)]
    (rotary(copies[0]) * rotary(copies[1], 2) * copies[2]).sum().backward()
    np.testing.assert_array_equal(qkv.grad, np.stack([c.grad for c in copies], 2))


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: rotary_tables(4, 7), "head_size: expected an even number, got 7"),
        (lambda: rotary_tables(4, 8, base=0), "base: expected a positive number, got 0"),
        (lambda: LinearScaling(0), "LinearScaling: factor: expected a positive number, got 0"),
        (lambda: Llama3Scaling(8, 4, 4, 8192), "expected low_freq_factor < high_freq_factor, got 4 and 4"),
    ],
)
def test_bad_settings(call, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call()


@pytest.mark.peers
@pytest.mark.parametrize("scaling", [None, LinearScaling(4.0), LLAMA3], ids=["default", "linear", "llama3"])
def test_same_as_transformers(scaling) -> None:
    import torch
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

    kind = {type(None): "default", LinearScaling: "linear", Llama3Scaling: "llama3"}[type(scaling)]
    words = {"rope_type": kind, "rope_theta": 500000.0, **(vars(scaling) if scaling else {})}
    config = LlamaConfig(hidden_size=128, num_attention_heads=2, max_position_embeddings=131072, rope_parameters=words)
    x = RNG.standard_normal((2, 30, 2, 64)).astype(np.float32)
    turned = torch.tensor(x).transpose(1, 2)
    cos, sin = LlamaRotaryEmbedding(config)(turned, torch.arange(1000, 1030)[None])
    expected, _ = apply_rotary_pos_emb(turned, turned, cos, sin)
    got = Rotary(64, 500000.0, scaling)(Tensor(x), 1000).data
    # Their angles are float32: at position 1000 off by up to 1000 · 2⁻²⁴.
    np.testing.assert_allclose(got, expected.transpose(1, 2).numpy(), atol=1030 * 2**-24 * 4)
