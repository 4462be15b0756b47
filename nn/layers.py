"""Layers: the modules that models are built from. S... stands for any leading axes."""

import numpy as np

from ..kernels import device
from . import functional as F
from . import random
from .module import Module, Parameter
from .tensor import Tensor

__all__ = [
    "MLP",
    "CausalConv1d",
    "Conv2d",
    "Dropout",
    "Embedding",
    "LayerNorm",
    "Linear",
    "MaxPool2d",
    "RMSNorm",
    "SwiGLU",
]


class Linear(Module):
    """activation(x Wᵀ + b), (S..., inputs) -> (S..., outputs).

    Args:
        inputs, outputs: sizes of the last axis.
        activation: "none", "relu", "gelu" or "gelu_tanh" (GPT-2's), computed along with the product.
        std: standard deviation of the initial weights; 1 / √inputs if left out, which keeps the variance.
    """

    def __init__(
        self, inputs: int, outputs: int, bias: bool = True, activation: str = "none", std: float | None = None
    ):
        self.weight = Parameter(random.normal((outputs, inputs), inputs**-0.5 if std is None else std))
        self.bias = _zeros(outputs) if bias else None
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias, self.activation)

    def describe(self) -> str:
        outputs, inputs = self.weight.shape
        activation = "" if self.activation == "none" else f", {self.activation}"
        return f"{inputs}, {outputs}{', bias=False' if self.bias is None else ''}{activation}{_form(self.weight)}"


class Embedding(Module):
    """Rows of a table: ids (S...) -> (S..., width)."""

    def __init__(self, count: int, width: int, std: float = 0.02):
        self.weight = Parameter(random.normal((count, width), std))

    def forward(self, ids: np.ndarray) -> Tensor:
        return F.embedding(ids, self.weight)

    def describe(self) -> str:
        return ", ".join(map(str, self.weight.shape)) + _form(self.weight)


class LayerNorm(Module):
    """Zero mean and unit variance over the last axis, then weight and bias: (S..., width) -> (S..., width)."""

    def __init__(self, width: int, bias: bool = True, eps: float = 1e-5):
        self.weight = _ones(width)
        self.bias = _zeros(width) if bias else None
        self.eps = eps

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """With a residual the norm of their sum, and the sum."""
        if residual is None:
            return F.layer_norm(x, self.weight, self.bias, self.eps)
        return F.add_layer_norm(x, residual, self.weight, self.bias, self.eps)

    def describe(self) -> str:
        return f"{self.weight.size}{', bias=False' if self.bias is None else ''}"


class RMSNorm(Module):
    """A root mean square of 1 over the last axis, then weight: (S..., width) -> (S..., width)."""

    def __init__(self, width: int, eps: float = 1e-6):
        self.weight = _ones(width)
        self.eps = eps

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """With a residual the norm of their sum, and the sum."""
        if residual is None:
            return F.rms_norm(x, self.weight, self.eps)
        return F.add_rms_norm(x, residual, self.weight, self.eps)

    def describe(self) -> str:
        return f"{self.weight.size}"


class CausalConv1d(Module):
    """Each output sees the last `taps` positions of its group's inputs: (B, T, inputs) -> (B, T, outputs).

    Args:
        inputs, outputs: sizes of the last axis.
        taps: positions, the present one included.
        groups: into how many both are divided; `inputs` of them keep the channels apart.
        dilation: from one of these positions to the next: the present one, the one `dilation` before it, and so on.
    """

    def __init__(self, inputs: int, outputs: int, taps: int, groups: int = 1, bias: bool = True, dilation: int = 1):
        if min(inputs, outputs, taps, groups, dilation) < 1 or inputs % groups or outputs % groups:
            raise ValueError(
                f"CausalConv1d: expected groups that divide inputs and outputs, and at least 1 of all, got "
                f"inputs={inputs}, outputs={outputs}, taps={taps}, groups={groups}, dilation={dilation}"
            )
        fan_in = inputs // groups * taps
        self.weight = Parameter(random.normal((outputs, inputs // groups, taps), fan_in**-0.5))
        self.bias = _zeros(outputs) if bias else None
        self.groups, self.dilation = groups, dilation

    def forward(self, x: Tensor) -> Tensor:
        if self.dilation == 1:
            return F.causal_conv1d(x, self.weight, self.bias)
        # Positions that lie so far apart are a sequence of their own.
        batch, time, inputs = x.shape
        steps = -(-time // self.dilation)
        x = F.pad(x, (0, 0, 0, steps * self.dilation - time))
        apart = x.reshape(batch, steps, self.dilation, inputs).permute(0, 2, 1, 3).reshape(-1, steps, inputs)
        out = F.causal_conv1d(apart, self.weight, self.bias).reshape(batch, self.dilation, steps, -1)
        return out.permute(0, 2, 1, 3).reshape(batch, steps * self.dilation, -1)[:, :time]

    def describe(self) -> str:
        outputs, each, taps = self.weight.shape
        bias = ", bias=False" if self.bias is None else ""
        dilation = "" if self.dilation == 1 else f", dilation={self.dilation}"
        return f"{each * self.groups}, {outputs}, taps={taps}, groups={self.groups}{dilation}{bias}"


class Conv2d(Module):
    """Each output sees a window of the images: (B, inputs, H, W) -> (B, outputs, P, Q), as `functional.conv2d` says.

    Args:
        inputs, outputs: channels.
        size: of the window, in both directions.
        stride: from one window to the next.
        padding: zeros on every side of an image; size // 2 keeps H and W where size is odd and stride 1.
    """

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, padding: int = 0, bias: bool = True):
        if min(inputs, outputs, size, stride) < 1 or padding < 0:
            raise ValueError(
                f"Conv2d: expected inputs, outputs, size and stride of at least 1, and padding of at least 0, got "
                f"inputs={inputs}, outputs={outputs}, size={size}, stride={stride}, padding={padding}"
            )
        self.weight = Parameter(random.normal((outputs, inputs, size, size), (inputs * size * size) ** -0.5))
        self.bias = _zeros(outputs) if bias else None
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding)

    def describe(self) -> str:
        outputs, inputs, size, _ = self.weight.shape
        options = {"stride": (self.stride, 1), "padding": (self.padding, 0), "bias": (self.bias is not None, True)}
        said = "".join(f", {name}={value}" for name, (value, usual) in options.items() if value != usual)
        return f"{inputs}, {outputs}, size={size}{said}"


class MaxPool2d(Module):
    """The largest of each square of `size` by `size`, which share its gradient where several are: (..., H, W) ->
    (..., H / size, W / size)."""

    def __init__(self, size: int):
        if size < 1:
            raise ValueError(f"MaxPool2d: expected a size of at least 1, got {size}")
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim < 2 or x.shape[-2] % self.size or x.shape[-1] % self.size:
            raise ValueError(
                f"MaxPool2d: x: expected (..., H, W), H and W multiples of size={self.size}, got {x.shape}; "
                "functional.pad, or an index, makes them so"
            )
        *lead, height, width = x.shape
        squares = x.reshape(*lead, height // self.size, self.size, width // self.size, self.size)
        return squares.max((-3, -1))

    def describe(self) -> str:
        return f"{self.size}"


class Dropout(Module):
    """`functional.dropout` while training."""

    def __init__(self, p: float):
        if not 0 <= p < 1:
            raise ValueError(f"Dropout: expected 0 <= p < 1, got {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.p, self.training)

    def describe(self) -> str:
        return f"{self.p:g}"


class MLP(Module):
    """Two linear layers with an activation between: (S..., width) -> (S..., width).

    Args:
        hidden: size of the axis between them.
        activation: as in `Linear`.
        std, out_std: of the initial weights of the first and the second layer.
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        bias: bool = True,
        dropout: float = 0.0,
        std: float | None = None,
        out_std: float | None = None,
        activation: str = "gelu_tanh",
    ):
        self.fc = Linear(width, hidden, bias, activation, std)
        self.proj = Linear(hidden, width, bias, std=out_std)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.proj(self.fc(x)))


class SwiGLU(Module):
    """A linear layer gated by SiLU of another, then a third: (S..., width) -> (S..., width).

    Args:
        hidden: size of the axis between them.
        std, out_std: of the initial weights of the first two layers and of the third.

    Source: Shazeer, GLU Variants Improve Transformer (2020).
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        bias: bool = True,
        dropout: float = 0.0,
        std: float | None = None,
        out_std: float | None = None,
    ):
        self.gate = Linear(width, hidden, bias, std=std)
        self.up = Linear(width, hidden, bias, std=std)
        self.proj = Linear(hidden, width, bias, std=out_std)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.proj(F.swiglu(self.gate(x), self.up(x))))


def _form(weight: Parameter) -> str:
    """How a quantized weight is stored."""
    return {"int8": ", int8", "uint16": ", bf16"}.get(weight.dtype.name, "")


def _ones(width: int) -> Parameter:
    weight = device.empty((width,), np.float32)
    weight.fill(1)
    return Parameter(weight)


def _zeros(width: int) -> Parameter:
    return Parameter(device.zeros((width,), np.float32))
