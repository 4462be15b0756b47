"""Sizes of models: small ones to train, and those whose weights are public."""

from typing import Any

from .config import GPTConfig

__all__ = ["PRESETS"]

_LLAMA: dict[str, Any] = {"activation": "swiglu", "norm": "rms", "positions": "rotary", "bias": False}
_QWEN2 = _LLAMA | {"vocab_size": 151936, "qkv_bias": True, "norm_eps": 1e-6, "rope_base": 1e6}
_QWEN3 = _LLAMA | {"vocab_size": 151936, "qk_norm": True, "norm_eps": 1e-6, "rope_base": 1e6, "head_size": 128}
_LLAMA3_SCALING = {
    "rope_type": "llama3",
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}

# Of the small ones vocab_size is that of bytes: dataclasses.replace gives them a tokenizer's.
PRESETS = {
    "nano": GPTConfig(vocab_size=256, context=64, layers=4, heads=4, width=128, bias=False),
    "micro": GPTConfig(vocab_size=256, context=256, layers=6, heads=6, width=384, bias=False),
    "mini": GPTConfig(vocab_size=256, context=512, layers=8, heads=8, width=512, bias=False),
    "gpt2": GPTConfig(vocab_size=50257, context=1024, layers=12, heads=12, width=768),
    "gpt2-medium": GPTConfig(vocab_size=50257, context=1024, layers=24, heads=16, width=1024),
    "gpt2-large": GPTConfig(vocab_size=50257, context=1024, layers=36, heads=20, width=1280),
    "gpt2-xl": GPTConfig(vocab_size=50257, context=1024, layers=48, heads=25, width=1600),
    "llama-nano": GPTConfig(vocab_size=256, context=64, layers=4, heads=4, kv_heads=2, width=128, **_LLAMA),
    "llama-micro": GPTConfig(vocab_size=256, context=256, layers=6, heads=6, kv_heads=2, width=384, **_LLAMA),
    "smollm2-135m": GPTConfig(
        vocab_size=49152, context=8192, layers=30, heads=9, kv_heads=3, width=576, hidden=1536, rope_base=1e5, **_LLAMA
    ),
    "llama-3.2-1b": GPTConfig(
        vocab_size=128256,
        context=131072,
        layers=16,
        heads=32,
        kv_heads=8,
        width=2048,
        hidden=8192,
        rope_base=5e5,
        rope_scaling=_LLAMA3_SCALING,
        **_LLAMA,
    ),
    "qwen2.5-0.5b": GPTConfig(context=32768, layers=24, heads=14, kv_heads=2, width=896, hidden=4864, **_QWEN2),
    "qwen3-0.6b": GPTConfig(context=40960, layers=28, heads=16, kv_heads=8, width=1024, hidden=3072, **_QWEN3),
}
