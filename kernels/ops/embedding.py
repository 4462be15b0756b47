"""Embedding: rows of a table."""

import numpy as np

from ..dispatch import op
from ..signature import Floats, Ints, require_ids


@op("S..., V C -> S... C", backward="embedding_backward")
def embedding(ids: Ints, weight: Floats) -> Floats:
    """The rows of `weight` that `ids` name.

    out_i = weight[ids_i];  dweight_v = Σ_{i: ids_i = v} dout_i

    Args:
        ids: (...) integers in [0, V).
        weight: (V, C) float32, float64 or bfloat16.

    Returns:
        (..., C) of weight's dtype.

    Raises:
        ValueError: an id outside [0, V).

    Numerics: rows of the same id are added in float64, in the order in which they stand.
    Source: Bengio et al., A Neural Probabilistic Language Model (2003), section 2.

    >>> embedding(np.array([1, 1]), np.array([[1.0], [2.0]])).tolist()
    [[2.0], [2.0]]
    """
    require_ids("embedding: ids", ids, len(weight))
    return weight[ids]


@op("S... C, S... -> V C", backward_of="embedding", outputs="dweight")
def embedding_backward(dout: Floats, ids: Ints, weight_shape: tuple[int, int]) -> Floats:
    """The gradient of `embedding`: each row of dout added to the row of dweight that its id names."""
    require_ids("embedding_backward: ids", ids, weight_shape[0])
    dweight = np.zeros(weight_shape, dout.dtype)
    np.add.at(dweight, ids, dout)
    return dweight
