"""Dropout."""

from typing import Annotated

import numpy as np

from ..dispatch import op
from ..signature import Floats, Interval, Scalar
from .philox import Seed, Word, words

Probability = Annotated[float, Interval(0, 1)]


@op("S... -> S...", backward="dropout_backward")
def dropout(x: Floats, p: Probability, seed: Seed, stream: Word, offset: Word | Scalar) -> Floats:
    """Set each element to 0 with probability p, and scale the others so that the expectation stays.

    out_i = x_i / (1 − p) where u_i ≥ p, else 0;  dx_i = dout_i / (1 − p) there, else 0

    Args:
        x: floats of any shape; element i in C order draws word i mod 4 of Philox's counter i // 4.
        p: probability of 0; 1 gives zeros.
        seed: 64 bits, the key; stream, offset: 32 bits each. The same three give the same elements.

    Returns:
        An array as x.

    Numerics: u_i = word · 2⁻³², so that p counts in steps of 2⁻³². What is dropped is 0 even where x is NaN.
    Source: Srivastava et al., Dropout (2014); Salmon et al., Parallel Random Numbers (2011).

    >>> dropout(np.ones(4), 0.5, seed=3, stream=0, offset=0).tolist()
    [2.0, 0.0, 2.0, 2.0]
    """
    return _drop(x, p, seed, stream, offset)


@op("S... -> S...", backward_of="dropout", outputs="dx")
def dropout_backward(dout: Floats, p: Probability, seed: Seed, stream: Word, offset: Word | Scalar) -> Floats:
    """The gradient of `dropout`: the same elements are dropped again, for none were kept in memory."""
    return _drop(dout, p, seed, stream, offset)


def _drop(x: np.ndarray, p: float, seed: int, stream: int, offset: Word | Scalar) -> np.ndarray:
    u = words(-(-x.size // 4), seed, stream, int(offset)).reshape(-1)[: x.size] * 2.0**-32
    scale = 1 / (1 - p) if p < 1 else 0.0
    return np.where(u.reshape(x.shape) >= p, x * x.dtype.type(scale), x.dtype.type(0))
