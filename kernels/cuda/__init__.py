"""The CUDA backend: numba.cuda kernels in files named as the families in `ops`; formulas stand in `kernels/formulas`.

Numba compiles, CuPy launches (runtime.py); with OCTAVO_CUDA=emulate the compiled code runs on the CPU (emulator/).
"""

from ..formulas import __path__ as _formulas

__path__ += _formulas
