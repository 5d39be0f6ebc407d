from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import nct, norm
from scipy.stats import t as student

from fitwell.errors import BadInput, ThresholdError
from fitwell.studies.statistics import ConfidenceSequence, beaten
from fitwell.studies.statistics.sequential import EXPECTED

WHOLE_LINE = (-math.inf, math.inf)


def mixed_likelihood_ratio(t: float, pairs: int) -> float:
    """Oracle: the likelihood of t averaged over normal effects, against that of no effect."""

    def joint(effect: float) -> float:
        likelihood = nct.pdf(t, pairs - 1, effect * math.sqrt(pairs))
        return float(likelihood * norm.pdf(effect, scale=math.sqrt(EXPECTED)))

    mixed, _ = quad(joint, -20, 20, points=[0.0, t / math.sqrt(pairs)], limit=200)
    return mixed / float(student.pdf(t, pairs - 1))


@pytest.mark.parametrize("differences", [[1.0, 2.0, 1.0, 2.5], [0.3, -0.1, 0.2, 0.4, 0.1, 0.2]])
@pytest.mark.parametrize("level", [0.05, 0.2])
def test_the_ends_are_where_the_mixed_likelihood_ratio_is_one_over_the_level(differences, level):
    _, high = ConfidenceSequence(level).interval(differences)
    error = np.std(differences, ddof=1) / math.sqrt(len(differences))
    t = (high - np.mean(differences)) / error
    assert mixed_likelihood_ratio(t, len(differences)) == pytest.approx(1 / level, rel=1e-3)


@pytest.mark.parametrize("differences", [[], [1.0], [1.0, 1.1]])
def test_too_few_pairs_say_nothing(differences):
    assert ConfidenceSequence().interval(differences) == WHOLE_LINE


def test_it_is_wider_than_student_at_any_fixed_number():
    differences = np.random.default_rng(0).normal(size=16).tolist()
    for pairs in range(3, 17):
        seen = differences[:pairs]
        low, high = ConfidenceSequence().interval(seen)
        reach = student.ppf(0.975, pairs - 1) * np.std(seen, ddof=1) / math.sqrt(pairs)
        assert high - low > 1.5 * 2 * reach


@given(
    st.lists(st.floats(-100, 100), min_size=3, max_size=10),
    st.floats(-100, 100),
    st.floats(0.01, 100),
)
def test_it_moves_and_stretches_with_the_scores(differences, shift, scale):
    low, high = ConfidenceSequence().interval(differences)
    moved = [shift + scale * d for d in differences]
    expected = (shift + scale * low, shift + scale * high)
    assert ConfidenceSequence().interval(moved) == pytest.approx(expected, abs=1e-6, rel=1e-6)


def test_equal_differences_on_few_rows_are_not_certainty():
    low, high = ConfidenceSequence(step=0.02).interval([0.02] * 3)
    assert low < 0.0 < high
    assert ConfidenceSequence().interval([0.02] * 3) == pytest.approx((0.02, 0.02))


@pytest.mark.parametrize("level", [0.0, 1.0, -1, math.nan])
def test_a_level_out_of_range_is_refused(level):
    with pytest.raises(ThresholdError, match="level"):
        ConfidenceSequence(level)


def test_a_negative_step_is_refused():
    with pytest.raises(ThresholdError, match="step"):
        ConfidenceSequence(step=-0.1)


def test_a_difference_that_is_not_finite_is_refused():
    with pytest.raises(BadInput, match="not finite"):
        ConfidenceSequence().interval([1.0, math.nan, 2.0])


def ever_wrong(draws: np.ndarray, truth: float = 0.0, *, step: float = 0.0) -> float:
    sequence = ConfidenceSequence(0.05, step)

    def wrong(row: list[float]) -> bool:
        intervals = (sequence.interval(row[:pairs]) for pairs in range(3, len(row) + 1))
        return any(not low <= truth <= high for low, high in intervals)

    return float(np.mean([wrong(row) for row in draws.tolist()]))


def test_looking_after_every_pair_errs_no_more_often_than_the_level():
    random = np.random.default_rng(1)
    assert ever_wrong(3 + random.normal(size=(400, 16)), 3.0) <= 0.05
    assert ever_wrong(random.standard_t(3, size=(400, 16))) <= 0.05


def test_looking_after_every_pair_errs_no_more_often_on_few_rows():
    random = np.random.default_rng(2)
    hits = random.binomial(30, 0.97, size=(2, 400, 12)) / 30
    assert ever_wrong(hits[1] - hits[0], step=1 / 30) <= 0.05


def test_an_arm_that_is_always_much_worse_is_beaten():
    scores = {"good": [0.9, 0.91, 0.92, 0.9], "bad": [0.5, 0.51, 0.53, 0.5]}
    assert beaten(scores, higher_is_better=True) == ("bad",)
    assert beaten(scores, higher_is_better=False) == ("good",)


def test_arms_are_compared_on_the_seeds_that_both_have():
    scores = {"good": [0.9, 0.91, 0.92, 0.9], "bad": [0.5, 0.51, 0.53], "new": [0.9]}
    assert beaten(scores, higher_is_better=True, level=0.2) == ("bad",)


def test_one_arm_and_equal_arms_are_beaten_by_nobody():
    assert beaten({"only": [1.0, 2.0, 3.0]}, higher_is_better=True) == ()
    assert beaten({"a": [1.0, 2.0, 3.0], "b": [1.0, 2.0, 3.0]}, higher_is_better=True) == ()


def test_the_level_is_shared_among_the_arms_that_the_best_could_lose_to():
    pair = {"good": [0.9, 0.8, 0.85, 0.9], "bad": [0.7, 0.64, 0.62, 0.72]}
    others = {name: [0.9, 0.8, 0.85, 0.9] for name in range(200)}
    assert beaten(pair, higher_is_better=True) == ("bad",)
    assert beaten(pair | others, higher_is_better=True) == ()
