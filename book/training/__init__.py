"""Training"""

SECTIONS = ("binary", "descent", "minibatches", "backpropagation", "memory")
