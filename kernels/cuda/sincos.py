"""sin and cos, by libdevice."""

import math

from .kernel import primitive


@primitive
def sin(x):
    """The sine."""
    return math.sin(x)


@primitive
def cos(x):
    """The cosine."""
    return math.cos(x)
