from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwell.records import Effect
from fitwell.report.numbers import (
    change,
    duration,
    interval,
    mean,
    p_value,
    printable,
    quantity,
    score,
)


@pytest.mark.parametrize(
    ("value", "metric", "text"),
    [
        (0.861, "accuracy", "86.1 %"),
        (1.0, "balanced_accuracy", "100.0 %"),
        (3.14159, "mae", "3.14"),
        (0.861, "of_my_own", "0.861"),
        (91.5, "accuracy", "91.5"),
        (math.nan, "accuracy", "not a number"),
    ],
)
def test_a_share_is_shown_as_per_cent_and_other_scores_as_they_are(
    value: float, metric: str, text: str
) -> None:
    assert score(value, metric) == text


@pytest.mark.parametrize(
    ("value", "metric", "text"),
    [
        (0.0492, "accuracy", "+4.9 points"),
        (-0.003, "accuracy", "-0.3 points"),
        (0.0, "accuracy", "0 points"),
        (0.0001, "accuracy", "+0.010 points"),
        (0.25, "r2", "+0.25"),
        (-4.0, "mae", "-4"),
        (math.inf, "mae", "+infinite"),
    ],
)
def test_a_difference_carries_its_sign_and_its_unit(value: float, metric: str, text: str) -> None:
    assert change(value, metric) == text


def test_an_interval_that_excludes_zero_never_reads_as_touching_it() -> None:
    assert interval(Effect(0.01, 0.0002, 0.02, 0.04, 8), "accuracy") == "+0.020 to +2.0 points"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (8.0, "8"),
        (0.0312, "0.0312"),
        (0.9, "0.9"),
        (999.4, "999"),
        (999.6, "1,000"),
        (269322, "269,322"),
        (1e-9, "1e-9"),
        (-2.34e8, "-2.3e8"),
        (math.inf, "infinite"),
        (-math.inf, "-infinite"),
        (math.nan, "not a number"),
    ],
)
def test_a_number_keeps_the_digits_that_matter(value: float, text: str) -> None:
    assert quantity(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300))
def test_a_number_reads_back_within_five_per_cent(value: float) -> None:
    assert float(quantity(value).replace(",", "")) == pytest.approx(value, rel=0.05, abs=1e-320)


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.0009, "p < 0.001"), (0.001, "p = 0.001"), (0.0342, "p = 0.034"), (0.721, "p = 0.72")],
)
def test_a_p_value_is_rounded_but_never_to_zero(p: float, text: str) -> None:
    assert p_value(p) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.42, "0.4 s"),
        (42.2, "42 s"),
        (59.7, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (3780, "1 h 3 min"),
    ],
)
def test_a_time_is_told_in_its_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_mean_leaves_out_what_is_not_finite() -> None:
    assert mean([1.0, 3.0, math.nan, math.inf]) == 2.0
    assert math.isnan(mean([math.nan]))


def test_control_characters_in_a_name_are_spelled_out() -> None:
    assert printable("fc\x1b[31m1\n") == "fc\\x1b[31m1\\n"
    assert printable("größe × µ") == "größe × µ"
