import pytest

from fitwell.detectors import DeadUnits, SaturatedUnits
from fitwell.errors import ThresholdError
from fitwell.records import Facts, Quantity, Row, Trace
from fitwell.testing import DetectorContract
from fitwell.testing.made_traces import shares


class TestDeadUnits(DetectorContract):
    def detector(self):
        return DeadUnits()

    def sick(self):
        return shares(Quantity.DEAD_SHARE, [0.9] * 10)

    def healthy(self):
        return shares(Quantity.DEAD_SHARE, [0.2] * 10)


@pytest.mark.parametrize(("share", "found"), [(0.49, 0), (0.5, 0), (0.51, 1)])
def test_half_of_a_layer_may_be_dead_and_no_more(share, found):
    trace = shares(Quantity.DEAD_SHARE, [share] * 10)
    assert len(list(DeadUnits().detect(trace))) == found


@pytest.mark.parametrize(("share", "found"), [(0.8, 0), (0.95, 1)])
def test_a_network_that_has_learned_may_be_sparse(share, found):
    trace = shares(Quantity.DEAD_SHARE, [share] * 10, loss=0.1)
    assert len(list(DeadUnits().detect(trace))) == found


@pytest.mark.parametrize(("samples", "found"), [(31, 0), (32, 1)])
def test_few_samples_prove_no_death(samples, found):
    trace = shares(Quantity.DEAD_SHARE, [0.99] * 10, count=samples)
    assert len(list(DeadUnits().detect(trace))) == found


def test_units_that_recovered_are_not_dead():
    assert not list(DeadUnits().detect(shares(Quantity.DEAD_SHARE, [0.9] * 10 + [0.1] * 5)))


def test_since_is_the_step_that_they_died_at():
    (finding,) = DeadUnits().detect(shares(Quantity.DEAD_SHARE, [0.1] * 7 + [0.9] * 8))
    assert finding.since == 7
    assert finding.evidence["first_share"] == 0.1


def test_a_network_without_relu_is_unjudged():
    assert "no ReLU" in DeadUnits().unjudged(Trace())


class TestSaturatedUnits(DetectorContract):
    def detector(self):
        return SaturatedUnits()

    def sick(self):
        return shares(Quantity.SATURATED_SHARE, [0.8] * 10)

    def healthy(self):
        return shares(Quantity.SATURATED_SHARE, [0.05] * 10)


@pytest.mark.parametrize(("share", "found"), [(0.5, 0), (0.51, 1)])
def test_half_of_the_values_may_be_saturated_and_no_more(share, found):
    trace = shares(Quantity.SATURATED_SHARE, [share] * 10)
    assert len(list(SaturatedUnits().detect(trace))) == found


def test_a_classifier_that_is_sure_may_saturate():
    assert not list(SaturatedUnits().detect(shares(Quantity.SATURATED_SHARE, [0.9] * 10, loss=0.1)))


def test_output_layers_may_saturate():
    rows = [Row(s, Quantity.SATURATED_SHARE, 0.9, "layers.2") for s in range(10)]
    facts = shares(Quantity.SATURATED_SHARE, []).facts
    assert not list(SaturatedUnits().detect(Trace(rows, facts)))
    assert list(SaturatedUnits().detect(Trace(rows, Facts())))


def test_limits_out_of_range_are_refused():
    with pytest.raises(ThresholdError, match="max_dead"):
        DeadUnits(max_dead=1.5)
    with pytest.raises(ThresholdError, match="window"):
        SaturatedUnits(window=0)
