import math
import random

import pytest

from fitwell.detectors.curves import (
    aligned,
    curve,
    guess_loss,
    noise,
    reference_loss,
    remaining_loss,
    slope,
    smoothed,
)
from fitwell.records import Facts, Quantity, Row, Trace
from fitwell.testing.made_traces import curves


def test_rows_of_one_step_are_averaged_by_their_counts():
    rows = [Row(0, Quantity.LOSS, 1.0, count=30), Row(0, Quantity.LOSS, 4.0, count=10)]
    assert curve(Trace(rows)) == [(0, 1.75)]


def test_steps_with_a_nan_are_left_out():
    assert curve(curves([1.0, math.nan, 3.0])) == [(0, 1.0), (20, 3.0)]


def test_training_is_averaged_since_the_evaluation_before():
    rows = [Row(s, Quantity.LOSS, float(s)) for s in range(10)]
    rows += [Row(s, Quantity.LOSS, 0.5, phase="validation") for s in (4, 9)]
    assert aligned(Trace(rows), Quantity.LOSS) == [(4, 2.0, 0.5), (9, 7.0, 0.5)]


@pytest.mark.parametrize("deviation", [0.01, 1.0])
def test_noise_is_the_deviation_around_any_straight_line(deviation):
    draw = random.Random(0)
    values = [5 - 3 * i + draw.gauss(0, deviation) for i in range(4000)]
    assert noise(values) == pytest.approx(deviation, rel=0.08)


def test_four_values_are_all_noise():
    assert noise([1.0, 1.0, 1.0, 1.0]) == math.inf


def test_slope_is_the_change_from_first_to_last():
    assert slope([1.0, 2.0, 3.0]) == pytest.approx(2.0)
    assert slope([7.0]) == 0.0


def test_a_running_median_drops_a_spike():
    assert smoothed([1.0, 1.0, 9.0, 1.0, 1.0]) == [1.0, 1.0, 1.0, 1.0, 1.0]


def test_the_reference_is_the_constant_guess_or_else_the_first_loss():
    assert reference_loss(curves([3.0, 1.0], chance=2.0)) == 2.0
    assert reference_loss(curves([3.0, 1.0], chance=None)) == 3.0
    assert reference_loss(Trace()) is None


def targets(mean, spread, least, largest, **facts):
    quantities = (Quantity.TARGET_MEAN, Quantity.TARGET_SPREAD)
    rows = [
        Row(i, q, v)
        for i in (0, 1)
        for q, v in zip(quantities, (mean + 3 * (-1) ** i, spread), strict=True)
    ]
    rows += [Row(0, Quantity.TARGET_MIN, least), Row(0, Quantity.TARGET_MAX, largest)]
    return Trace(rows, Facts(**facts))


def test_the_targets_tell_the_best_constant_guess():
    """Within the batches the variance is 16, between them 9."""
    for name in ("mse", "mean_squared_error"):
        assert guess_loss(targets(100.0, 4.0, 0.0, 200.0, loss=name)) == pytest.approx(25.0)
    wanted = math.sqrt(2 / math.pi) * 5
    for name in ("mae", "mean_absolute_error"):
        assert guess_loss(targets(100.0, 4.0, 0.0, 200.0, loss=name)) == pytest.approx(wanted)
    assert guess_loss(targets(100.0, 4.0, 0.0, 200.0, loss="huber")) is None


@pytest.mark.parametrize("name", ["binary_cross_entropy", "binary_crossentropy"])
def test_rare_classes_make_a_guess_cheaper(name):
    rows = [Row(0, Quantity.TARGET_MEAN, 0.1), Row(0, Quantity.TARGET_SPREAD, 0.3)]
    rows += [Row(0, Quantity.TARGET_MIN, 0.0), Row(0, Quantity.TARGET_MAX, 1.0)]
    facts = Facts(loss=name, chance_loss=math.log(2))
    assert guess_loss(Trace(rows, facts)) == pytest.approx(0.3251, abs=1e-4)
    assert guess_loss(Trace(rows[:1], facts)) == math.log(2)


def test_what_remains_needs_two_losses():
    assert remaining_loss(curves([3.0])) is None
    assert remaining_loss(curves([3.0] * 10 + [0.5] * 10, chance=2.0)) == 0.25
