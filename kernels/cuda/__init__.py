"""Kernels for GPUs, in numba.cuda."""
