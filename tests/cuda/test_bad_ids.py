"""Bad ids on the GPU: nothing waits for the check, which raises when the host next reads."""

import numpy as np
import pytest

from octavo import kernels
from octavo.kernels import device
from octavo.kernels.device import to

pytestmark = pytest.mark.cuda

ROWS = np.ones((5, 3), np.float32)
LOGITS = np.zeros((2, 5), np.float32)


def _loss(ids):
    return kernels.cross_entropy(to(LOGITS, "cuda"), ids)


BAD = {
    "embedding: ids: expected 0 <= id < 5, got 5": lambda id: kernels.embedding(id(5), to(ROWS, "cuda")),
    "cross_entropy: targets: expected 0 <= id < 5, got -1": lambda id: kernels.cross_entropy(
        to(LOGITS, "cuda"), id(-1)
    ),
    "linear_cross_entropy: targets: expected 0 <= id < 5, got 7": lambda id: kernels.linear_cross_entropy(
        to(np.ones((2, 3), np.float32), "cuda"), to(ROWS, "cuda"), id(7)
    ),
    "take: index: expected -15 <= id < 15, got -16": lambda id: kernels.take(to(ROWS, "cuda"), id(-16)),
    "gather: index: expected 0 <= id < 3, got 3": lambda id: kernels.gather(to(ROWS, "cuda"), id(3)[:, None], 1),
}


@pytest.mark.parametrize("text", BAD)
def test_a_bad_id_raises_at_the_next_read_and_once(text):
    out = BAD[text](lambda bad: to(np.array([1, bad]), "cuda"))
    with pytest.raises(ValueError, match=text):
        to(out, "cpu")
    to(out, "cpu")


def test_synchronize_raises_too():
    kernels.embedding(to(np.array([9]), "cuda"), to(ROWS, "cuda"))
    with pytest.raises(ValueError, match=r"embedding: ids: .* got 9"):
        device.synchronize()


def test_what_is_ignored_is_no_fault():
    loss = _loss(to(np.array([-100, 2]), "cuda"))
    assert to(loss, "cpu") == pytest.approx(np.log(5))
