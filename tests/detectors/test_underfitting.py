import math
from dataclasses import replace

import pytest

from fitwell.detectors import Underfitting
from fitwell.errors import ThresholdError
from fitwell.records import LayerFact, Quantity, Row, Trace
from fitwell.testing import DetectorContract
from fitwell.testing.made_traces import curves


class TestUnderfitting(DetectorContract):
    def detector(self):
        return Underfitting()

    def sick(self):
        return curves([0.95] * 100)

    def healthy(self):
        return curves([0.1 + math.exp(-i / 10) for i in range(100)])


@pytest.mark.parametrize(("level", "found"), [(0.84, 0), (0.86, 1)])
def test_the_loss_must_rest_near_that_of_a_constant_guess(level, found):
    assert len(list(Underfitting().detect(curves([level] * 100)))) == found


def test_a_loss_that_still_falls_is_mild_and_asks_for_more_steps():
    (finding,) = Underfitting().detect(curves([1.0 - 0.001 * i for i in range(100)]))
    assert finding.severity == "mild"
    assert "more steps" in finding.advice


def test_nothing_learned_is_another_condition_unless_something_holds_the_network_back():
    trace = curves([1.0] * 100)
    assert not list(Underfitting().detect(trace))
    (finding,) = Underfitting().detect(Trace(trace.rows, replace(trace.facts, dropout=0.9)))
    assert finding.severity == "severe"
    assert "dropout of 0.9" in finding.explanation


@pytest.mark.parametrize(("losses", "found"), [(9, 0), (10, 0), (11, 1)])
def test_short_runs_are_left_alone(losses, found):
    """One loss every ten steps: eleven of them span a hundred."""
    assert len(list(Underfitting().detect(curves([0.9] * losses)))) == found


def test_without_the_loss_of_a_constant_guess_it_says_what_is_missing():
    trace = curves([1.0] * 100, chance=None)
    assert not list(Underfitting().detect(trace))
    assert "chance_loss" in Underfitting().unjudged(trace)


WIDTHS = (("encoder", 48), ("code", 2), ("decoder", 48))


def told(losses, *rows, **facts):
    trace = curves(losses)
    return Trace([*trace.rows, *rows], replace(trace.facts, **facts))


@pytest.mark.parametrize(("level", "found"), [(0.39, 0), (0.41, 1)])
def test_near_rows_show_what_could_be_attained(level, found):
    trace = told([level] * 100, Row(0, Quantity.NEIGHBOR_DISAGREEMENT, 0.1))
    assert len(list(Underfitting().detect(trace))) == found


def test_noise_in_the_labels_cannot_be_lowered():
    noisy = Row(0, Quantity.NEIGHBOR_DISAGREEMENT, 0.75)
    assert not list(Underfitting().detect(told([0.8] * 100, noisy)))
    (finding,) = Underfitting().detect(told([0.9] * 100, noisy))
    assert finding.severity == "mild"
    assert "different targets" in finding.explanation


def test_a_reconstruction_may_lose_something():
    near = Row(0, Quantity.NEIGHBOR_DISAGREEMENT, 0.1)
    assert not list(Underfitting().detect(told([0.6] * 100, near, output_shape=(32, 64))))
    assert list(Underfitting().detect(told([0.6] * 100, near, output_shape=(32, 1))))


def test_the_lower_of_training_and_validation_counts():
    trace = curves([0.9] * 100, [0.3] * 100)
    assert not list(Underfitting().detect(trace))


def test_a_classifier_that_is_nearly_always_right_has_not_underfitted():
    scores = [Row(10 * i, Quantity.METRIC, 0.95) for i in range(100)]
    assert not list(Underfitting().detect(told([0.9] * 100, *scores, classes=10)))
    assert list(Underfitting().detect(told([0.9] * 100, *scores, classes=0)))


def test_what_holds_it_back_is_named():
    layers = (LayerFact("first", "Linear", "hidden", 0, units=1), LayerFact("x", "Linear", "o", 1))
    sizes = [Row(0, Quantity.WEIGHT_NORM, 10.0), Row(990, Quantity.WEIGHT_NORM, 1.0)]
    trace = told([0.9] * 100, *sizes, layers=layers, weight_decay=0.5, classes=10)
    (finding,) = Underfitting().detect(trace)
    assert "1 unit (first)" in finding.explanation
    assert "shrank the weights to 10%" in finding.explanation
    assert finding.evidence["shrunk"] == 0.1


@pytest.mark.parametrize(("units", "found"), [(1, 1), (3, 1), (4, 0)])
def test_three_units_for_ten_classes_are_few(units, found):
    layers = (LayerFact("code", "Linear", "hidden", 0, units=units),)
    assert len(list(Underfitting().detect(told([0.6] * 100, layers=layers, classes=10)))) == found


def test_a_loss_that_rises_is_not_at_rest():
    assert not list(Underfitting().detect(curves([0.86 + 0.001 * i for i in range(100)])))


def test_a_loss_above_that_of_a_constant_guess_is_no_matter_of_capacity():
    assert not list(Underfitting().detect(curves([1.5] * 100)))


def test_limits_out_of_range_are_refused():
    with pytest.raises(ThresholdError, match="min_steps"):
        Underfitting(min_steps=5)


@pytest.mark.parametrize(
    ("kind", "units", "parameters", "found"),
    [
        ("Embedding", 500, 500, 1),
        ("Embedding", 500, 8000, 0),
        ("LSTM", 8, 99, 1),
        ("GRU", 12, 99, 0),
    ],
)
def test_units_are_what_a_layer_hands_on(kind, units, parameters, found):
    layer = LayerFact("x", kind, "hidden", 0, units=units, parameters=parameters)
    trace = told([0.6] * 100, layers=(layer,), classes=10)
    assert len(list(Underfitting().detect(trace))) == found


def test_a_narrow_code_is_meant_and_a_network_that_is_narrow_everywhere_is_not():
    code = [LayerFact(n, "Linear", "hidden", i, units=u) for i, (n, u) in enumerate(WIDTHS)]
    for layers, found in ((code, 0), (code[1:2], 1)):
        trace = told([0.6] * 100, layers=tuple(layers), output_shape=(32, 64))
        assert len(list(Underfitting().detect(trace))) == found
