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
def test_the_first_step_and_its_layers_are_named_in_order(value):
    rows = [
        Row(3, Quantity.GRADIENT_NORM, 1.0, "layers.0"),
        Row(7, Quantity.GRADIENT_NORM, value, "layers.1"),
        Row(7, Quantity.GRADIENT_NORM, value, "layers.0"),
        Row(8, Quantity.GRADIENT_NORM, value, "layers.2"),
    ]
    (finding,) = NonFinite().detect(Trace(rows, Facts(layers=layer_facts(3))))
    assert finding.since == 7
    assert finding.layers == ("layers.0", "layers.1")
    assert finding.evidence == {"first_step": 7.0, "steps": 2.0}


def test_the_mark_of_a_probe_counts_and_its_absence_does_not():
    assert list(NonFinite().detect(Trace([Row(2, Quantity.NON_FINITE, 1.0)])))
    assert not list(NonFinite().detect(Trace([Row(2, Quantity.NON_FINITE, 0.0)])))


def test_a_validation_loss_alone_does_not_count():
    assert not list(
        NonFinite().detect(Trace([Row(2, Quantity.LOSS, math.nan, phase="validation")]))
    )
