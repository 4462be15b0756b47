"""Training"""

SECTIONS = (
    "binary",
    "classes",
    "chain",
    "models",
    "causality",
    "tokens",
    "descent",
    "minibatches",
    "backpropagation",
    "memory",
)
