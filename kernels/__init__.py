"""Kernels: functions on arrays. The table of contents of every public op; `registry` holds them by name."""

from . import device, dispatch
from .dispatch import ONE, Op, registry
from .ops.cross_entropy import cross_entropy, cross_entropy_backward
from .ops.dropout import dropout, dropout_backward
from .ops.embedding import embedding, embedding_backward
from .ops.norm import layer_norm, layer_norm_backward
from .ops.optimizer import adamw_, grad_norm, scale_, sgd_
from .ops.softmax import softmax, softmax_backward

dispatch.seal()

__all__ = ["ONE", "Op", "device", "registry", *registry]
