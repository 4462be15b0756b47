"""Rows that a warp or a block holds or streams, in float32 and in bfloat16; ids that are none; chunks of logits."""

import numpy as np
import pytest

from octavo.kernels import device, from_bf16, registry, to_bf16
from octavo.kernels.cuda import linear_cross_entropy as chunked
from octavo.kernels.cuda import runtime
from octavo.kernels.cuda.teams import team_of

pytestmark = pytest.mark.cuda
WIDTHS = (130, 1030, 4095, 5000, 9001)


@pytest.fixture(autouse=True)
def ahead(monkeypatch):
    """Warps that run ahead of each other show missing barriers."""
    monkeypatch.setattr(runtime.target(), "schedule", "run-ahead", raising=False)


def _normal(*shape, seed=0):
    """Normal numbers that bfloat16 can hold."""
    return from_bf16.reference(to_bf16.reference(np.random.default_rng([seed, *shape]).standard_normal(shape)))


def _doubled(x):
    return x.astype(np.float64) if isinstance(x, np.ndarray) and x.dtype == np.float32 else x


def _on_device(x, rounded):
    if not isinstance(x, np.ndarray):
        return x
    return device.to(to_bf16.reference(x) if rounded and x.dtype == np.float32 else x, "cuda")


def _results(name, *args, rounded=False):
    """What an op gives on the GPU, and its float64 reference."""
    op = registry[name]
    save = (True,) if op.takes_save else ()
    expected = op.reference(*map(_doubled, args), *save)
    got = op.kernel("cuda")(*(_on_device(x, rounded) for x in args), *save)
    return [r if isinstance(r, tuple) else (r,) for r in (got, expected)]


def _check(name, *args, rounded=False, ulps=16.0):
    for got, expected in zip(*_results(name, *args, rounded=rounded), strict=True):
        if expected is None:
            assert got is None
            continue
        got = device.to(got, "cpu")
        eps = 2.0**-8 if got.dtype == np.uint16 else ulps * 2.0**-23
        got = from_bf16.reference(got) if got.dtype == np.uint16 else got
        assert got.shape == expected.shape
        assert (abs(got - expected) <= eps * np.maximum(abs(expected), abs(expected).max() * (not rounded))).all(), name


def test_widths_have_all_teams():
    assert {team_of(width) for width in WIDTHS} >= {(32, 4), (256, 4), (256, 8), (256, 0)}


@pytest.mark.parametrize("width", WIDTHS)
def test_softmax(width):
    x, dout = 3 * _normal(3, width), _normal(3, width, seed=1)
    for name in ("softmax", "log_softmax"):
        _check(name, x, -1)
        _check(f"{name}_backward", dout, registry[name].reference(x, -1), -1)


@pytest.mark.parametrize("width", WIDTHS)
def test_normalisation_with_several_groups_of_rows(width):
    x, more, dout = (_normal(19, width, seed=seed) for seed in range(3))
    weight, bias = _normal(width, seed=1), _normal(width, seed=2)
    _check("add_layer_norm", x, more, weight, bias, 1e-5)
    _check("rms_norm", x, weight, 1e-6)
    mean, rstd = x.mean(-1), 1 / x.std(-1)
    _check("add_layer_norm_backward", dout, more, x, weight, bias, mean, rstd)
    _check("rms_norm_backward", dout, x, weight, rstd)


@pytest.mark.parametrize("width", (130, 1030, 1031))
@pytest.mark.parametrize("options", ((0.0, 0.0, None), (0.1, 1e-3, 20.0)), ids=str)
def test_cross_entropy(width, options):
    logits, weight = 4 * _normal(5, width), abs(_normal(width, seed=1))
    ids = np.random.default_rng(0).integers(0, width, 5)
    ids[2] = -100
    probabilities = abs(_normal(5, width, seed=2))
    for targets in (ids, probabilities):
        _check("cross_entropy", logits, targets, None, -100, "mean", *options)
        _check("cross_entropy", logits, targets, weight, -100, "none", *options)


@pytest.mark.parametrize("dtype", (np.uint8, np.uint16, np.int32, np.uint64))
def test_ids_of_any_dtype(dtype):
    _check("cross_entropy", _normal(3, 300), np.array([1, 255, 0], dtype), None, 255, "sum", 0.0, 0.0, None)


def test_a_confident_row_keeps_the_digits_of_its_loss():
    logits = np.array([[20.0, 0.0, 1.0, -3.0]], np.float32)
    _check("cross_entropy", logits, np.array([0]), None, -100, "sum", 0.0, 0.0, None)


@pytest.mark.parametrize("width", (130, 9001))
def test_bfloat16(width):
    x, weight = _normal(3, width), _normal(width)
    _check("softmax", x, -1, rounded=True)
    _check("rms_norm", x, weight, 1e-6, rounded=True)
    _check("cross_entropy", x, np.array([0, -100, 5]), None, -100, "mean", 0.0, 0.0, None, rounded=True)


@pytest.mark.parametrize("width", (5, 1100))
@pytest.mark.parametrize("bad", (-1, 1100, 2**40))
def test_a_row_of_a_bad_id_is_nan(width, bad):
    run = registry["cross_entropy"].kernel("cuda")
    logits, ids, weight = (_on_device(x, False) for x in (_normal(3, width), np.array([1, bad, -100]), _normal(width)))
    made = [*run(logits, ids, weight, reduction="none", save=True), run(logits, ids, weight)[0]]
    with pytest.raises(ValueError, match=f"cross_entropy: targets: .*, got {bad};"):
        device.synchronize()
    losses, dlogits, mean = (device.to(r, "cpu") for r in made)
    assert np.isnan(losses).tolist() == [False, True, False]
    assert np.isnan(dlogits).all(-1).tolist() == [False, True, False] and not dlogits[2].any()
    assert np.isnan(mean)


@pytest.mark.parametrize("reduction", ("mean", "none"))
@pytest.mark.parametrize("precision", ("highest", "medium"))
def test_chunks_of_logits(monkeypatch, reduction, precision):
    """In bfloat16 a product errs by 2^-8 of each operand, and the gradient by as much again."""
    monkeypatch.setattr(chunked, "CHUNK", 5 * 64)
    monkeypatch.setattr(device, "_precision", precision)
    x, weight, dloss = _normal(23, 16), _normal(64, 16), _normal(23, seed=3)
    ids = np.random.default_rng(0).integers(0, 64, 23)
    ids[2] = -100
    ulps = 16.0 if precision == "highest" else 2.0**23 * 2.0**-6
    _check("linear_cross_entropy", x, weight, ids, None, -100, reduction, 0.1, 1e-3, 20.0, None, ulps=ulps)
    if reduction == "none":
        args = dloss, x, weight, ids, None, None, None, -100, 0.1, 1e-3, 20.0
        _check("linear_cross_entropy_backward", *args, ulps=ulps)
