"""Batch norm over few rows, and in a recurrence."""

import pytest

from fitwell.detectors import RecurrentBatchNorm, SmallBatchNorm
from fitwell.errors import ThresholdError
from fitwell.records import Facts, NormFact, Quantity, Row, Trace
from fitwell.testing import DetectorContract

WELL = [1.0, *[0.1] * 29]


def normed(rows, *, drift=None, losses=None, validation=(), **norm):
    fact = NormFact("norm", norm.pop("kind", "batch"), rows=rows, momentum=0.1, tracks=True, **norm)
    found = [Row(s, Quantity.LOSS, v) for s, v in enumerate(losses or [1.0] * 30)]
    found += [Row(s, Quantity.LOSS, v, phase="validation") for s, v in enumerate(validation)]
    if drift is not None:
        found += [Row(s, Quantity.STATISTICS_DRIFT, drift, "norm", count=rows) for s in range(30)]
    return Trace(found, Facts(norms=(fact,), chance_loss=1.0))


def small(trace):
    return [(f.severity, f.evidence) for f in SmallBatchNorm().detect(trace)]


def recurrent(trace):
    return [(f.severity, f.evidence) for f in RecurrentBatchNorm().detect(trace)]


class TestSmallBatchNorm(DetectorContract):
    def detector(self):
        return SmallBatchNorm()

    def sick(self):
        return normed(2, drift=0.8)

    def healthy(self):
        return normed(32, drift=0.2)


class TestRecurrentBatchNorm(DetectorContract):
    def detector(self):
        return RecurrentBatchNorm()

    def sick(self):
        return normed(64, recurrent=True, calls=20)

    def healthy(self):
        return normed(64)


@pytest.mark.parametrize(
    ("rows", "severity"),
    [(0, None), (1, "severe"), (4, "severe"), (5, "moderate"), (15, "moderate"), (16, None)],
)
def test_below_sixteen_rows_statistics_are_noise_and_at_four_severe(rows, severity):
    assert [s for s, _ in small(normed(rows))] == ([severity] if severity else [])


def test_pixels_count_as_far_as_they_are_independent():
    assert small(normed(4, drift=0.1)) == []
    assert small(normed(4, drift=0.5)) == [("severe", {"rows": 4.0, "drift": 0.5})]


def test_first_steps_tell_nothing_of_the_drift():
    trace = normed(4)
    trace.add(Row(s, Quantity.STATISTICS_DRIFT, 0.1, "norm") for s in range(5))
    assert small(trace) == [("severe", {"rows": 4.0})]


def test_a_run_that_went_well_is_mild_unless_validation_stays_behind():
    assert small(normed(4, losses=WELL))[0][0] == "mild"
    assert small(normed(4, losses=WELL, validation=[0.12] * 5))[0][0] == "mild"
    assert small(normed(4, losses=WELL, validation=[0.9] * 5))[0][0] == "severe"


@pytest.mark.parametrize("kind", ["layer", "group", "instance", "rms"])
def test_other_normalisations_need_no_batch(kind):
    assert small(normed(2, kind=kind)) == []
    assert recurrent(normed(2, kind=kind, recurrent=True, calls=9)) == []


def test_a_batch_of_one_row_that_raised_is_told():
    message = "Expected more than 1 value per channel when training, got input size [1, 3]"
    (finding,) = SmallBatchNorm().detect(Trace([], Facts(error=message)))
    assert finding.severity == "severe"
    assert "drop_last" in finding.advice


def test_a_recurrence_is_told_by_its_calls():
    assert recurrent(normed(64, recurrent=True, calls=20)) == [("severe", {"calls": 20.0})]
    assert recurrent(normed(64, recurrent=True)) == [("moderate", {"calls": 1.0})]
    assert recurrent(normed(64, recurrent=True, calls=20, losses=WELL))[0][0] == "moderate"
    assert recurrent(normed(64, recurrent=True, losses=WELL))[0][0] == "mild"
    assert recurrent(normed(64, calls=2)) == [], "a reused norm is none in a recurrence"


def test_a_norm_in_a_recurrence_is_not_named_for_its_rows_too():
    assert small(normed(2, recurrent=True, calls=20)) == []


def test_limits_out_of_range_are_refused():
    with pytest.raises(ThresholdError, match="min_rows"):
        SmallBatchNorm(min_rows=1)
