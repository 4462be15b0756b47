"""Learning from data"""

SECTIONS = ("model", "regression", "capacity", "classification", "search", "mixture", "pixels")
