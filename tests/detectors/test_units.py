from dataclasses import replace

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


@pytest.mark.parametrize(
    ("share", "loss", "found"), [(0.8, 0.2, 0), (0.95, 0.2, 1), (0.95, 0.09, 0)]
)
def test_a_network_that_has_learned_may_be_sparse(share, loss, found):
    trace = shares(Quantity.DEAD_SHARE, [share] * 10, loss=loss)
    assert len(list(DeadUnits().detect(trace))) == found


@pytest.mark.parametrize(
    ("share", "samples", "found"), [(0.8, 31, 0), (0.8, 32, 1), (0.99, 15, 0), (0.99, 16, 1)]
)
def test_few_samples_prove_no_death(share, samples, found):
    trace = shares(Quantity.DEAD_SHARE, [share] * 10, count=samples)
    assert len(list(DeadUnits().detect(trace))) == found


@pytest.mark.parametrize(("share", "found"), [(0.8, 0), (0.95, 1)])
def test_what_was_read_in_the_first_half_alone_must_be_nearly_all(share, found):
    trace = shares(Quantity.DEAD_SHARE, [share] * 10)
    trace.add([Row(s, Quantity.LOSS, 1.0) for s in range(20, 60)])
    assert len(list(DeadUnits().detect(trace))) == found


def test_units_that_recovered_are_not_dead():
    assert not list(DeadUnits().detect(shares(Quantity.DEAD_SHARE, [0.9] * 10 + [0.1] * 5)))


def test_since_is_the_step_that_they_died_at():
    (finding,) = DeadUnits().detect(shares(Quantity.DEAD_SHARE, [0.1] * 7 + [0.9] * 8))
    assert finding.since == 7
    assert finding.evidence["first_share"] == 0.1


def layered(dead: list[float], *, bypassed: bool = False) -> Trace:
    layers = tuple(
        replace(fact, bypassed=bypassed) for fact in shares(Quantity.DEAD_SHARE, []).facts.layers
    )
    rows = [
        Row(step, Quantity.DEAD_SHARE, value, f"layers.{i}", count=1024)
        for step in range(10)
        for i, value in enumerate(dead)
    ]
    rows += [Row(s, Quantity.LOSS, 1.0) for s in range(19)]
    return Trace(rows, Facts(layers=layers, chance_loss=1.0))


@pytest.mark.parametrize(
    ("dead", "bypassed", "named"),
    [
        ([1.0, 0.6, 0.55], False, ("layers.0",)),
        ([0.95, 0.6, 0.95], False, ("layers.0", "layers.2")),
        ([1.0, 0.6, 1.0], False, ("layers.0",)),
        ([0.7, 0.6, 0.1], False, ("layers.0", "layers.1")),
        ([0.6, 1.0, 0.6], False, ("layers.0", "layers.1")),
        ([1.0, 0.6, 0.1], True, ("layers.0", "layers.1")),
    ],
)
def test_layers_behind_one_that_is_silent_altogether_are_not_named(dead, bypassed, named):
    (finding,) = DeadUnits().detect(layered(dead, bypassed=bypassed))
    assert finding.layers == named


@pytest.mark.parametrize(("units", "found"), [(7, 0), (8, 1)])
def test_in_a_narrow_layer_nearly_all_units_must_be_dead(units, found):
    trace = layered([0.7, 0.0, 0.0])
    layers = tuple(replace(fact, units=units) for fact in trace.facts.layers)
    narrow = Trace(trace.rows, Facts(layers=layers, chance_loss=1.0))
    assert len(list(DeadUnits().detect(narrow))) == found


def test_evidence_tells_units_born_dead_from_those_that_a_step_killed():
    born = shares(Quantity.DEAD_SHARE, [0.9] * 10)
    (finding,) = DeadUnits().detect(born)
    assert "first biases" in finding.explanation
    assert finding.phrase == "90% of the units of layers.0 are dead from the start"
    killed = shares(Quantity.DEAD_SHARE, [0.1] * 3 + [0.9] * 7)
    moves = [
        Row(step, quantity, value, "layers.0")
        for step in range(10)
        for quantity, value in (
            (Quantity.WEIGHT_NORM, 2.0),
            (Quantity.UPDATE_NORM, 8.0 if step == 2 else 0.1),
        )
    ]
    (finding,) = DeadUnits().detect(Trace([*killed.rows, *moves], killed.facts))
    assert finding.evidence["largest_update"] == 4.0
    assert "training that killed them" in finding.explanation
    assert finding.phrase == "90% of the units of layers.0 are dead from step 3"


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


@pytest.mark.parametrize(
    ("first", "loss", "found"), [(0.1, 0.2, 0), (0.9, 0.2, 1), (0.9, 0.09, 0), (0.1, 1.0, 1)]
)
def test_a_classifier_that_is_sure_may_saturate_unless_it_began_so(first, loss, found):
    trace = shares(Quantity.SATURATED_SHARE, [first] * 2 + [0.9] * 10, loss=loss)
    assert len(list(SaturatedUnits().detect(trace))) == found


def test_gates_may_saturate():
    trace = shares(Quantity.SATURATED_SHARE, [0.9] * 10)
    gates = tuple(replace(fact, gated=True) for fact in trace.facts.layers)
    assert not list(
        SaturatedUnits().detect(Trace(trace.rows, Facts(layers=gates, chance_loss=1.0)))
    )


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
