"""Tensors, layers, models and training."""
