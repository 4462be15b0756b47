"""Cumulative sums."""

import numpy as np

from ..dispatch import op
from ..signature import Floats


def _check(x: np.ndarray, dim: int) -> None:
    if type(dim) is not int or not -x.ndim <= dim < x.ndim:
        raise ValueError(f"cumsum: dim: expected an axis of a shape {x.shape}, got {dim!r}")


@op("S... -> S...", backward="cumsum_backward", check=_check)
def cumsum(x: Floats, dim: int) -> Floats:
    """The sums of all elements up to each one, along an axis.

    out_t = Σ_{s ≤ t} x_s;  dx_t = Σ_{s ≥ t} dout_s

    Args:
        x: float32, float64 or bfloat16, of at least one axis.
        dim: the axis.

    Raises: ValueError for an axis that x does not have.
    Numerics: summed in float64, element by element.
    Source: elementary.

    >>> cumsum(np.array([[1.0, 2.0], [3.0, 4.0]]), dim=0).tolist()
    [[1.0, 2.0], [4.0, 6.0]]
    """
    return np.cumsum(x, axis=dim, dtype=np.float64).astype(x.dtype)


@op("S... -> S...", backward_of="cumsum", outputs="dx")
def cumsum_backward(dout: Floats, dim: int) -> Floats:
    """The gradient of `cumsum`: the cumulative sum from the other end."""
    return np.flip(np.flip(dout, dim).cumsum(axis=dim, dtype=np.float64), dim).astype(dout.dtype)
