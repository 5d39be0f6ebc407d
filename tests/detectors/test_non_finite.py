import math

import pytest

from fitwell.detectors import NonFinite
from fitwell.records import Facts, Quantity, Row, Trace
from fitwell.testing import DetectorContract
from fitwell.testing.made_traces import curves, layer_facts


class TestNonFinite(DetectorContract):
    def detector(self):
        return NonFinite()

    def sick(self):
        return curves([1.0, math.nan, math.nan])

    def healthy(self):
        return curves([1.0, 1e30, 0.0])

    def test_what_it_judges_it_does_not_call_unjudged(self):
        assert NonFinite().unjudged(Trace()) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_the_first_step_and_the_layer_nearest_to_the_loss_are_named(value):
    rows = [
        Row(3, Quantity.GRADIENT_NORM, 1.0, "layers.0"),
        Row(7, Quantity.GRADIENT_NORM, value, "layers.1"),
        Row(7, Quantity.GRADIENT_NORM, value, "layers.0"),
        Row(8, Quantity.GRADIENT_NORM, value, "layers.2"),
    ]
    (finding,) = NonFinite().detect(Trace(rows, Facts(layers=layer_facts(3))))
    assert finding.since == 7
    assert finding.layers == ("layers.1",)
    assert finding.evidence == {"first_step": 7.0, "steps": 2.0}


def broken(*quantities: Quantity, layers=(0, 1, 2), at: int = 4, last: int = 5) -> Trace:
    rows = [
        Row(step, quantity, math.nan, f"layers.{i}" if quantity != Quantity.INPUT_NORM else "")
        for step in range(at, last)
        for quantity in quantities
        for i in layers
    ]
    return Trace(rows, Facts(layers=layer_facts(3)))


@pytest.mark.parametrize(
    ("quantities", "layers", "named"),
    [
        ((Quantity.GRADIENT_NORM,), (0, 1, 2), ()),
        ((Quantity.GRADIENT_NORM,), (0, 1), ("layers.1",)),
        ((Quantity.GRADIENT_NORM, Quantity.OUTPUT_RMS), (1, 2), ("layers.1",)),
        ((Quantity.OUTPUT_RMS, Quantity.WEIGHT_NORM), (1, 2), ("layers.1", "layers.2")),
    ],
)
def test_the_layer_is_named_in_which_it_arose_and_not_what_it_reached(quantities, layers, named):
    (finding,) = NonFinite().detect(broken(*quantities, layers=layers))
    assert finding.layers == named


def test_data_that_are_broken_are_named_with_what_to_change():
    (finding,) = NonFinite().detect(broken(Quantity.INPUT_NORM, Quantity.OUTPUT_RMS))
    assert finding.layers == ()
    assert finding.evidence["inputs"] == 1
    assert "inputs are NaN" in finding.advice


@pytest.mark.parametrize(("more", "severity"), [(4, "severe"), (5, "mild")])
def test_a_run_that_skipped_the_broken_step_was_ill_for_that_step_alone(more, severity):
    trace = broken(Quantity.GRADIENT_NORM)
    trace.add(Row(step, Quantity.LOSS, 1.0) for step in range(5, 5 + more))
    (finding,) = NonFinite().detect(trace)
    assert finding.severity == severity
    assert finding.until == (5 if severity == "mild" else None)
    lost = broken(Quantity.WEIGHT_NORM)
    lost.add(Row(step, Quantity.LOSS, 1.0) for step in range(5, 5 + more))
    assert next(iter(NonFinite().detect(lost))).severity == "severe"


def test_the_mark_of_a_probe_counts_and_its_absence_does_not():
    assert list(NonFinite().detect(Trace([Row(2, Quantity.NON_FINITE, 1.0)])))
    assert not list(NonFinite().detect(Trace([Row(2, Quantity.NON_FINITE, 0.0)])))


def test_a_validation_loss_alone_does_not_count():
    assert not list(
        NonFinite().detect(Trace([Row(2, Quantity.LOSS, math.nan, phase="validation")]))
    )
