"""Raw inputs and targets are named, scaled ones and harmless ones are not."""

import pytest

from fitwell.detectors import UnscaledInputs
from fitwell.errors import ThresholdError
from fitwell.records import Facts, LayerFact, Quantity, Row, Trace
from fitwell.testing import DetectorContract

FIRST = LayerFact("first", "Linear", "hidden", 0, activation="relu", units=8)


def inputs(rms=1.0, peak=3.0, spread=1.5, *, losses=(1.0,) * 20, steps=20, **facts):
    values = {
        Quantity.INPUT_NORM: rms,
        Quantity.INPUT_MAX: peak,
        Quantity.INPUT_SPREAD: spread,
        Quantity.TARGET_MEAN: facts.pop("mean", 0.0),
        Quantity.TARGET_SPREAD: facts.pop("deviation", 1.0),
    }
    rows = [Row(s, q, v) for s in range(steps) for q, v in values.items()]
    rows += [Row(s, Quantity.LOSS, v) for s, v in enumerate(losses[:steps])]
    return Trace(rows, Facts(**({"layers": (FIRST,), "chance_loss": 1.0} | facts)))


def found(trace):
    return [(f.severity, tuple(f.evidence)) for f in UnscaledInputs().detect(trace)]


class TestUnscaledInputs(DetectorContract):
    def detector(self):
        return UnscaledInputs()

    def sick(self):
        return inputs(rms=120.0, peak=255.0)

    def healthy(self):
        return inputs()


def test_grey_values_are_moderate_and_the_first_layer_is_named():
    (finding,) = UnscaledInputs().detect(inputs(rms=120.0, peak=255.0))
    assert finding.severity == "moderate"
    assert finding.layers == ("first",)
    assert finding.since is None
    assert finding.evidence == {"input_rms": 120.0}
    assert "255" in finding.advice


@pytest.mark.parametrize(("rms", "count"), [(7.8, 0), (19.9, 0), (20.1, 1)])
def test_the_size_of_inputs_has_a_limit(rms, count):
    assert len(found(inputs(rms=rms, peak=3 * rms))) == count


def test_far_beyond_the_limit_a_run_that_failed_is_severe():
    assert found(inputs(rms=300.0, peak=900.0)) == [("severe", ("input_rms",))]
    assert found(inputs(rms=300.0, peak=900.0, steps=1)) == [("moderate", ("input_rms",))]


def test_features_of_different_deviations_count_where_values_are_large():
    assert found(inputs(rms=6.0, peak=300.0, spread=900.0)) == [
        ("moderate", ("input_spread", "input_max"))
    ]
    assert not found(inputs(rms=0.3, peak=1.0, spread=900.0)), "rare pixels"
    assert not found(inputs(rms=6.0, peak=300.0, spread=90.0))


@pytest.mark.parametrize(("peak", "count"), [(0.0, 0), (0.001, 1), (0.009, 1), (0.02, 0)])
def test_inputs_may_not_be_tiny(peak, count):
    assert len(found(inputs(rms=peak / 3, peak=peak))) == count


def test_what_has_learned_all_the_same_is_mild_unless_it_is_far_out_of_scale():
    assert found(inputs(rms=50.0, peak=90.0, losses=(1.0, *(0.1,) * 19)))[0][0] == "mild"
    trace = inputs(rms=300.0, peak=900.0, losses=(1.0, *(0.1,) * 19))
    assert found(trace)[0][0] == "moderate", "so far out of scale, it learned worse than it could"
    trace.add([Row(s, Quantity.LOSS, 3.0, phase="validation") for s in (9, 19)])
    assert found(trace)[0][0] == "severe", "only the training rows were learned"


def test_a_normalisation_of_the_input_or_behind_the_first_layer_makes_size_harmless():
    assert not found(inputs(rms=300.0, peak=900.0, spread=1e4, input_normalized=True))
    behind = LayerFact("first", "Linear", "hidden", 0, normalized=True)
    assert not found(inputs(rms=300.0, peak=900.0, layers=(behind,)))
    assert found(inputs(rms=300.0, peak=900.0, spread=1e4, layers=(behind,)))


def test_numbers_of_words_have_no_scale():
    assert not found(inputs(rms=3e4, peak=5e4, input_kind="tokens"))


def test_targets_of_a_regression_are_judged_and_told_apart():
    prices = {"mean": 2e5, "deviation": 8e4, "chance_loss": None}
    (finding,) = UnscaledInputs().detect(inputs(loss="mse", losses=(4.6e10,) * 20, **prices))
    assert finding.layers == ()
    assert list(finding.evidence) == ["target_rms"]
    assert "tandardise the targets" in finding.advice
    assert finding.severity == "severe"
    assert not found(inputs(loss="cross_entropy", mean=50.0, deviation=29.0))
    assert not found(inputs(loss="mse", mean=22.0, deviation=9.0))


def test_a_regression_has_learned_when_its_error_is_below_the_variance_of_the_targets():
    prices = {"mean": 2e5, "deviation": 1e4, "chance_loss": None, "loss": "mse"}
    only_the_mean = inputs(losses=(4e10, *(1e8,) * 19), **prices)
    assert found(only_the_mean)[0][0] == "severe"
    more = inputs(losses=(4e10, *(2e7,) * 19), **prices)
    assert found(more)[0][0] == "mild"


def test_limits_out_of_range_are_refused():
    with pytest.raises(ThresholdError, match="max_size"):
        UnscaledInputs(max_size=0.5)
