"""Tensors"""

SECTIONS: tuple[str, ...] = ()
