"""config.json of Hugging Face's models, from and to `GPTConfig`."""

from typing import Any

from ..models import GPT, GPTConfig

__all__ = ["read_config", "write_config"]

_ARCHITECTURES = {
    "gpt2": "GPT2LMHeadModel",
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}
_ACTIVATIONS = {"gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu": "gelu", "relu": "relu"}
_LLAMA_STYLE = {"activation": "swiglu", "norm": "rms", "positions": "rotary"}


def read_config(document: dict[str, Any]) -> GPTConfig:
    """What config.json says of a model. Raises ValueError for all that GPT cannot honour."""
    kind = _one_of(_ARCHITECTURES, document, "model_type")
    _require(document, "quantization_config", None)
    values = _read_gpt2(document) if kind == "gpt2" else _read_llama(document, kind)
    return GPTConfig.from_dict(values)


def _read_gpt2(document: dict[str, Any]) -> dict[str, Any]:
    _require(document, "scale_attn_weights", True)
    _require(document, "scale_attn_by_inverse_layer_idx", False)
    _require(document, "add_cross_attention", False)
    word = _one_of(_ACTIVATIONS, {"activation_function": "gelu_new"} | document, "activation_function")
    names = {"vocab_size": "vocab_size", "context": "n_positions", "layers": "n_layer", "heads": "n_head"}
    return _take(document, names | {"width": "n_embd"}) | {
        "hidden": document.get("n_inner"),
        "activation": _ACTIVATIONS[word],
        "norm_eps": document.get("layer_norm_epsilon", 1e-5),
        "tied": document.get("tie_word_embeddings", True),
    }


def _read_llama(document: dict[str, Any], kind: str) -> dict[str, Any]:
    _require(document, "hidden_act", "silu")
    _require(document, "rope_interleaved", False)
    names = {"vocab_size": "vocab_size", "context": "max_position_embeddings", "layers": "num_hidden_layers"}
    names |= {"heads": "num_attention_heads", "width": "hidden_size", "hidden": "intermediate_size"}
    sizes = _take(document, names)
    _refuse_windows(document)
    bias = document.get("attention_bias", False) if kind == "llama" else False
    _require(document, "mlp_bias", bias)
    if kind != "llama":
        _require(document, "attention_bias", bias)
    return (
        _LLAMA_STYLE
        | sizes
        | _read_rope(document)
        | {
            "kv_heads": document.get("num_key_value_heads"),
            "head_size": document.get("head_dim", 128 if kind == "qwen3" else None),
            "norm_eps": document.get("rms_norm_eps", 1e-6),
            "bias": bias,
            "qkv_bias": True if kind == "qwen2" else None,
            "qk_norm": kind == "qwen3",
            "tied": document.get("tie_word_embeddings", False),
        }
    )


def _read_rope(document: dict[str, Any]) -> dict[str, Any]:
    """Of transformers 5 (rope_parameters) or of those before (rope_scaling and rope_theta)."""
    rope = document.get("rope_parameters") or document.get("rope_scaling") or {}
    if not isinstance(rope, dict):
        raise ValueError(f"rope_scaling: expected null or an object, got {rope!r}")
    rope = {name: value for name, value in rope.items() if value is not None}
    base = rope.pop("rope_theta", document.get("rope_theta", 10000.0))
    for place in (document, rope):
        _require(place, "partial_rotary_factor", 1)
    rope.pop("partial_rotary_factor", None)
    old = rope.pop("type", "default")
    kind = rope.pop("rope_type", old)
    plain = kind == "default" and not rope
    return {"rope_base": base, "rope_scaling": None if plain else {"rope_type": kind, **rope}}


def _refuse_windows(document: dict[str, Any]) -> None:
    kinds = document.get("layer_types")
    used = document.get("use_sliding_window", False) and document.get("sliding_window") is not None
    if kinds is not None:
        used = not isinstance(kinds, list) or any(kind != "full_attention" for kind in kinds)
    if used:
        raise ValueError("sliding windows are not supported: every layer must attend to the whole context")


def _take(document: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    if missing := [name for name in names.values() if name not in document]:
        raise ValueError(f"missing {', '.join(missing)}")
    return {ours: document[theirs] for ours, theirs in names.items()}


def _one_of(words: dict[str, str], document: dict[str, Any], name: str) -> str:
    word = document.get(name)
    if not isinstance(word, str) or word not in words:
        raise ValueError(f"{name}: expected one of {', '.join(words)}, got {word!r}")
    return word


def _require(document: dict[str, Any], name: str, value: Any) -> None:
    if document.get(name, value) != value:
        raise ValueError(f"{name}: only {value!r} is supported here, got {document[name]!r}")


def write_config(model: GPT) -> dict[str, Any]:
    """config.json of a model. Raises ValueError where no model type has its style."""
    c, attn = model.config, model.h[0].attn
    kind = _kind(model)
    document = {
        "architectures": [_ARCHITECTURES[kind]],
        "model_type": kind,
        "torch_dtype": str(model.wte.weight.dtype),
        "vocab_size": c.vocab_size,
        "tie_word_embeddings": c.tied,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    if kind == "gpt2":
        words = {ours: theirs for theirs, ours in reversed(_ACTIVATIONS.items())}
        return document | {
            "n_positions": c.context,
            "n_layer": c.layers,
            "n_head": c.heads,
            "n_embd": c.width,
            "n_inner": c.hidden,
            "activation_function": words[c.activation],
            "layer_norm_epsilon": c.norm_eps,
            "embd_pdrop": c.dropout,
            "resid_pdrop": c.dropout,
            "attn_pdrop": 0.0,
        }
    return document | {
        "max_position_embeddings": c.context,
        "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads,
        "num_key_value_heads": attn.kv_heads,
        "head_dim": attn.head_size,
        "hidden_size": c.width,
        "intermediate_size": c.mlp_size,
        "hidden_act": "silu",
        "rms_norm_eps": c.norm_eps,
        "rope_theta": c.rope_base,
        "rope_scaling": c.rope_scaling,
        **({"attention_bias": c.bias, "mlp_bias": c.bias} if kind == "llama" else {}),
    }


def _kind(model: GPT) -> str:
    """The model type that has this model's style."""
    c, attn = model.config, model.h[0].attn
    square = attn.heads * attn.head_size == c.width
    qkv_bias = attn.qkv.bias is not None
    if (c.norm, c.positions) == ("layer", "learned") and c.activation != "swiglu":
        if square and attn.kv_heads == attn.heads and not c.qk_norm:
            return "gpt2"
    elif all(getattr(c, name) == value for name, value in _LLAMA_STYLE.items()):
        if c.qk_norm and not c.bias and not qkv_bias:
            return "qwen3"
        if not c.qk_norm and qkv_bias == c.bias and c.width % c.heads == 0:
            return "llama"
        if not c.qk_norm and qkv_bias and not c.bias:
            return "qwen2"
    raise ValueError(f"export: none of {', '.join(_ARCHITECTURES)} has this style: {c}")
