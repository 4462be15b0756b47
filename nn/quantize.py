"""Weights in fewer bits, so that generation, which reads them all for each token, has less to read."""

from typing import TypeVar

import numpy as np

from ..kernels import device, registry
from .layers import Embedding, Linear
from .models import LanguageModel
from .module import Parameter
from .tensor import Tensor

__all__ = ["QuantizedParameter", "quantize"]

Model = TypeVar("Model", bound=LanguageModel)


class QuantizedParameter(Parameter):
    """A weight (O, I) for inference: int8 with a float32 scale (O,) for each row, or bfloat16 as uint16, scale None."""

    __slots__ = ("scale",)

    def __init__(self, weight: np.ndarray, form: str):
        found = registry["quantize_int8"](weight) if form == "int8" else (registry["to_bf16"](weight), None)
        Tensor.__init__(self, found[0])
        self.scale = found[1]

    def widened(self) -> np.ndarray:
        """The rounded weight (O, I) as float32."""
        return registry["embedding_quantized"](self.here(np.arange(len(self))), self.data, self.scale)


def quantize(model: Model, form: str) -> Model:
    """Round the weights of a model's linear layers and token embedding, in place: it can then generate, but not train.

    Norms, biases and positions stay as they are, in float32, as are sums, and `KVCache` holds bfloat16. The former
    weights are freed, unless something else refers to them, and cannot be had back.

    Args:
        form: "int8", whole numbers with a scale for each row: an error of at most max|row| / 254; "bf16": a relative
            error of at most 2⁻⁸.

    Returns:
        The model itself.

    Raises:
        ValueError: another form, a weight for int8 that has NaN or infinity, or a model that is quantized already.
    """
    if form not in ("int8", "bf16"):
        raise ValueError(f"quantize: form: expected 'int8' or 'bf16', got {form!r}")
    positions = getattr(model, "wpe", None)
    layers = [m for m in model.modules() if isinstance(m, (Linear, Embedding)) and m is not positions]
    if any(isinstance(layer.weight, QuantizedParameter) for layer in layers):
        raise ValueError("quantize: the model is quantized already; start from its float32 weights")
    if any(p.dtype == device.BFLOAT16 for p in model.parameters()):
        model.to(np.float32)
    made = {id(layer.weight): QuantizedParameter(layer.weight.data, form) for layer in layers}
    for layer in layers:
        layer.weight = made[id(layer.weight)]
    device.release()
    return model
