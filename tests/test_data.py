"""Batches that miss and repeat nothing."""

import numpy as np
import pytest

from octavo.nn.data import IGNORE_INDEX, Batches, EvalBatches


@pytest.mark.parametrize("count, batch_size, context", [(101, 3, 8), (9, 4, 8), (15, 2, 8), (16, 5, 8), (64, 7, 1)])
def test_every_window_once_an_epoch_whatever_the_order_of_steps(count, batch_size, context):
    tokens = np.arange(count, dtype=np.uint16)
    batches = Batches(tokens, batch_size, context, seed=5)
    windows, epochs = batches.windows_per_epoch, 6
    steps = range(-(-epochs * windows // batch_size))
    in_order = [batches[step] for step in steps]
    starts = []
    for inputs, targets in in_order:
        assert inputs.shape == targets.shape == (batch_size, context)
        assert inputs.dtype == targets.dtype == np.int64
        assert inputs.flags.c_contiguous and targets.flags.c_contiguous
        np.testing.assert_array_equal(inputs, inputs[:, :1] + np.arange(context))
        np.testing.assert_array_equal(targets, inputs + 1)
        starts += inputs[:, 0].tolist()
    for epoch in np.reshape(starts[: epochs * windows], (epochs, windows)):
        phase = epoch.min()
        assert phase < context
        assert sorted(epoch) == [phase + context * i for i in range(windows)]
    for step in [*steps][::-1]:
        resumed = Batches(tokens, batch_size, context, seed=5)[step]
        for again in (batches[step], resumed):
            np.testing.assert_array_equal(again, in_order[step])


def test_epochs_and_seeds_differ():
    def starts(seed):
        batches = Batches(np.arange(10_000), 99, 100, seed)
        assert batches.windows_per_epoch == 99
        return [batches[epoch][0][:, 0].tolist() for epoch in range(20)]

    ours = starts(1)
    assert ours == starts(1)
    assert len({tuple(epoch) for epoch in ours + starts(2)}) == 40
    assert len({min(epoch) for epoch in ours}) > 10


def test_batches_refuse_what_cannot_be():
    tokens = np.arange(8)
    with pytest.raises(ValueError, match="context of 8 tokens needs data of at least 9, got 8 tokens"):
        Batches(tokens, 1, 8)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        Batches(tokens, 0, 4)
    with pytest.raises(TypeError, match=r"context must be a whole number, got 4\.0"):
        Batches(tokens, 1, 4.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
        Batches(tokens, 1, 4, seed=-1)
    with pytest.raises(ValueError, match="step must be at least 0, got -1"):
        Batches(tokens, 1, 4)[-1]
    with pytest.raises(ValueError, match=r"one-dimensional integers, got shape \(8,\) of float64"):
        Batches(tokens / 2, 1, 4)
    with pytest.raises(ValueError, match="at least 2 tokens, got 1"):
        EvalBatches(tokens[:1], 1, 4)


@pytest.mark.parametrize("count", [2, 5, 8, 9, 10, 33, 40])
def test_validation_covers_every_target_once_in_order(count):
    tokens = np.arange(100, 100 + count, dtype=np.uint16)
    batches = EvalBatches(tokens, batch_size=2, context=4)
    all_batches = list(batches)
    assert len(all_batches) == len(batches)
    inputs, targets = (np.concatenate(part).ravel() for part in zip(*all_batches, strict=True))
    counted = targets != IGNORE_INDEX
    assert inputs[counted].tolist() == tokens[:-1].tolist()
    assert targets[counted].tolist() == tokens[1:].tolist()
    assert not inputs[~counted].any() and (~counted).sum() < 4


def test_a_sample_is_drawn_from_the_whole_without_repetition():
    batches = EvalBatches(np.arange(1, 102), batch_size=3, context=4)

    def firsts(k, seed):
        return [inputs[:, 0].tolist() for inputs, _ in batches.sample(k, seed)]

    assert firsts(4, seed=1) == firsts(4, seed=1) != firsts(4, seed=2)
    assert [len(batch) for batch in firsts(4, seed=1)] == [3] * 4
    assert sorted(start for batch in firsts(100, seed=1) for start in batch) == list(range(1, 101, 4))
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        batches.sample(0)
