"""The ops of `kernels` as functions on tensors: `functional.layer_norm(x, weight, bias)`.

Offered are those that have a gradient or return integers or booleans. The functions are made of the registry when
they are first asked for. `dropout` differs, in that it draws its own random numbers; `einsum`, `gather`, `scatter` and
`scatter_add` in the order of their arguments, which is PyTorch's; `matmul` takes vectors, and `scatter` numbers, too;
`linear`, `embedding`, `attention` and `linear_cross_entropy` take what is quantized.
"""

from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any

from ..kernels import Op, device, registry
from . import random
from .tensor import Tensor, apply


def attention(q: Tensor, k: Any, v: Any, causal: bool = True, scale: float | None = None) -> Tensor:
    """`kernels.attention`; `kernels.attention_bf16` where keys and values are in bfloat16."""
    name = "attention" if device.is_float(k.dtype) else "attention_bf16"
    return apply(registry[name], q, k, v, causal, scale)


def dropout(x: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Zero each element with probability p and scale the others by 1 / (1 - p); x itself if not training.

    Source: Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting (2014).
    """
    if not training or p == 0:
        return x
    return apply(registry["dropout"], x, p, random.current_seed(), random.DROPOUT, random.next_offset())


def einsum(equation: str, *operands: Tensor) -> Tensor:
    """`kernels.einsum`: the sum of products over every letter that the output does not have."""
    return apply(registry["einsum"], operands, equation)


def embedding(ids: Any, weight: Any) -> Tensor:
    """`kernels.embedding`; `kernels.embedding_quantized` where the weight is a `QuantizedParameter`."""
    if device.is_float(weight.dtype):
        return apply(registry["embedding"], ids, weight)
    return apply(registry["embedding_quantized"], ids, weight, weight.scale)


def gather(x: Tensor, dim: int, index: Any) -> Tensor:
    """`kernels.gather`: at each place of `index` the element there, but for axis `dim`, on which the id tells where."""
    return apply(registry["gather"], x, index, dim)


def linear(x: Tensor, weight: Any, bias: Any = None, activation: str = "none") -> Tensor:
    """`kernels.linear`; `kernels.linear_quantized` where the weight is a `QuantizedParameter`."""
    if device.is_float(weight.dtype):
        return apply(registry["linear"], x, weight, bias, activation)
    return apply(registry["linear_quantized"], x, weight, weight.scale, bias, activation)


def linear_cross_entropy(x: Tensor, weight: Any, *args: Any, **options: Any) -> Any:
    """`kernels.linear_cross_entropy`; the weight of a `QuantizedParameter` is widened first, whole."""
    if not device.is_float(weight.dtype):
        weight = weight.widened()
    return apply(registry["linear_cross_entropy"], x, weight, *args, **options)


def matmul(a: Any, b: Any) -> Tensor:
    """`kernels.matmul`; a vector is a row on the left and a column on the right, and the result lacks that axis."""
    return _tensor(a).matmul(b)


def scatter(x: Any, dim: int, index: Any, src: Any) -> Tensor:
    """`kernels.scatter`: x with elements of `src`, or one number, written where `gather` would take them."""
    return _tensor(x).scatter(dim, index, src)


def scatter_add(x: Tensor, dim: int, index: Any, src: Any) -> Tensor:
    """`kernels.scatter_add`: x with elements of `src` added where `gather` would take them."""
    return apply(registry["scatter_add"], x, index, src, dim)


def __getattr__(name: str) -> Callable[..., Any]:
    op = registry.get(name)
    if op is None or not _is_offered(op):
        raise AttributeError(f"module {__name__!r} has no function {name!r}: no differentiable op is called so")
    function = update_wrapper(partial(apply, op), op)
    globals()[name] = function
    return function


def __dir__() -> list[str]:
    return sorted(name for name, op in registry.items() if _is_offered(op))


def _tensor(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else Tensor(x)


def _is_offered(op: Op) -> bool:
    return op.backward_name is not None or op.discrete
