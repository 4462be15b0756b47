"""Training"""

SECTIONS = ("binary",)
