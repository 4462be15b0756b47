"""A tensor's operators and methods that compute; names as in NumPy and PyTorch."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..kernels import device
from .shaped import Shaped

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["Computed"]


def _method(name: str) -> "Callable[..., Tensor]":
    def method(self: "Tensor", *args: Any, **params: Any) -> "Tensor":
        return self._run(name, self, *args, **params)

    method.__name__, method.__doc__ = name, f"`kernels.{name}` of this tensor."
    return method


def _operator(name: str) -> "tuple[Callable[[Tensor, Any], Tensor], Callable[[Tensor, Any], Tensor]]":
    """x · y and its reflection; a Python number becomes an array of the tensor's dtype."""

    def left(self: "Tensor", other: Any) -> "Tensor":
        other = self._operand(other)
        return other if other is NotImplemented else self._run(name, self, other)

    def right(self: "Tensor", other: Any) -> "Tensor":
        other = self._operand(other)
        return other if other is NotImplemented else self._run(name, other, self)

    return left, right


class Computed(Shaped):
    """What `Tensor` inherits: each operator and method is one op of the registry."""

    __slots__ = ()

    __add__, __radd__ = _operator("add")
    __sub__, __rsub__ = _operator("sub")
    __mul__, __rmul__ = _operator("mul")
    __truediv__, __rtruediv__ = _operator("div")
    __pow__, __rpow__ = _operator("pow")
    __and__, __rand__ = _operator("logical_and")
    __or__, __ror__ = _operator("logical_or")
    __eq__, __ne__ = _operator("eq")[0], _operator("ne")[0]  # type: ignore[assignment]
    __lt__, __le__ = _operator("lt")[0], _operator("le")[0]
    __gt__, __ge__ = _operator("gt")[0], _operator("ge")[0]
    __hash__ = object.__hash__  # tensors are looked up by identity, not by their values
    __neg__, __abs__, __invert__ = _method("neg"), _method("abs"), _method("logical_not")
    exp, log, sqrt = _method("exp"), _method("log"), _method("sqrt")
    expm1, log1p, erf = _method("expm1"), _method("log1p"), _method("erf")
    sin, cos, tan = _method("sin"), _method("cos"), _method("tan")
    asin, acos, atan = _method("asin"), _method("acos"), _method("atan")
    sinh, cosh, tanh = _method("sinh"), _method("cosh"), _method("tanh")
    asinh, acosh, atanh = _method("asinh"), _method("acosh"), _method("atanh")
    sigmoid, relu, gelu, silu = _method("sigmoid"), _method("relu"), _method("gelu"), _method("silu")
    softplus, leaky_relu, elu = _method("softplus"), _method("leaky_relu"), _method("elu")
    sum, mean, prod, cumsum = _method("sum"), _method("mean"), _method("prod"), _method("cumsum")
    var, std, logsumexp = _method("var"), _method("std"), _method("logsumexp")
    max, min, argmax, argmin = _method("max"), _method("min"), _method("argmax"), _method("argmin")
    any, all = _method("any"), _method("all")
    abs, sign, square = _method("abs"), _method("sign"), _method("square")
    reciprocal, rsqrt, clip = _method("reciprocal"), _method("rsqrt"), _method("clip")
    clamp = clip
    pow, maximum, minimum = _operator("pow")[0], _operator("maximum")[0], _operator("minimum")[0]
    floor, ceil, round, trunc = _method("floor"), _method("ceil"), _method("round"), _method("trunc")
    softmax, log_softmax = _method("softmax"), _method("log_softmax")

    def matmul(self, other: Any) -> "Tensor":
        """`kernels.matmul`; a vector is a row on the left and a column on the right, and the result lacks that axis."""
        return self._product(self, other)

    def __matmul__(self, other: Any) -> "Tensor":
        return self._product(self, other) if isinstance(other, Computed) or device.is_array(other) else NotImplemented

    def __rmatmul__(self, other: Any) -> "Tensor":
        return self._product(other, self) if isinstance(other, Computed) or device.is_array(other) else NotImplemented

    def _product(self, a: Any, b: Any) -> "Tensor":
        row, column = a.ndim == 1, getattr(b, "ndim", 0) == 1
        a, b = a.reshape(1, -1) if row else a, b.reshape(-1, 1) if column else b
        out = self._run("matmul", a, b)
        return out.squeeze((-2,) * row + (-1,) * column) if row or column else out

    def _operand(self, other: Any) -> Any:
        if isinstance(other, (bool, int, float)):
            dtype = self.data.dtype
            dtype = np.dtype(np.float64) if isinstance(other, float) and not device.is_float(dtype) else dtype
            return device.number(other, dtype, device.of(self.data))
        return other if isinstance(other, Computed) or device.is_array(other) else NotImplemented
