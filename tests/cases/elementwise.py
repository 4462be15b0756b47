import numpy as np

from .pointwise import binary, positive, unary

CASES = {
    "add": binary(lambda torch, x, y: x + y),
    "sub": binary(lambda torch, x, y: x - y),
    "mul": binary(lambda torch, x, y: x * y),
    "div": binary(lambda torch, x, y: x / y, low=0.125),
    "neg": unary(lambda torch, x: -x, extremes=(0.0, -np.inf, np.inf, np.nan)),
    "exp": unary(lambda torch, x: torch.exp(x), extremes=(-np.inf, 0.0, -1e4, np.inf, np.nan)),
    "log": unary(lambda torch, x: torch.log(x), positive, extremes=(0.0, -1.0, 1e-3, np.inf, np.nan)),
    "sqrt": unary(lambda torch, x: torch.sqrt(x), positive, extremes=(0.0, -1.0, np.inf, np.nan)),
    "tanh": unary(lambda torch, x: torch.tanh(x), extremes=(-np.inf, 1e4, 1e-30, np.inf, np.nan)),
    "sigmoid": unary(lambda torch, x: torch.sigmoid(x), extremes=(-np.inf, 1e4, -1e4, np.inf, np.nan)),
}
