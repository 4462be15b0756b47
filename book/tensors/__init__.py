"""Tensors"""

SECTIONS = ("shapes", "views", "speed")
