"""Weights and keys in fewer bits: int8 with a scale for each row, or bfloat16 as its bits. Sums stay float32."""

from functools import partial

import numpy as np

from ..dispatch import op
from ..signature import BFloats, Compact, Floats, Ints, Sums, require_ids
from .attention import Scale, attention
from .attention import check as _check_attention
from .matmul import Activation, linear

_WHY = "its operand is rounded: train in float32, then round"


def _check(name, weight, scale):
    if (weight.dtype == np.int8) != (scale is not None):
        wanted = "(O,) floats for an int8 weight" if scale is None else "None for a weight in bfloat16"
        raise ValueError(f"{name}: scale: expected {wanted}, got {None if scale is None else scale.dtype}")


@op("O I -> O I, O", no_gradient="rounding has none", outputs="out scale")
def quantize_int8(weight: Floats) -> tuple[Compact, Sums]:
    """Each row as whole numbers from -127 to 127 times a scale of its own.

    scale_o = max_i |weight_oi| / 127 in float32, out_oi = weight_oi / scale_o rounded half to even

    Args:
        weight: (O, I) float32, float64 or bfloat16, finite.

    Returns:
        (O, I) int8, (O,) float32. A row of zeros has scale 0.

    Raises:
        ValueError: NaN or infinity, or so large that float32 cannot hold the scale.

    Numerics: quotients in float64. |weight - scale out| <= scale / 2, up to float32's rounding of the scale.
    Source: Dettmers et al., LLM.int8(): 8-bit matrix multiplication for transformers at scale (2022), section 2.1.

    >>> [x.tolist() for x in quantize_int8(np.array([[127.0, -2.5, 3.5], [0.0, 0.0, 0.0]]))]
    [[[127, -2, 4], [0, 0, 0]], [1.0, 0.0]]
    """
    top = np.abs(weight).max(1, initial=0).astype(np.float64)
    with np.errstate(over="ignore"):
        scale = (top / 127).astype(np.float32)
    require_finite(scale)
    step = np.where(scale == 0, 1, scale).astype(np.float64)
    return np.clip(np.rint(weight / step[:, None]), -127, 127).astype(np.int8), scale


@op("S... -> S...", no_gradient="rounding has none")
def to_bf16(x: Floats) -> BFloats:
    """The bits of the nearest bfloat16: the upper half of a float32, rounded half to even.

    Args:
        x: float32, float64 or bfloat16, of any strides; float64 is rounded to float32 first.

    Returns:
        uint16 of x's shape. NaN stays NaN; what is beyond bfloat16's largest number becomes infinite.

    Numerics: relative error at most 2⁻⁸ for normal numbers.
    Source: Kalamkar et al., A study of BFLOAT16 for deep learning training (2019), section 3.

    >>> [hex(n) for n in to_bf16(np.array([1.0, -2.0, 1.00390625, 1.01171875]))]
    ['0x3f80', '0xc000', '0x3f80', '0x3f82']
    """
    with np.errstate(over="ignore"):
        bits = x.astype(np.float32).view(np.uint32)
    rounded = (bits + (0x7FFF + (bits >> 16 & 1))) >> 16
    return np.where(np.isnan(x), bits >> 16 | 0x40, rounded).astype(np.uint16)


@op("S... -> S...", no_gradient="its operand is rounded")
def from_bf16(x: BFloats) -> Floats:
    """The float32 that bits of bfloat16 stand for.

    Args:
        x: uint16 from `to_bf16`, of any strides.

    Returns:
        float32 of x's shape.

    Numerics: exact.
    Source: as `to_bf16`.

    >>> from_bf16(np.array([0x3F80, 0xC000], np.uint16)).tolist()
    [1.0, -2.0]
    """
    return widened(x, None, np.dtype(np.float32))


@op(
    "S... I, O I, O, O -> S... O",
    no_gradient=_WHY,
    check=lambda x, weight, scale, *_: _check("linear_quantized", weight, scale),
)
def linear_quantized(
    x: Floats,
    weight: Compact,
    scale: Sums | None = None,
    bias: Floats | None = None,
    activation: Activation = "none",
) -> Floats:
    """`linear` on a weight in int8 or bfloat16.

    out = f(x (scale weight)ᵀ + bias)

    Args:
        x: (..., I) float32, float64 or bfloat16.
        weight: (O, I) int8 from `quantize_int8`, or uint16 from `to_bf16`.
        scale: (O,) of an int8 weight; None of one in bfloat16.
        bias: (O,) or None.
        activation: f, as in `linear`.

    Returns:
        (..., O) of x's dtype.

    Raises:
        ValueError: an int8 weight without scale, or bfloat16 with one.

    Numerics: sums in x's dtype. Up to 16 rows read the weight as it is; for more it is widened, whole, first.
    Source: as `quantize_int8`, with weights alone in 8 bits.

    >>> linear_quantized(np.ones((1, 2)), np.array([[3, 4]], np.int8), np.array([0.5])).tolist()
    [[3.5]]
    """
    return linear.reference(x, widened(weight, scale, x.dtype), bias, activation)[0]


@op(
    "S..., V C, V -> S... C",
    no_gradient=_WHY,
    check=lambda ids, weight, scale: _check("embedding_quantized", weight, scale),
)
def embedding_quantized(ids: Ints, weight: Compact, scale: Sums | None = None) -> Floats:
    """`embedding` of a table in int8 or bfloat16: the rows that ids name, widened.

    out_i = scale[ids_i] weight[ids_i]

    Args:
        ids: (...) integers in [0, V).
        weight, scale: (V, C) and (V,) or None, as in `linear_quantized`.

    Returns:
        (..., C) of scale's dtype, of bfloat16 in float32.

    Raises:
        ValueError: an id outside [0, V), an int8 weight without scale, or bfloat16 with one.

    Source: as `embedding`.

    >>> embedding_quantized(np.array([1]), np.array([[1], [2]], np.int8), np.array([1.0, 0.5])).tolist()
    [[1.0]]
    """
    require_ids("embedding_quantized: ids", ids, len(weight))
    dtype = np.dtype(np.float32) if scale is None else scale.dtype
    return widened(weight[ids], None if scale is None else scale[ids], dtype)


@op(
    "B T H D, B S G D, B S G D -> B T H D",
    no_gradient=_WHY,
    check=partial(_check_attention, name="attention_bf16"),
)
def attention_bf16(q: Floats, k: BFloats, v: BFloats, causal: bool = True, scale: Scale | None = None) -> Floats:
    """`attention` to keys and values in bfloat16.

    out_t = Σ_s P_ts v_s, P = softmax(scale q kᵀ)

    Args:
        q: (B, T, H, D) float32, float64 or bfloat16, of any strides.
        k, v: (B, S, G, D) from `to_bf16`, of any strides; else as in `attention`.
        causal, scale: as in `attention`.

    Returns:
        (B, T, H, D) of q's dtype.

    Raises:
        ValueError: as `attention`.

    Numerics: as `attention`.
    Source: as `attention`.

    >>> attention_bf16(np.ones((1, 1, 1, 1)), *np.full((2, 1, 3, 1, 1), 0x3F80, np.uint16)).tolist()
    [[[[1.0]]]]
    """
    return attention.reference(q, widened(k, None, q.dtype), widened(v, None, q.dtype), causal, scale)[0]


def widened(x: np.ndarray, scale: np.ndarray | None, dtype: np.dtype) -> np.ndarray:
    """Compact numbers as floats; scale has one for each row."""
    if scale is None:
        return (x.astype(np.uint32) << 16).view(np.float32).astype(dtype)
    return x.astype(dtype) * scale.astype(dtype)[..., None]


def require_finite(scale: np.ndarray) -> None:
    """Raise ValueError where a row has no scale."""
    if not np.isfinite(scale).all():
        row = int(np.flatnonzero(~np.isfinite(scale))[0])
        raise ValueError(f"quantize_int8: weight: expected finite numbers, got NaN, infinity or larger in row {row}")
