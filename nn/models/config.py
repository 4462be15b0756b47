"""What models are told, checked; of a GPT sizes and style, from GPT-2 to Llama and Qwen."""

import json
import math
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, TypeVar

from ..rotary import LinearScaling, Llama3Scaling

__all__ = ["GPTConfig", "ModelConfig"]

Config = TypeVar("Config", bound="ModelConfig")
_SCALINGS: dict[str, Any] = {"linear": LinearScaling, "llama3": Llama3Scaling}


def _is_size(value: Any) -> bool:
    return type(value) is int and value >= 1


def _is_positive(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < math.inf


def _one_of(*words: str) -> tuple[str, Callable[[Any], bool]]:
    return f"one of {', '.join(words)}", lambda value: isinstance(value, str) and value in words


def _or_none(rule: tuple[str, Callable[[Any], bool]]) -> tuple[str, Callable[[Any], bool]]:
    return f"{rule[0]} or null", lambda value: value is None or rule[1](value)


_SIZE = ("a positive integer", _is_size)
_NUMBER = ("a finite number above 0", _is_positive)
_FLAG = ("true or false", lambda value: type(value) is bool)

_RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("vocab_size", "context", "layers", "heads", "width", "taps"), _SIZE),
    **dict.fromkeys(("kv_heads", "head_size", "hidden"), _or_none(_SIZE)),
    **dict.fromkeys(("norm_eps", "rope_base"), _NUMBER),
    **dict.fromkeys(("bias", "qk_norm", "tied"), _FLAG),
    "qkv_bias": _or_none(_FLAG),
    "dropout": ("0 <= dropout < 1", lambda value: type(value) in (int, float) and 0 <= value < 1),
    "rope_scaling": ("an object or null", lambda value: True),
    "norm": _one_of("layer", "rms"),
    "positions": _one_of("learned", "rotary"),
    "cell": _one_of("gru", "lstm"),
    "activation": _one_of("gelu_tanh", "gelu", "relu", "swiglu"),
}


@dataclass(frozen=True)
class ModelConfig:
    """What every language model is told.

    Args:
        vocab_size: number of token ids.
        context: the most tokens that the model is given at once.

    Raises:
        ValueError: a value out of its range, or sizes that do not go together.
    """

    vocab_size: int
    context: int

    def __post_init__(self) -> None:
        for field in fields(self):
            expected, fits = _RULES[field.name]
            if not fits(value := getattr(self, field.name)):
                raise ValueError(f"{type(self).__name__}: {field.name}: expected {expected}, got {value!r}")

    @property
    def weights(self) -> int:
        """How many numbers training changes, without biases and norms; of a bigram where a model says nothing else."""
        return self.vocab_size**2

    @property
    def kept(self) -> int:
        """How many numbers of each token the backward pass needs at the least, likewise."""
        return self.vocab_size

    def sizes(self) -> str:
        """Whatever is a number of things, but for the vocabulary: "context 64, layers 4, heads 4, width 128"."""
        values = {field.name: getattr(self, field.name) for field in fields(self)[1:]}
        return ", ".join(f"{name} {value:,}" for name, value in values.items() if type(value) is int)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2)

    @classmethod
    def from_dict(cls: type[Config], values: Any) -> Config:
        """A config from a dict, as JSON gives it. Raises ValueError for unknown, missing and impossible values."""
        if not isinstance(values, dict):
            raise ValueError(f"{cls.__name__}: expected an object of names and values, got {values!r}")
        known = {field.name for field in fields(cls)}
        if unknown := [str(name) for name in values if name not in known]:
            raise ValueError(
                f"{cls.__name__}: unknown {', '.join(unknown)}; it has {', '.join(f.name for f in fields(cls))}"
            )
        if missing := [f.name for f in fields(cls) if f.default is MISSING and f.name not in values]:
            raise ValueError(f"{cls.__name__}: missing {', '.join(missing)}")
        return cls(**values)

    @classmethod
    def from_json(cls: type[Config], text: str) -> Config:
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"{cls.__name__}: not JSON: {error}") from None
        return cls.from_dict(values)


@dataclass(frozen=True)
class GPTConfig(ModelConfig):
    """The sizes and the style of a GPT; what is left out is GPT-2's.

    Args:
        vocab_size: number of token ids.
        context: the most tokens that the model sees at once.
        layers, heads, width: blocks, attention heads in each, and channels of the stream between blocks.
        kv_heads: heads of keys and values, each shared by heads / kv_heads heads of queries; None: as many as heads.
        head_size: channels of a head; None: width / heads.
        hidden: channels between the linear layers of an MLP; None: 4 · width, or with a gate 8/3 of the width, rounded
            up to a multiple of 8, which makes as many weights.
        activation: between them: "gelu_tanh", "gelu" (exact), "relu", or "swiglu", which has a gate beside.
        norm: "layer" or "rms", with `norm_eps` added to the variance or the mean square.
        positions: "learned", added to the embeddings, or "rotary", by which queries and keys are turned.
        rope_base: of the rotary frequencies.
        rope_scaling: what lengthens the context of rotary positions: None, {"rope_type": "linear", "factor": ...}, or
            {"rope_type": "llama3"} with the fields of `rotary.Llama3Scaling`.
        bias: whether linear layers and layer norms have one.
        qkv_bias: the same for queries, keys and values; None: as `bias`.
        qk_norm: whether queries and keys go through an RMS norm, head by head.
        tied: whether the token embedding also makes the logits.
        dropout: probability, on the embeddings and on the output of every branch.

    Raises:
        ValueError: a value out of its range, or sizes that do not go together.
    """

    layers: int
    heads: int
    width: int
    dropout: float = 0.0
    bias: bool = True
    tied: bool = True
    kv_heads: int | None = None
    head_size: int | None = None
    hidden: int | None = None
    activation: str = "gelu_tanh"
    norm: str = "layer"
    norm_eps: float = 1e-5
    positions: str = "learned"
    rope_base: float = 10000.0
    rope_scaling: dict[str, Any] | None = None
    qkv_bias: bool | None = None
    qk_norm: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.head_size is None and self.width % self.heads:
            raise ValueError(f"GPTConfig: width: expected a multiple of heads = {self.heads}, got {self.width}")
        if self.kv_heads is not None and self.heads % self.kv_heads:
            raise ValueError(f"GPTConfig: kv_heads: expected a divisor of heads = {self.heads}, got {self.kv_heads}")
        size = self.head_size or self.width // self.heads
        if self.positions == "rotary" and size % 2:
            raise ValueError(f"GPTConfig: rotary positions need an even head size, got {size}")
        if self.scaling() is not None and self.positions != "rotary":
            raise ValueError(f"GPTConfig: rope_scaling: needs rotary positions, got {self.positions} ones")

    @property
    def weights(self) -> int:
        return self.width * (self.vocab_size + self.context + 12 * self.width * self.layers)

    @property
    def kept(self) -> int:
        return self.width * self.layers

    @property
    def mlp_size(self) -> int:
        """`hidden`, or what it is where it was left out."""
        if self.hidden is not None:
            return self.hidden
        return -(-self.width // 3) * 8 if self.activation == "swiglu" else 4 * self.width

    def scaling(self) -> Any:
        """`rope_scaling` as a function of the frequencies, for `rotary.Rotary`."""
        if self.rope_scaling is None:
            return None
        kinds = {name: {field.name for field in fields(kind)} for name, kind in _SCALINGS.items()}
        values = dict(self.rope_scaling) if isinstance(self.rope_scaling, dict) else {}
        kind = values.pop("rope_type", None)
        if not isinstance(kind, str) or kind not in kinds or values.keys() != kinds[kind]:
            expected = " or ".join(f"{name!r} with {', '.join(sorted(names))}" for name, names in kinds.items())
            raise ValueError(
                f"GPTConfig: rope_scaling: expected null or rope_type {expected}, got {self.rope_scaling!r}"
            )
        try:
            return _SCALINGS[kind](**values)
        except ValueError as error:
            raise ValueError(f"GPTConfig: rope_scaling: {error}") from None
