"""Training"""

SECTIONS = ("binary", "classes", "chain", "models", "causality", "tokens")
