from dataclasses import replace

import pytest

from fitwell.detectors import BadInitialization
from fitwell.errors import ThresholdError
from fitwell.records import Quantity, Row, Trace
from fitwell.testing import DetectorContract
from fitwell.testing.made_traces import start

SIZE, SIGNAL, WEIGHTS = Quantity.OUTPUT_RMS, Quantity.SIGNAL_RMS, Quantity.WEIGHT_NORM


def level(decades: float) -> list[float]:
    return [10 ** (decades * i / 5) for i in range(6)]


def found(trace: Trace) -> list[str]:
    return [name for f in BadInitialization().detect(trace) for name in f.evidence]


class TestBadInitialization(DetectorContract):
    def detector(self):
        return BadInitialization()

    def sick(self):
        return start({SIZE: level(6)})

    def healthy(self):
        return start({})


@pytest.mark.parametrize(("decades", "names"), [(1.9, []), (2.1, ["growth"])])
def test_outputs_may_grow_by_two_decades_over_depth(decades, names):
    assert found(start({SIZE: level(decades)})) == names


@pytest.mark.parametrize(("decades", "names"), [(-2.9, []), (-3.1, ["fall"])])
def test_the_signal_may_fall_by_three_decades_over_depth(decades, names):
    assert found(start({SIGNAL: level(decades)})) == names


def test_before_training_the_signal_may_fall_by_four():
    assert found(start({SIGNAL: level(-3.9)}, losses=[1.0])) == []
    assert found(start({SIGNAL: level(-4.1)}, losses=[1.0])) == ["fall"]


def test_sigmoids_shrink_the_signal_whatever_the_weights():
    assert found(start({SIGNAL: level(-8)}, activation="sigmoid")) == []


@pytest.mark.parametrize(
    ("factor", "names"),
    [(0.04, ["factor"]), (0.06, []), (0.41, []), (3.9, []), (4.1, ["factor"])],
)
def test_weights_may_be_four_times_too_large_or_twenty_times_too_small(factor, names):
    assert found(start({WEIGHTS: [factor * 200**0.5] * 6})) == names


def test_units_that_are_all_alike_are_named_but_not_those_of_the_output_layer():
    (finding,) = BadInitialization().detect(start({Quantity.UNIT_SPREAD: [0.0] * 6}))
    assert finding.evidence == {"alike": 5.0}
    assert finding.layers == tuple(f"layers.{i}" for i in range(5))
    assert finding.severity == "severe"


def test_units_that_the_next_layer_tells_apart_do_not_stay_alike():
    spread = [1.0, 1.0, 0.0, 0.0, 1.0, 1.0]
    (finding,) = BadInitialization().detect(start({Quantity.UNIT_SPREAD: spread}))
    assert finding.layers == ("layers.2",)
    assert found(start({Quantity.UNIT_SPREAD: [1.0, 1.0, 0.0, 1.0, 1.0, 1.0]})) == []


@pytest.mark.parametrize(("factor", "names"), [(2.4, []), (2.6, ["factor", "odd"])])
def test_one_layer_made_otherwise_than_the_rest_is_named_alone(factor, names):
    norms = [0.4 * 200**0.5] * 6
    norms[2] = factor * 200**0.5
    trace = start({WEIGHTS: norms})
    assert found(trace) == names
    for finding in BadInitialization().detect(trace):
        assert finding.layers == ("layers.2",)
        assert "weights of layers.2 6.5 times too large at step 0" in finding.phrase


def test_a_signal_that_jumps_at_one_layer_names_that_layer():
    (finding,) = BadInitialization().detect(start({SIZE: [1.0, 1.0, 1e6, 1e6, 1e6, 1e6]}))
    assert finding.layers == ("layers.2",)


def test_a_signal_that_drops_at_one_layer_is_no_fall_over_depth():
    assert found(start({SIGNAL: [1.0, 1.0, 1.0, 1e-8, 1e-8, 1e-8]})) == []


@pytest.mark.parametrize(
    ("factor", "loss", "names"),
    [(3.9, 0.3, []), (4.1, 0.3, ["factor"]), (4.1, 0.09, []), (0.01, 0.3, [])],
)
def test_a_network_that_has_half_learned_had_bad_weights_only_if_they_were_too_large(
    factor, loss, names
):
    assert found(start({WEIGHTS: [factor * 200**0.5] * 6}, losses=[1.0] + [loss] * 30)) == names


def test_what_a_normalisation_follows_may_have_any_size():
    assert found(start({SIZE: level(6), WEIGHTS: [900.0] * 6}, normalized=True)) == []


def test_a_network_that_has_learned_had_no_bad_weights():
    assert found(start({SIZE: level(6)}, losses=[1.0] + [0.2] * 30)) == []


def test_a_run_whose_first_step_was_not_recorded_is_unjudged():
    assert "first step" in BadInitialization().unjudged(Trace())


def test_limits_out_of_range_are_refused():
    with pytest.raises(ThresholdError, match="max_factor"):
        BadInitialization(max_factor=0.5)


@pytest.mark.parametrize(("first", "names"), [(2.9, []), (3.1, ["first_loss"])])
def test_a_classifier_may_not_begin_far_above_a_guess(first, names):
    trace = start({}, losses=[first, *[1.0] * 29])
    sure = Trace(trace.rows, replace(trace.facts, loss="cross_entropy"))
    assert found(sure) == names
    assert found(Trace(trace.rows, replace(trace.facts, loss="mse"))) == []
    clipped = replace(sure.facts, loss_expects="probabilities")
    assert found(Trace(trace.rows, clipped)) == [], "what does not fit the loss is no first weight"
    raw = [*trace.rows, Row(0, Quantity.INPUT_NORM, 100.0)]
    assert found(Trace(raw, sure.facts)) == [], "the inputs are what is large"
