"""Tensors beside PyTorch's."""

import numpy as np
import pytest

from octavo.nn import Tensor

pytestmark = pytest.mark.peers


def test_memory_is_shared_with_pytorch():
    import torch

    ours = Tensor(np.zeros((2, 3), np.float32))
    theirs = torch.from_dlpack(ours)
    theirs[1, 2] = 5
    assert ours.data[1, 2] == 5
    back = Tensor.from_dlpack(theirs.T)
    assert back.shape == (3, 2) and np.shares_memory(back.data, ours.data)
    back.add_(1)
    assert theirs[0, 0] == 1
