import numpy as np

import octavo
from octavo import kernels, nn


def test_a_training_step_beside_its_references():
    model = nn.GPT(nn.GPTConfig(vocab_size=16, context=8, layers=1, heads=2, width=16, dropout=0.1))
    optimizer = nn.AdamW(model.parameters(), lr=0.1)
    ids = np.random.default_rng(0).integers(0, 16, (2, 8))
    with octavo.verify() as errors:
        model.loss(ids, ids).backward()
        optimizer.step()
    assert {"attention", "attention_backward", "linear_cross_entropy", "adamw_", "dropout"} <= errors.keys()
    assert errors["linear"].calls == 4
    assert all(row.ulps < 16 and not row.strays for row in errors.values()), str(errors)
    assert "linear_cross_entropy" in str(errors)
    before = errors["add"].calls
    kernels.add(ids * 1.0, 1.0 * ids)
    assert errors["add"].calls == before


def test_a_wrong_kernel_shows(monkeypatch):
    x = np.linspace(1, 2, 5, dtype=np.float32)
    monkeypatch.setitem(kernels.exp._kernels, "cpu", lambda x: np.where(x > 1.9, np.inf, np.exp(x) * 1.001))
    with octavo.verify() as errors:
        kernels.exp(x)
    assert 0.4e-3 < errors["exp"].error < 1e-3
    assert errors["exp"].strays == 1
    assert "x float32 (5,)" in str(errors)
    assert str(type(errors)()) == "no op ran"
