import pytest

from fitwell.detectors import BadInitialization
from fitwell.errors import ThresholdError
from fitwell.records import Quantity, Trace
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
    [(0.04, ["factor"]), (0.06, []), (0.41, []), (4.9, []), (5.1, ["factor"])],
)
def test_weights_may_be_five_times_too_large_or_twenty_times_too_small(factor, names):
    assert found(start({WEIGHTS: [factor * 200**0.5] * 6})) == names


def test_units_that_are_all_alike_are_named_but_not_those_of_the_output_layer():
    (finding,) = BadInitialization().detect(start({Quantity.UNIT_SPREAD: [0.0] * 6}))
    assert finding.evidence == {"alike": 5.0}
    assert finding.layers == tuple(f"layers.{i}" for i in range(5))
    assert finding.severity == "severe"


def test_what_a_normalisation_follows_may_have_any_size():
    assert found(start({SIZE: level(6), WEIGHTS: [900.0] * 6}, normalized=True)) == []


def test_a_network_that_has_learned_had_no_bad_weights():
    assert found(start({SIZE: level(6)}, losses=[1.0] + [0.1] * 30)) == []


def test_a_run_whose_first_step_was_not_recorded_is_unjudged():
    assert "first step" in BadInitialization().unjudged(Trace())


def test_limits_out_of_range_are_refused():
    with pytest.raises(ThresholdError, match="max_factor"):
        BadInitialization(max_factor=0.5)
