"""The CPU backend: Numba kernels in files named as the families in `ops`."""
