"""Kernels: functions on arrays. The table of contents of every public op; `registry` holds them by name."""

from . import device, dispatch
from .dispatch import ONE, Op, registry
from .ops.elementwise import (
    add,
    add_backward,
    div,
    div_backward,
    exp,
    exp_backward,
    gelu,
    gelu_backward,
    log,
    log_backward,
    mul,
    mul_backward,
    neg,
    neg_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    sqrt,
    sqrt_backward,
    sub,
    sub_backward,
    tanh,
    tanh_backward,
)
from .ops.indexing import (
    cat,
    cat_backward,
    expand,
    expand_backward,
    permute,
    permute_backward,
    reshape,
    reshape_backward,
    slice,
    slice_backward,
    unbind,
    unbind_backward,
)
from .ops.reduce import max, max_backward, mean, mean_backward, sum, sum_backward
from .ops.softmax import softmax, softmax_backward

dispatch.seal()

__all__ = ["ONE", "Op", "device", "registry", *registry]
