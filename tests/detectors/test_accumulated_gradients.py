"""Gradients that are left over from the step before."""

import pytest

from fitwell.detectors import AccumulatedGradients
from fitwell.records import Facts, Quantity, Row, Trace
from fitwell.testing import DetectorContract


def carried(values, losses=(1.0,) * 20):
    rows = [Row(s + 1, Quantity.CARRIED_GRADIENT, v) for s, v in enumerate(values)]
    rows += [Row(s, Quantity.LOSS, v) for s, v in enumerate(losses)]
    return Trace(rows, Facts(chance_loss=1.0))


class TestAccumulatedGradients(DetectorContract):
    def detector(self):
        return AccumulatedGradients()

    def sick(self):
        return carried([0.5, 0.7, 0.8, 0.9])

    def healthy(self):
        return carried([0.0] * 5)


def found(trace):
    return [f.severity for f in AccumulatedGradients().detect(trace)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.5], []),
        ([0.5, 0.6], ["severe"]),
        ([0.2] * 5, []),
        ([0.3] * 5, ["severe"]),
        ([0.0, 0.5, 0.0, 0.5], ["severe"]),
        ([0.0, 0.0, 0.0, 0.0, 0.9], []),
    ],
)
def test_it_needs_two_pairs_and_half_of_them_to_carry_a_quarter(values, expected):
    assert found(carried(values)) == expected


def test_a_run_that_went_well_all_the_same_is_moderate():
    assert found(carried([0.5] * 5, losses=(1.0, *(0.1,) * 19))) == ["moderate"]


def test_it_says_since_when_and_what_to_call():
    (finding,) = AccumulatedGradients().detect(carried([0.0, 0.5, 0.6, 0.7]))
    assert finding.since == 2
    assert "zero_grad" in finding.advice


def test_too_few_pairs_are_unjudged():
    assert "there were 1" in AccumulatedGradients().unjudged(carried([0.5]))
