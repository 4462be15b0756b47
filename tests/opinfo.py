"""Which of PyTorch's functions is which op, for test_opinfo_peers.py to compare the two on PyTorch's samples."""

from collections.abc import Callable
from typing import Any

import numpy as np

from octavo.nn import Tensor
from octavo.nn import functional as F

Row = tuple[str, Callable[..., Any] | None]


class Differs(Exception):
    """A sample that means something else here, and what."""


def options(**kwargs: Any) -> dict[str, Any]:
    """No axes, an error here, are all of them in PyTorch."""
    return {k: None if (k, v) == ("dim", ()) else v for k, v in kwargs.items()}


def reduced(name: str) -> Callable[..., Any]:
    return lambda x, *args, **kwargs: getattr(F, name)(x, *args, **options(**kwargs))


def spread(name: str) -> Callable[..., Any]:
    def call(x: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False, correction: Any = None) -> Any:
        return getattr(F, name)(x, dim, int(unbiased) if correction is None else correction, keepdim)

    return call


def truths(name: str) -> Callable[..., Any]:
    """A function of booleans, for which PyTorch also takes numbers."""
    return lambda *xs, **kwargs: getattr(F, name)(*(Tensor(x.data != 0) for x in xs), **options(**kwargs))


def with_constants(name: str) -> Callable[..., Any]:
    return lambda x, *args, **kwargs: getattr(F, name)(
        x, *map(constant, args), **{k: constant(v) for k, v in kwargs.items()}
    )


def constant(x: Any) -> Any:
    """Without gradient, for we give none of targets."""
    return x.detach() if isinstance(x, Tensor) else x


def cross_entropy(x: Any, targets: Any, weight: Any = None, reduction: str = "mean", **kwargs: Any) -> Any:
    """Of PyTorch's logits (V), (N, V) or (N, V, ...) as rows."""
    at = min(1, x.ndim - 1)
    order = [a for a in range(x.ndim) if a != at] + [at]
    rows, targets = x.permute(order), constant(targets)
    places = rows.shape[:-1]
    rows = rows.reshape(-1, rows.shape[-1])
    targets = targets.reshape(-1) if targets.dtype.kind in "iu" else targets.permute(order).reshape(rows.shape)
    found = F.cross_entropy(rows, targets, constant(weight), reduction=reduction, **kwargs)
    return found.reshape(places) if reduction == "none" else found


def linear_cross_entropy(x: Any, weight: Any, targets: Any, /, reduction: str = "mean", **kwargs: Any) -> Any:
    if weight.ndim != 2:
        raise Differs("one axis of classes")
    if "weight" in kwargs:
        kwargs["class_weight"] = constant(kwargs.pop("weight"))
    targets = constant(targets)
    ids = targets.dtype.kind in "iu"
    rows, targets = x.reshape(-1, x.shape[-1]), targets.reshape(*[-1] if ids else [-1, targets.shape[-1]])
    found = F.linear_cross_entropy(rows, weight, targets, reduction=reduction, **kwargs)
    return found.reshape(x.shape[:-1]) if reduction == "none" else found


def gaussian_nll_loss(x: Any, target: Any, var: Any, **kwargs: Any) -> Any:
    return F.gaussian_nll_loss(x, target.expand(x.shape), var, **kwargs)


def normalised(name: str, eps: float | None = None) -> Callable[..., Any]:
    """Over several axes, as over one of their product."""

    def call(x: Any, shape: Any, *arrays: Any, **kwargs: Any) -> Any:
        rows = x.reshape(*x.shape[: -len(shape)], int(np.prod(shape)))
        channels = (None if a is None else a.reshape(-1) for a in arrays)
        kwargs.setdefault("eps", np.finfo(x.dtype).eps if eps is None else eps)
        return getattr(F, name)(rows, *channels, **kwargs).reshape(x.shape)

    return call


def attention(q: Any, k: Any, v: Any, is_causal: bool = False, dropout_p: float = 0.0, **kwargs: Any) -> Any:
    if dropout_p:
        raise Differs("random numbers of its own")
    if "attn_mask" in kwargs:
        raise Differs("unknown argument attn_mask")
    if is_causal:  # PyTorch's first query sees one key; ours sees all but as many as come after it
        k, v = (x[..., : q.shape[-2], :] for x in (k, v))
    q = q.expand(*k.shape[:-2], *q.shape[-2:])
    heads = (x.reshape(-1, *x.shape[-3:]).transpose(1, 2) for x in (q, k, v))
    return F.attention(*heads, causal=is_causal, **kwargs).transpose(1, 2).reshape(*q.shape[:-1], v.shape[-1])


def causal_conv1d(x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, **kwargs: Any) -> Any:
    """The places that see whole windows, of an input with its padding, are PyTorch's."""
    kwargs.pop("groups", None)  # seen from the weight
    stride = stride[0] if isinstance(stride, tuple) else stride
    if isinstance(padding, int):
        x = F.pad(x, (padding, padding))
    out = F.causal_conv1d(x.reshape(-1, *x.shape[-2:]).mT, weight, bias, **kwargs)
    out = out[:, weight.shape[-1] - 1 :: stride].mT
    return out.reshape(*x.shape[:-2], *out.shape[-2:])


def conv2d(
    x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, groups: int = 1, **kwargs: Any
) -> Any:
    """One image is a batch of one, groups are convolutions side by side."""
    stride, padding = (n[0] if isinstance(n, tuple) and len({*n}) == 1 else n for n in (stride, padding))
    if isinstance(stride, tuple):
        raise Differs("one stride for both axes")
    padding = 0 if padding == "valid" else padding
    inputs = x.reshape(-1, *x.shape[-3:]).split(x.shape[-3] // groups, 1)
    weights = weight.split(len(weight) // groups, 0)
    biases = [None] * groups if bias is None else bias.split(len(bias) // groups, 0)
    parts = [F.conv2d(*each, stride, padding, **kwargs) for each in zip(inputs, weights, biases, strict=True)]
    out = F.cat(parts, 1)
    return out.reshape(*x.shape[:-3], *out.shape[-3:])


def sliced(x: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Any:
    return x[(slice(None),) * dim + (slice(start, end, step),)]


def dropout(x: Any, p: float = 0.5, training: bool = True) -> Any:
    if training and 0 < p < 1:
        raise Differs("random numbers of its own")
    return F.dropout(x, p, training)


def plain(names: str, prefix: str = "") -> dict[str, Row]:
    return {name: (prefix + name, None) for name in names.split()}


SAME: dict[str, Row] = {
    # op: (PyTorch's names, the same with our arguments, unless they are PyTorch's)
    **plain("abs add cat ceil cos cosh cumsum eq erf exp expand expm1 flip floor gather ge gt le log log1p lt"),
    **plain("log_softmax logsumexp masked_fill matmul maximum minimum mul ne neg permute pow reciprocal reshape roll"),
    **plain("scatter scatter_add sigmoid sign sin sinh softmax sqrt square stack sub take tan tanh tril triu trunc"),
    **plain("acos acosh argmax argmin asin asinh atan atanh round rsqrt unbind"),
    **plain("elu gelu huber_loss leaky_relu linear mse_loss silu softplus", "nn.functional."),
    **{name: (name, reduced(name)) for name in ("sum", "mean", "prod")},
    **{name: (name, truths(name)) for name in ("any", "all", "logical_not", "logical_and", "logical_or")},
    "attention": ("nn.functional.scaled_dot_product_attention", attention),
    "binary_cross_entropy_with_logits": (
        "nn.functional.binary_cross_entropy_with_logits",
        with_constants("binary_cross_entropy_with_logits"),
    ),
    "causal_conv1d": ("nn.functional.conv1d", causal_conv1d),
    "conv2d": ("nn.functional.conv2d", conv2d),
    "clip": ("nn.functional.hardtanh", lambda x, min_val=-1, max_val=1, inplace=False: F.clip(x, min_val, max_val)),
    "cross_entropy": ("nn.functional.cross_entropy", cross_entropy),
    "div": ("div/no_rounding_mode", None),
    "dropout": ("nn.functional.dropout", dropout),
    "einsum": ("einsum", lambda operands, equation: F.einsum(equation, *operands)),
    "embedding": ("nn.functional.embedding", lambda weight, ids: F.embedding(ids, weight)),
    "gaussian_nll_loss": ("nn.functional.gaussian_nll_loss", gaussian_nll_loss),
    "index": ("__getitem__", lambda x, index: x[index]),
    "kl_div": ("nn.functional.kl_div", with_constants("kl_div")),
    "layer_norm": ("nn.functional.layer_norm", normalised("layer_norm", 1e-5)),
    "linear_cross_entropy": ("nn.functional.linear_cross_entropy", linear_cross_entropy),
    "max": ("amax", reduced("max")),
    "min": ("amin", reduced("min")),
    "pad": ("nn.functional.pad/constant", lambda x, pad, mode="constant", value=0.0: F.pad(x, pad, value)),
    "relu": ("nn.functional.relu", lambda x, inplace=False: F.relu(x)),
    "rms_norm": ("nn.functional.rms_norm", normalised("rms_norm")),
    "slice": ("slice", sliced),
    "split": ("split split/list_args", None),
    "std": ("std", spread("std")),
    "var": ("var", spread("var")),
    "where": ("where", lambda x, condition, y: F.where(condition, x, y)),
}

TERMS: dict[str, Callable[..., float]] = {
    # op: of what size the terms are that cancel in a gradient, from dout and the arguments of a sample
    "attention": lambda dout, q, k, v, *_: abs(dout).max() * abs(v.data).max() * max(abs(q).max(), abs(k.data).max()),
    "layer_norm": lambda dout, x, shape, weight=None, bias=None: (
        np.abs(dout * (1 if weight is None else weight.data)).max(initial=0) / np.sqrt(x.var(-1).min(initial=9) + 1e-5)
    ),
}

ELSEWHERE = {
    # op: where it is tested, besides tests/test_ops.py; PyTorch has no such function, or no samples for it
    "add_layer_norm": "tests/test_ops.py",
    "add_rms_norm": "tests/test_ops.py",
    "bias_gelu": "tests/test_ops.py",
    "swiglu": "tests/test_ops.py",
    "rotary": "tests/test_rotary.py, against transformers",
    "sample": "tests/test_ops.py, and tests/test_generate.py",
    "penalize_repetition": "tests/test_ops.py, and tests/test_generate.py",
    "gru": "tests/test_recurrent.py, against PyTorch",
    "lstm": "tests/test_recurrent.py, against PyTorch",
    "adamw_": "tests/test_optimizer.py, against PyTorch",
    "sgd_": "tests/test_optimizer.py, against PyTorch",
    "lion_": "tests/test_optimizer.py, against its paper",
    "muon_": "tests/test_optimizer.py, against its paper",
    "grad_norm": "tests/test_optimizer.py",
    "add_": "tests/test_ops.py",
    "scale_": "tests/test_ops.py",
    "attention_bf16": "tests/test_ops.py, and tests/test_quantize.py",
    "embedding_quantized": "tests/test_ops.py, and tests/test_quantize.py",
    "from_bf16": "tests/test_ops.py",
    "linear_quantized": "tests/test_ops.py, and tests/test_quantize.py",
    "quantize_int8": "tests/test_ops.py, and tests/test_quantize.py",
    "to_bf16": "tests/test_ops.py",
}

DIFFERENT: list[tuple[str, str, dict[str, int]]] = [
    # what the error or the row says, why, and how many samples of which ops
    (
        "of a shape (), got",
        "an array of no axes has no axis 0, as in NumPy",
        {
            **dict.fromkeys(["all", "any", "argmax", "argmin", "gather", "max", "mean", "min", "scatter", "sum"], 2),
            **dict.fromkeys(["cumsum", "scatter_add"], 1),
            "logsumexp": 3,
            "prod": 4,
        },
    ),
    ("of shape (S... V), got", "the same", {"log_softmax": 1, "softmax": 1}),
    (
        "unknown argument",
        "options that we have not: alpha (write x + 2 * y), dtype, dilation, attn_mask, linear_bias",
        {
            "add": 2,
            "attention": 1,
            "causal_conv1d": 4,
            "conv2d": 8,
            "cumsum": 1,
            "linear_cross_entropy": 16,
            "prod": 2,
            "sub": 2,
        },
    ),
    (
        "no gradient of a constant",
        "targets of these losses are data; all else of the sample is compared",
        {"binary_cross_entropy_with_logits": 26, "cross_entropy": 10, "kl_div": 16, "linear_cross_entropy": 24},
    ),
    ("random numbers of its own", "tests/test_philox.py", {"attention": 12, "dropout": 4}),
    ("one stride for both axes", "an index of every third row takes those of stride 1", {"conv2d": 4}),
    ("one axis of classes", "logits are (N, V)", {"linear_cross_entropy": 51}),
    ("eps: expected", "its square root would be that of a negative number", {"layer_norm": 1, "rms_norm": 1}),
    ("masked_fill: value: expected a number", "where takes tensors", {"masked_fill": 3}),
    ("einsum: equation: expected", "a letter is once in a term, and '...' in the output if in a term", {"einsum": 2}),
    ("pad: pad: expected", "a border is added; an index takes away", {"pad": 4}),
    ("cat: dim: expected an axis of a shape (0,)", "empty arrays have shapes too", {"cat": 1}),
    ("gather: index: expected no longer axes", "so have empty indices", {"gather": 1}),
]
