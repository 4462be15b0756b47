"""What both backends compute in the same words: files that stand in the folder of each, by its `__path__`.

Loaded as `kernels.cpu.elementwise`, a file here imports the CPU's `pointwise`, `maths` and `reduce`; loaded as
`kernels.cuda.elementwise`, those of CUDA. Nothing imports it from here.
"""
