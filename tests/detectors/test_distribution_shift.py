"""Validation data of another kind, told from chance and from overfitting."""

import pytest

from fitwell.detectors import DistributionShift
from fitwell.errors import ThresholdError
from fitwell.records import Facts, Quantity, Row, Trace
from fitwell.testing import DetectorContract


def shifted(value, count=200, *, quantity=Quantity.INPUT_SHIFT, losses=(), validation=(), **facts):
    rows = [Row(9, quantity, value, phase="validation", count=count)]
    rows += [Row(s, Quantity.LOSS, v) for s, v in enumerate(losses)]
    rows += [Row(s, Quantity.LOSS, v, phase="validation") for s, v in enumerate(validation)]
    return Trace(rows, Facts(chance_loss=1.0, **facts))


def found(trace):
    return [f.severity for f in DistributionShift().detect(trace)]


class TestDistributionShift(DetectorContract):
    def detector(self):
        return DistributionShift()

    def sick(self):
        return shifted(3.0)

    def healthy(self):
        return shifted(0.1)


@pytest.mark.parametrize(
    ("value", "severity"), [(0.2, []), (0.49, []), (0.6, ["moderate"]), (1.1, ["severe"])]
)
def test_inputs_may_lie_half_a_deviation_apart(value, severity):
    assert found(shifted(value)) == severity


def test_small_samples_differ_by_chance():
    assert found(shifted(0.8, count=30)) == []
    assert found(shifted(0.8, count=300)) == ["moderate"]
    assert found(shifted(5.0, count=1)) == []


def test_classes_are_judged_by_their_shares():
    classes = {"quantity": Quantity.TARGET_SHIFT, "target_kind": "integers", "classes": 10}
    assert found(shifted(0.45, **classes)) == []
    assert found(shifted(0.7, **classes)) == ["moderate"]
    assert found(shifted(1.0, **classes)) == ["severe"]
    assert found(shifted(0.7, count=20, **classes)) == [], "ten classes in twenty rows"


def test_targets_of_a_regression_are_judged_as_inputs_are():
    amounts = {"quantity": Quantity.TARGET_SHIFT, "target_kind": "floats"}
    assert found(shifted(1.2, **amounts)) == ["severe"]


def test_tokens_are_judged_by_their_shares_too():
    words = {"input_kind": "tokens"}
    assert found(shifted(0.15, count=9000, **words)) == []
    assert found(shifted(0.3, count=9000, **words)) == ["moderate"]
    assert found(shifted(0.3, count=1000, **words)) == [], "256 counts of a thousand tokens"


def test_outputs_count_where_inputs_were_not_read_and_the_mode_does_not_matter():
    outputs = {"quantity": Quantity.OUTPUT_SHIFT}
    assert found(shifted(1.2, **outputs)) == ["severe"]
    assert found(shifted(1.2, **outputs, mode_matters=True)) == []
    both = shifted(1.2, **outputs)
    both.add([Row(9, Quantity.INPUT_SHIFT, 0.05, phase="validation", count=200)])
    assert found(both) == []


def test_where_validation_keeps_up_the_shift_did_no_harm():
    curve = [1.0] * 5 + [0.3] * 15
    assert found(shifted(1.2, losses=curve, validation=[1.0, 0.3, 0.3])) == ["mild"]
    assert found(shifted(1.2, losses=curve, validation=[1.0, 1.5, 1.5])) == ["severe"]


def test_without_an_evaluation_it_is_unjudged():
    assert "evaluation" in DistributionShift().unjudged(Trace())


def test_limits_out_of_range_are_refused():
    with pytest.raises(ThresholdError, match="min_shift"):
        DistributionShift(min_shift=0.0)
