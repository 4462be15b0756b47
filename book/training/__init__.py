"""Training"""

SECTIONS = ("binary", "descent", "minibatches", "memory")
