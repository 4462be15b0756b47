"""Tensors, layers, models and training."""

from . import checkpoint, functional, huggingface, models, random
from .attention import CausalSelfAttention, KVCache
from .callback import Callback
from .config import TrainConfig
from .density import GaussianMixture
from .draw import draw
from .evaluate import evaluate
from .explain import explain_nan
from .generate import generate, stream_tokens
from .graph import graph
from .layers import MLP, CausalConv1d, Conv2d, Dropout, Embedding, LayerNorm, Linear, MaxPool2d, RMSNorm, SwiGLU
from .lr_find import lr_find
from .models import (
    GPT,
    PRESETS,
    Bigram,
    ConvolutionConfig,
    ConvolutionLanguageModel,
    GPTConfig,
    LanguageModel,
    MLPConfig,
    MLPLanguageModel,
    ModelConfig,
    RecurrentConfig,
    RecurrentLanguageModel,
)
from .module import Module, Parameter, Sequential
from .optim import SGD, AdamW, Lion, Muon, clip_grad_norm, decay_groups
from .profile import profile
from .quantize import QuantizedParameter, quantize
from .recompute import recompute
from .recurrent import GRU, LSTM
from .regression import least_squares
from .rotary import LinearScaling, Llama3Scaling, Rotary, rotary_tables
from .schedule import schedule
from .summary import summary
from .tape import no_grad
from .tensor import Tensor, apply
from .trainer import Trainer

__all__ = [
    "GPT",
    "GRU",
    "LSTM",
    "MLP",
    "PRESETS",
    "SGD",
    "AdamW",
    "Bigram",
    "Callback",
    "CausalConv1d",
    "CausalSelfAttention",
    "Conv2d",
    "ConvolutionConfig",
    "ConvolutionLanguageModel",
    "Dropout",
    "Embedding",
    "GPTConfig",
    "GaussianMixture",
    "KVCache",
    "LanguageModel",
    "LayerNorm",
    "Linear",
    "LinearScaling",
    "Lion",
    "Llama3Scaling",
    "MLPConfig",
    "MLPLanguageModel",
    "MaxPool2d",
    "ModelConfig",
    "Module",
    "Muon",
    "Parameter",
    "QuantizedParameter",
    "RMSNorm",
    "RecurrentConfig",
    "RecurrentLanguageModel",
    "Rotary",
    "Sequential",
    "SwiGLU",
    "Tensor",
    "TrainConfig",
    "Trainer",
    "apply",
    "checkpoint",
    "clip_grad_norm",
    "decay_groups",
    "draw",
    "evaluate",
    "explain_nan",
    "functional",
    "generate",
    "graph",
    "huggingface",
    "least_squares",
    "lr_find",
    "models",
    "no_grad",
    "profile",
    "quantize",
    "random",
    "recompute",
    "rotary_tables",
    "schedule",
    "stream_tokens",
    "summary",
]
