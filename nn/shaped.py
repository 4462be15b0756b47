"""A tensor's methods for shapes and for choosing elements; names and order of arguments as in PyTorch."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ..kernels import device

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["Shaped"]


class Shaped:
    """What `Tensor` inherits: each method is one op of the registry, or one of `reshape` and `permute`."""

    __slots__ = ()

    data: np.ndarray

    @staticmethod
    def _run(name: str, *args: Any, **params: Any) -> Any:
        raise NotImplementedError

    def _apply(self, name: str, *args: Any) -> Any:
        return self._run(name, self, *args)

    def __getitem__(self, index: Any) -> "Tensor":
        """A view for integers, slices, None and `...`; a copy where lists, arrays or tensors choose, as in NumPy."""
        found = tuple(map(_index, index)) if isinstance(index, tuple) else _index(index)
        several = found if isinstance(found, tuple) else (found,)
        return self._apply("index" if any(device.is_array(i) for i in several) else "slice", found)

    def reshape(self, *shape: Any) -> "Tensor":
        """The same elements in another shape; one size may be -1."""
        return self._apply("reshape", _sizes(shape))

    view = reshape

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> "Tensor":
        """The axes from `start_dim` to `end_dim` as one."""
        shape = self.data.shape or (1,)
        first, last = self._axis("flatten", start_dim), self._axis("flatten", end_dim)
        if first > last:
            raise ValueError(f"flatten: expected start_dim before end_dim, got {start_dim} and {end_dim}")
        size = int(np.prod(shape[first : last + 1]))
        return self.reshape(*shape[:first], size, *shape[last + 1 :])

    def squeeze(self, dim: int | tuple[int, ...] | None = None) -> "Tensor":
        """Without axes of size 1: all of them, or those of `dim` that have it."""
        shape = self.data.shape
        dims = range(len(shape)) if dim is None else dim if isinstance(dim, tuple) else (dim,)
        gone = {self._axis("squeeze", d) for d in dims}
        return self.reshape([n for a, n in enumerate(shape) if a not in gone or n != 1])

    def unsqueeze(self, dim: int) -> "Tensor":
        """With an axis of size 1 put in at `dim`."""
        at = self._axis("unsqueeze", dim, 1)
        return self.reshape(*self.data.shape[:at], 1, *self.data.shape[at:])

    def permute(self, *dims: Any) -> "Tensor":
        """The axes in another order."""
        return self._apply("permute", _sizes(dims))

    def transpose(self, dim0: int, dim1: int) -> "Tensor":
        """Two axes exchanged."""
        dims = list(range(self.data.ndim))
        a, b = self._axis("transpose", dim0), self._axis("transpose", dim1)
        dims[a], dims[b] = b, a
        return self.permute(dims)

    @property
    def T(self) -> "Tensor":
        """The axes in reverse order."""
        return self.permute(tuple(range(self.data.ndim))[::-1])

    @property
    def mT(self) -> "Tensor":
        """Each matrix transposed: the last two axes exchanged."""
        return self.transpose(-2, -1)

    def expand(self, *shape: Any) -> "Tensor":
        """Repeated, as a view, along new axes and those of size 1; -1 keeps a size."""
        return self._apply("expand", _sizes(shape))

    def unbind(self, dim: int = 0) -> "list[Tensor]":
        """The views at each position along an axis."""
        return self._apply("unbind", dim)

    def split(self, sizes: int | list[int] | tuple[int, ...], dim: int = 0) -> "list[Tensor]":
        """Views one after another along an axis, each of a size, or of sizes."""
        return self._apply("split", sizes, dim)

    def chunk(self, chunks: int, dim: int = 0) -> "list[Tensor]":
        """At most so many views of equal sizes along an axis; the last one may be smaller."""
        if type(chunks) is not int or chunks < 1:
            raise ValueError(f"chunk: chunks: expected a positive integer, got {chunks!r}")
        size = self.data.shape[self._axis("chunk", dim)]
        return self.split(max(1, -(-size // chunks)), dim)

    def flip(self, *dims: Any) -> "Tensor":
        """The order along some axes reversed, as a view."""
        return self._apply("flip", _sizes(dims))

    def roll(self, shifts: int | tuple[int, ...], dims: int | tuple[int, ...] | None = None) -> "Tensor":
        """Moved along some axes, or flat; what leaves at the end comes back at the start."""
        return self._apply("roll", shifts, dims)

    def tril(self, diagonal: int = 0) -> "Tensor":
        """The lower triangle of matrices."""
        return self._apply("tril", diagonal)

    def triu(self, diagonal: int = 0) -> "Tensor":
        """The upper triangle of matrices."""
        return self._apply("triu", diagonal)

    def masked_fill(self, mask: Any, value: float) -> "Tensor":
        """A number wherever the mask is true."""
        return self._apply("masked_fill", mask, value)

    def gather(self, dim: int, index: Any) -> "Tensor":
        """At each place of `index` the element there, but for axis `dim`, on which the id tells where."""
        return self._apply("gather", index, dim)

    def scatter(self, dim: int, index: Any, src: Any) -> "Tensor":
        """With elements of `src`, or one number, where `gather` would take them; the last one for a place stays."""
        if isinstance(src, (bool, int, float)):
            src = device.to(np.full(np.shape(index), src, self.data.dtype), device.of(self.data))
        return self._apply("scatter", index, src, dim)

    def scatter_add(self, dim: int, index: Any, src: Any) -> "Tensor":
        """With elements of `src` added where `gather` would take them."""
        return self._apply("scatter_add", index, src, dim)

    def take(self, index: Any) -> "Tensor":
        """Elements of the flattened tensor."""
        return self._apply("take", index)

    def _axis(self, name: str, dim: Any, more: int = 0) -> int:
        ndim = max(self.data.ndim + more, 1)
        if type(dim) is not int or not -ndim <= dim < ndim:
            raise ValueError(f"{name}: expected an axis of a shape {self.data.shape}, got {dim!r}")
        return dim % ndim


def _index(i: Any) -> Any:
    """An index as `slice` and `index` take it: lists and tensors as arrays."""
    i = i.data if isinstance(i, Shaped) else i
    if not isinstance(i, list):
        return i
    try:
        array = np.asarray([e.data if isinstance(e, Shaped) else e for e in i])
    except ValueError:
        raise ValueError(f"index: expected a list of numbers, or of lists of one length, got {i}") from None
    return array if array.size else array.astype(np.int64)


def _sizes(given: tuple[Any, ...]) -> tuple[int, ...]:
    """Sizes given one by one or as one sequence."""
    return tuple(given[0]) if len(given) == 1 and isinstance(given[0], (list, tuple)) else given
