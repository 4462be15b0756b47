"""Learning-rate schedules against their formulas, at the ends and between."""

import math

import pytest

from octavo.nn.schedule import SCHEDULES, schedule

STEPS, WARMUP, PEAK, FLOOR = 100, 10, 0.02, 0.002  # 0.002 + (0.02 - 0.002) is not 0.02
LAST = STEPS - 1


@pytest.fixture(params=SCHEDULES)
def name(request):
    return request.param


def test_warmup_is_linear_up_to_the_peak(name):
    rate = schedule(name, PEAK, STEPS, WARMUP, FLOOR)
    assert [rate(s) for s in range(WARMUP)] == pytest.approx([PEAK * (s + 1) / 11 for s in range(WARMUP)])
    assert rate(WARMUP) == PEAK
    assert schedule(name, PEAK, STEPS)(0) == PEAK


def test_never_rises_after_the_warmup_and_ends_exactly_at_the_floor(name):
    rate = schedule(name, PEAK, STEPS, WARMUP, FLOOR)
    rates = [rate(step) for step in range(WARMUP, STEPS)]
    assert rates == sorted(rates, reverse=True)
    end = PEAK if name == "constant" else FLOOR
    assert rates[-1] == rate(STEPS) == rate(10**9) == end
    assert name == "constant" or rate(LAST - 1) > FLOOR


def test_the_formulas_between():
    def at(name, step, **options):
        return schedule(name, PEAK, STEPS, WARMUP, FLOOR, **options)(step)

    x = (40 - WARMUP) / (LAST - WARMUP)
    assert at("linear", 40) == pytest.approx(PEAK - (PEAK - FLOOR) * x)
    assert at("cosine", 40) == pytest.approx(FLOOR + (PEAK - FLOOR) * (1 + math.cos(math.pi * x)) / 2)
    decay_begins = LAST - 0.2 * (LAST - WARMUP)
    assert at("wsd", math.floor(decay_begins)) == PEAK
    halfway_down = (FLOOR - PEAK) * (90 - decay_begins) / (LAST - decay_begins) + PEAK
    assert at("wsd", 90) == pytest.approx(halfway_down)
    assert at("wsd", 40, decay=1.0) == pytest.approx(at("linear", 40))


def test_a_run_without_steps_after_the_warmup_takes_the_peak(name):
    assert schedule(name, PEAK, 1)(0) == PEAK
    assert schedule(name, PEAK, 5, warmup=4)(4) == PEAK


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(name="cosin"), "constant, linear, cosine, wsd, got 'cosin'"),
        (dict(peak=0.0), "peak must be a number over 0, got 0.0"),
        (dict(peak=math.nan), "peak"),
        (dict(peak="1e-3"), "peak"),
        (dict(steps=0), "steps must be a whole number of at least 1, got 0"),
        (dict(steps=1.5), "steps"),
        (dict(warmup=10), "warmup must be a whole number from 0 to 9, less than steps, got 10"),
        (dict(warmup=-1), "warmup"),
        (dict(floor=2.0), "floor must be a number from 0 to the peak, 1.0, got 2.0"),
        (dict(floor=-0.1), "floor"),
        (dict(decay=0.0), "decay must be a share over 0 and at most 1, got 0.0"),
        (dict(decay=1.1), "decay"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        schedule(**{"name": "wsd", "peak": 1.0, "steps": 10} | arguments)


def test_a_negative_step():
    with pytest.raises(ValueError, match="step must be at least 0, got -1"):
        schedule("cosine", 1.0, 10)(-1)
