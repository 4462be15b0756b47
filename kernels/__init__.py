"""Kernels: functions on arrays. The table of contents of every public op; `registry` holds them by name."""

from .. import __version__ as _  # fails in a bare `import kernels`, which other libraries probe for
from . import device, dispatch
from .dispatch import Op, registry
from .ops.attention import attention, attention_backward
from .ops.comparison import eq, ge, gt, le, logical_and, logical_not, logical_or, lt, ne, where, where_backward
from .ops.cross_entropy import cross_entropy, cross_entropy_backward
from .ops.dropout import dropout, dropout_backward
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
from .ops.embedding import embedding, embedding_backward
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
from .ops.linear_cross_entropy import linear_cross_entropy, linear_cross_entropy_backward
from .ops.matmul import linear, linear_backward, matmul, matmul_backward
from .ops.norm import layer_norm, layer_norm_backward
from .ops.optimizer import adamw_, grad_norm, scale_, sgd_
from .ops.piecewise import (
    abs,
    abs_backward,
    ceil,
    ceil_backward,
    clip,
    clip_backward,
    floor,
    floor_backward,
    maximum,
    maximum_backward,
    minimum,
    minimum_backward,
    round,
    round_backward,
    sign,
    sign_backward,
    trunc,
    trunc_backward,
)
from .ops.power import (
    pow,
    pow_backward,
    reciprocal,
    reciprocal_backward,
    rsqrt,
    rsqrt_backward,
    square,
    square_backward,
)
from .ops.reduce import max, max_backward, mean, mean_backward, sum, sum_backward
from .ops.sampling import sample
from .ops.softmax import softmax, softmax_backward
from .signature import ONE

dispatch.seal()

__all__ = ["ONE", "Op", "device", "registry", *registry]
