import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitwell.detectors import Overfitting
from fitwell.errors import ThresholdError
from fitwell.records import Facts, Quantity, Row, Trace
from fitwell.testing import DetectorContract
from fitwell.testing.made_traces import curves

STEPS = range(30)
PARTS = (("train", 0.95), ("validation", 0.95))
FALLING = [math.exp(-i / 3) for i in STEPS]


def overfitted(gap: float) -> Trace:
    """Training falls to nothing, validation falls with it to ``gap`` and stays."""
    return curves(FALLING, [max(f, gap) for f in FALLING])


class TestOverfitting(DetectorContract):
    def detector(self):
        return Overfitting()

    def sick(self):
        return curves(
            FALLING, [0.3 + 0.01 * i + 0.7 * f for i, f in zip(STEPS, FALLING, strict=True)]
        )

    def healthy(self):
        return curves(FALLING, [f + 0.03 for f in FALLING])


@pytest.mark.parametrize(("gap", "found"), [(0.119, 0), (0.121, 1)])
def test_a_gap_counts_from_twelve_hundredths_of_a_constant_guess_on(gap, found):
    assert len(list(Overfitting().detect(overfitted(gap)))) == found


@pytest.mark.parametrize(
    ("gap", "accuracy", "severity"),
    [
        (0.17, 0.95, "mild"),
        (0.26, 0.95, "moderate"),
        (0.51, 0.95, "severe"),
        (0.2, 0.88, "moderate"),
        (0.2, 0.75, "severe"),
    ],
)
def test_the_worse_of_loss_and_accuracy_tells_the_severity(gap, accuracy, severity):
    trace = overfitted(gap)
    ends = (("train", 1.0), ("validation", accuracy))
    rows = [Row(i, Quantity.METRIC, v, phase=phase) for i in STEPS for phase, v in ends]
    told = Trace([*trace.rows, *rows], replace(trace.facts, classes=10))
    assert [f.severity for f in Overfitting().detect(told)] == [severity]


def test_the_gap_is_measured_against_the_loss_of_a_constant_guess():
    trace = overfitted(0.2)
    larger = Trace(trace.rows, Facts(chance_loss=4.0))
    assert list(Overfitting().detect(trace))
    assert not list(Overfitting().detect(larger))


def test_a_noisy_flat_gap_is_no_overfitting():
    draw = random.Random(1)
    training = [0.2 + draw.gauss(0, 0.1) for _ in range(60)]
    validation = [0.35 + draw.gauss(0, 0.1) for _ in range(60)]
    assert not list(Overfitting().detect(curves(training, validation)))


def test_a_gap_that_was_there_from_the_start_is_no_overfitting():
    assert not list(Overfitting().detect(curves([0.3] * 30, [0.9] * 30)))


def test_training_must_be_far_below_validation():
    assert not list(
        Overfitting().detect(
            curves([0.5 + f / 2 for f in FALLING], [0.9 + f / 10 for f in FALLING])
        )
    )


def test_validation_that_still_falls_is_left_alone():
    validation = [1.0 - 0.02 * i for i in STEPS]
    assert not list(Overfitting().detect(curves(FALLING, validation)))


def test_a_short_dip_of_validation_is_none():
    validation = [f + 0.02 for f in FALLING]
    validation[20] = 0.9
    assert not list(Overfitting().detect(curves(FALLING, validation)))


def test_minibatch_losses_between_evaluations_are_averaged():
    rows = [Row(s, Quantity.LOSS, 0.01 if s > 40 else 1.0) for s in range(300)]
    rows += [
        Row(s, Quantity.LOSS, 0.6 if s > 50 else 1.0, phase="validation") for s in range(9, 300, 10)
    ]
    (finding,) = Overfitting().detect(Trace(rows, Facts(chance_loss=1.0)))
    assert finding.evidence["training"] == pytest.approx(0.01)
    assert finding.evidence["gap"] == pytest.approx(0.59)


@pytest.mark.parametrize(("gap", "found"), [(0.05, 0), (0.15, 1)])
def test_without_losses_the_metric_is_judged(gap, found):
    rows = []
    for i, f in zip(STEPS, FALLING, strict=True):
        rows += [
            Row(i, Quantity.METRIC, 1 - 0.9 * f),
            Row(i, Quantity.METRIC, min(1 - gap, 1 - 0.9 * f), phase="validation"),
        ]
    assert len(list(Overfitting().detect(Trace(rows, Facts(metric="accuracy"))))) == found


def test_without_validation_it_is_silent_and_says_so():
    trace = curves(FALLING)
    assert not list(Overfitting().detect(trace))
    assert "val_loss" in Overfitting().unjudged(trace)


def test_two_evaluations_are_too_few_and_that_is_said():
    trace = curves(FALLING[:2], [1.0, 2.0])
    assert not list(Overfitting().detect(trace))
    assert "there were 2" in Overfitting().unjudged(trace)


@pytest.mark.parametrize(("validation", "found"), [([0.9, 1.1, 1.5, 2.0], 1), ([0.9, 1.5, 1.0], 0)])
def test_with_four_evaluations_the_gap_must_grow_at_each(validation, found):
    training = [1.0, 0.5, 0.2, 0.05][: len(validation)]
    assert len(list(Overfitting().detect(curves(training, validation)))) == found


def test_validation_that_began_far_off_and_never_was_of_use_comes_from_elsewhere():
    assert not list(Overfitting().detect(curves(FALLING, [1.5 + 0.2 * i for i in STEPS])))


def test_the_interval_of_the_gap_is_wide_with_few_rows():
    trace = overfitted(0.3)
    few = Trace(trace.rows, replace(trace.facts, validation_rows=20))
    (many,), (small,) = (list(Overfitting().detect(t)) for t in (trace, few))
    assert small.evidence["gap_low"] < many.evidence["gap_low"] < many.evidence["relative_gap"]
    assert (small.severity, many.severity) == ("mild", "moderate")


def test_a_classifier_that_is_right_as_often_in_validation_lost_only_its_calibration():
    trace = overfitted(0.6)
    rows = [Row(i, Quantity.METRIC, v, phase=p) for i in STEPS for p, v in PARTS]
    (finding,) = Overfitting().detect(Trace([*trace.rows, *rows], replace(trace.facts, classes=9)))
    assert finding.severity == "mild"


def test_validation_that_surely_turned_is_no_trifle():
    level = [max(f, 0.15) + 0.004 * max(0, i - 10) for i, f in zip(STEPS, FALLING, strict=True)]
    trace = curves(FALLING, level)
    sure = Trace(trace.rows, replace(trace.facts, validation_rows=800))
    unsure = Trace(trace.rows, replace(trace.facts, validation_rows=50))
    found = [[f.severity for f in Overfitting().detect(t)] for t in (sure, unsure)]
    assert found == [["moderate"], ["mild"]]


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(1e-3, 1e3), seed=st.integers(0, 99))
def test_the_unit_of_the_loss_does_not_matter(scale, seed):
    draw = random.Random(seed)
    validation = [max(f, 0.4) + draw.gauss(0, 0.01) for f in FALLING]
    trace = curves(FALLING, validation)
    moved = curves([v * scale for v in FALLING], [v * scale for v in validation], chance=scale)
    found = [[f.severity for f in Overfitting().detect(t)] for t in (trace, moved)]
    assert found[0] == found[1]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), noise=st.floats(0, 0.3), pace=st.floats(2, 10))
def test_noise_on_a_healthy_pair_of_curves_stays_without_finding(seed, noise, pace):
    draw = random.Random(seed)
    training = [0.02 + math.exp(-i / pace) * draw.lognormvariate(0, noise) for i in STEPS]
    validation = [0.05 + math.exp(-i / pace) * draw.lognormvariate(0, noise) for i in STEPS]
    assert not list(Overfitting().detect(curves(training, validation)))


def test_since_is_where_half_the_gap_had_opened():
    validation = [1.0] * 30
    training = [1.0] * 15 + [0.1] * 15
    (finding,) = Overfitting().detect(curves(training, validation))
    assert finding.since == 150


def test_limits_out_of_range_are_refused():
    with pytest.raises(ThresholdError, match="min_gap"):
        Overfitting(min_gap=0.0)
