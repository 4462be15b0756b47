import numpy as np

from .pointwise import positive, unary

INF, NAN = np.inf, np.nan


CASES = {
    "expm1": unary(lambda torch, x: torch.expm1(x), extremes=(-INF, -1e4, -1e-30, 0.0, INF, NAN)),
    "log1p": unary(lambda torch, x: torch.log1p(x), positive, extremes=(-1.0, -2.0, -0.5, 1e-30, 1e30, INF, NAN)),
    "erf": unary(lambda torch, x: torch.erf(x), extremes=(-INF, -1e30, 1e-30, 1.0, 1.0625, 3.0, INF, NAN)),
}
