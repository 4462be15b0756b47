import numpy as np

from .pointwise import positive, unary

INF, NAN = np.inf, np.nan


def _inside(x):
    """Moved into (-1, 1)."""
    return np.asarray(0.9 * np.tanh(x))


def _off_the_poles(x):
    return np.asarray(np.arctan(x))


def _above_one(x):
    return np.asarray(1 + positive(x))


CASES = {
    "sin": unary(lambda torch, x: torch.sin(x), extremes=(-INF, 1e30, -1e4, 1e-30, 1e5, INF, NAN)),
    "cos": unary(lambda torch, x: torch.cos(x), extremes=(-INF, 1e30, -1e4, 1e-30, 1e5, INF, NAN)),
    "tan": unary(lambda torch, x: torch.tan(x), _off_the_poles, extremes=(-INF, 1e4, 1e-30, INF, NAN)),
    "asin": unary(lambda torch, x: torch.asin(x), _inside, extremes=(-1.0, 1.0, 2.0, 0.0, INF, NAN)),
    "acos": unary(lambda torch, x: torch.acos(x), _inside, extremes=(-1.0, 1.0, 2.0, 0.0, INF, NAN)),
    "atan": unary(lambda torch, x: torch.atan(x), extremes=(-INF, -1e30, 1e-30, INF, NAN)),
    "sinh": unary(lambda torch, x: torch.sinh(x), extremes=(-INF, -1e4, 1e-30, INF, NAN)),
    "cosh": unary(lambda torch, x: torch.cosh(x), extremes=(-INF, -1e4, 1e-30, INF, NAN)),
    "asinh": unary(lambda torch, x: torch.asinh(x), extremes=(-INF, -1e30, 1e-30, INF, NAN)),
    "acosh": unary(lambda torch, x: torch.acosh(x), _above_one, extremes=(1.0, 0.5, -2.0, 1e30, INF, NAN)),
    "atanh": unary(lambda torch, x: torch.atanh(x), _inside, extremes=(-1.0, 1.0, 2.0, 1e-30, INF, NAN)),
}
