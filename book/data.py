"""Data that is there already: scikit-learn's sets, and the source of Python's standard library."""

import numpy as np

from ..nn.text import Split, read_texts, split_texts

__all__ = ["diabetes", "digits", "split", "standard_library"]


def diabetes() -> tuple[np.ndarray, np.ndarray, list[str]]:
    """(442, 10) measurements of patients, (442, 1) scores of their diabetes a year later, names of the columns."""
    from sklearn.datasets import load_diabetes

    data = load_diabetes(scaled=False)
    return data.data, data.target[:, None], data.feature_names


def digits() -> tuple[np.ndarray, np.ndarray]:
    """(1797, 1, 8, 8) images of handwritten digits, from 0 (paper) to 1 (ink), and (1797) what they show."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return (data.images[:, None] / 16).astype(np.float32), data.target


def split(rows: int, held_out: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the rows to train on, in random order, and of the share held out."""
    order = np.random.default_rng(seed).permutation(rows)
    return np.split(order, [rows - round(rows * held_out)])  # type: ignore[return-value]


def standard_library() -> Split:
    """The source of Python's own standard library, one document in fifty held back."""
    return split_texts(read_texts(), 0.02)
