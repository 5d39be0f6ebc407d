"""What an expectation makes of an interval: where it must lie, and where it speaks against."""

from __future__ import annotations

from math import inf

import pytest

from fitwell.claims import Close, Larger, Smaller
from fitwell.records import Measured

OF = "score"


def found(expected, *differences):
    arms = {"a": tuple(1.0 + d for d in differences), "b": (1.0,) * len(differences)}
    return expected.answer(Measured({OF: arms}))


@pytest.mark.parametrize(
    ("expected", "difference", "outcome"),
    [
        (Larger("a", "b", of=OF), 0.5, "supported"),
        (Larger("a", "b", of=OF), 0.0, "not supported"),
        (Larger("a", "b", of=OF), -0.5, "reversed"),
        (Larger("a", "b", of=OF, by=0.5), 0.5, "not supported"),
        (Larger("a", "b", of=OF, by=0.25), 0.5, "supported"),
        (Larger("a", "b", of=OF, by=-0.5), -0.25, "supported"),
        (Larger("a", "b", of=OF, by=-0.5), -0.75, "reversed"),
        (Smaller("a", "b", of=OF), -0.5, "supported"),
        (Smaller("a", "b", of=OF), 0.0, "not supported"),
        (Smaller("a", "b", of=OF), 0.5, "reversed"),
        (Smaller("a", "b", of=OF, by=0.5), -0.5, "not supported"),
        (Smaller("a", "b", of=OF, by=0.25), -0.5, "supported"),
        (Close("a", "b", of=OF, within=0.5), 0.0, "supported"),
        (Close("a", "b", of=OF, within=0.5), -0.25, "supported"),
        (Close("a", "b", of=OF, within=0.5), 0.5, "supported"),
        (Close("a", "b", of=OF, within=0.0), 0.0, "supported"),
        (Close("a", "b", of=OF, within=0.5), 0.75, "reversed"),
        (Close("a", "b", of=OF, within=0.5), -0.75, "reversed"),
    ],
)
def test_an_outcome_is_told_by_where_the_interval_lies(expected, difference, outcome):
    assert found(expected, *[difference] * 8).outcome == outcome


@pytest.mark.parametrize(
    "expected",
    [
        Larger("a", "b", of=OF),
        Smaller("a", "b", of=OF),
        Close("a", "b", of=OF, within=0.05),
    ],
)
def test_an_interval_on_both_sides_of_a_limit_supports_nothing(expected):
    answer = found(expected, *[-0.5, 0.5] * 4)
    assert answer.effect.low < 0 < answer.effect.high
    assert answer.outcome == "not supported"


def test_an_arm_may_be_held_against_a_number():
    answer = found(Larger("a", 1.25, of=OF), *[0.5] * 8)
    assert (answer.effect.mean, answer.outcome, answer.span) == (0.25, "supported", (0.0, inf))
    assert answer.expected == "a larger than 1.25"


def test_where_it_is_expected_is_said():
    assert found(Smaller("a", "b", of=OF, by=0.5), *[0.0] * 8).span == (-inf, -0.5)
    assert found(Close("a", "b", of=OF, within=0.5), *[0.0] * 8).span == (-0.5, 0.5)
    said = found(Smaller("a", "b", of=OF, by=0.5), *[0.0] * 8).expected
    assert said == "a smaller than b by 0.5"
