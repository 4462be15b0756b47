"""The CPU backend: Numba kernels in files named as the families in `ops`; formulas stand in `kernels/formulas`."""

from ..formulas import __path__ as _formulas

__path__ += _formulas
