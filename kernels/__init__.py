"""Kernels: functions on arrays. The table of contents of every public op; `registry` holds them by name."""

from .. import __version__ as _  # fails in a bare `import kernels`, which other libraries probe for
from . import device, dispatch
from .dispatch import Op, registry
from .ops.activation import (
    bias_gelu,
    bias_gelu_backward,
    elu,
    elu_backward,
    gelu,
    gelu_backward,
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu_backward,
    silu,
    silu_backward,
    softplus,
    softplus_backward,
    swiglu,
    swiglu_backward,
)
from .ops.attention import attention, attention_backward
from .ops.comparison import eq, ge, gt, le, logical_and, logical_not, logical_or, lt, ne, where, where_backward
from .ops.convolution import causal_conv1d, causal_conv1d_backward, conv2d, conv2d_backward
from .ops.cross_entropy import cross_entropy, cross_entropy_backward
from .ops.dropout import dropout, dropout_backward
from .ops.einsum import einsum, einsum_backward
from .ops.elementwise import (
    add,
    add_backward,
    div,
    div_backward,
    exp,
    exp_backward,
    log,
    log_backward,
    mul,
    mul_backward,
    neg,
    neg_backward,
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
from .ops.extremum import argmax, argmin, max, max_backward, min, min_backward
from .ops.gather import (
    gather,
    gather_backward,
    index,
    index_backward,
    scatter,
    scatter_add,
    scatter_add_backward,
    scatter_backward,
    take,
    take_backward,
)
from .ops.indexing import (
    cat,
    cat_backward,
    masked_fill,
    masked_fill_backward,
    pad,
    pad_backward,
    roll,
    roll_backward,
    stack,
    stack_backward,
    tril,
    tril_backward,
    triu,
    triu_backward,
)
from .ops.linear_cross_entropy import linear_cross_entropy, linear_cross_entropy_backward
from .ops.loss import (
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_backward,
    gaussian_nll_loss,
    gaussian_nll_loss_backward,
    huber_loss,
    huber_loss_backward,
    kl_div,
    kl_div_backward,
    mse_loss,
    mse_loss_backward,
)
from .ops.matmul import linear, linear_backward, matmul, matmul_backward
from .ops.muon import muon_
from .ops.norm import (
    add_layer_norm,
    add_layer_norm_backward,
    add_rms_norm,
    add_rms_norm_backward,
    layer_norm,
    layer_norm_backward,
    rms_norm,
    rms_norm_backward,
)
from .ops.optimizer import adamw_, add_, grad_norm, lion_, scale_, sgd_
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
from .ops.quantized import attention_bf16, embedding_quantized, from_bf16, linear_quantized, quantize_int8, to_bf16
from .ops.recurrent import gru, gru_backward, lstm, lstm_backward
from .ops.reduce import all, any, mean, mean_backward, prod, prod_backward, sum, sum_backward
from .ops.rotary import rotary, rotary_backward
from .ops.sampling import penalize_repetition, sample
from .ops.scan import cumsum, cumsum_backward
from .ops.softmax import log_softmax, log_softmax_backward, softmax, softmax_backward
from .ops.special import erf, erf_backward, expm1, expm1_backward, log1p, log1p_backward
from .ops.statistics import logsumexp, logsumexp_backward, std, std_backward, var, var_backward
from .ops.trigonometry import (
    acos,
    acos_backward,
    acosh,
    acosh_backward,
    asin,
    asin_backward,
    asinh,
    asinh_backward,
    atan,
    atan_backward,
    atanh,
    atanh_backward,
    cos,
    cos_backward,
    cosh,
    cosh_backward,
    sin,
    sin_backward,
    sinh,
    sinh_backward,
    tan,
    tan_backward,
)
from .ops.view import (
    expand,
    expand_backward,
    flip,
    flip_backward,
    permute,
    permute_backward,
    reshape,
    reshape_backward,
    slice,
    slice_backward,
    split,
    split_backward,
    unbind,
    unbind_backward,
)
from .signature import ONE

dispatch.seal()

__all__ = ["ONE", "Op", "device", "registry", *registry]
