"""What the book's programs learn from; nothing is downloaded."""

import numpy as np

from ..nn.text import Split, read_texts, split_texts

__all__ = ["digits", "standard_library"]


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Handwritten digits of 8 × 8 pixels: images (N, 64) float32 from 0 to 1, and which digit each is (N)."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return (images / 16).astype(np.float32), labels.astype(np.int64)


def standard_library() -> Split:
    """The source of Python's own standard library, one document in fifty held back."""
    return split_texts(read_texts(), 0.02)
