from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import permutation_test, ttest_rel
from scipy.stats import t as student

from fitwell.errors import BadInput, ThresholdError
from fitwell.records import Effect
from fitwell.studies.statistics import paired_effect, repeated_splits_effect, sign_flip_p

scores = st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=2, max_size=12)


@given(scores)
def test_interval_and_p_are_those_of_scipy(pairs):
    before, after = map(list, zip(*pairs, strict=True))
    if np.std(np.subtract(after, before)) < 1e-6:
        return
    effect = paired_effect(before, after, higher_is_better=True)
    oracle = ttest_rel(after, before)
    interval = oracle.confidence_interval(0.95)
    assert effect.p == pytest.approx(oracle.pvalue, abs=1e-9)
    assert (effect.low, effect.high) == pytest.approx((interval.low, interval.high), rel=1e-6)


def test_four_pairs_by_hand():
    effect = paired_effect([1.0, 2.0, 3.0, 4.0], [2.0, 4.0, 4.0, 6.0], higher_is_better=True)
    # differences 1 2 1 2: mean 1.5, deviation 1/sqrt(3), error 1/sqrt(12), t(3) = 3.18245
    assert effect.mean == 1.5
    assert effect.high - 1.5 == pytest.approx(3.182446305 / math.sqrt(12))
    assert effect.pairs == 4


@given(scores)
def test_turning_the_metric_around_turns_the_effect_around(pairs):
    before, after = map(list, zip(*pairs, strict=True))
    up = paired_effect(before, after, higher_is_better=True)
    down = paired_effect(before, after, higher_is_better=False)
    assert (down.mean, down.low, down.high) == pytest.approx((-up.mean, -up.high, -up.low))
    assert down.p == pytest.approx(up.p)


@given(scores)
def test_the_interval_excludes_zero_just_where_p_is_below_five_percent(pairs):
    before, after = map(list, zip(*pairs, strict=True))
    effect = paired_effect(before, after, higher_is_better=True)
    if effect.low == effect.high or abs(effect.p - 0.05) < 1e-9:
        return
    assert (effect.p < 0.05) == (effect.low > 0 or effect.high < 0)


def test_equal_scores_are_an_effect_of_zero_with_p_one():
    effect = paired_effect([0.9, 0.8, 0.7], [0.9, 0.8, 0.7], higher_is_better=True)
    assert effect == Effect(0.0, 0.0, 0.0, 1.0, 3)


def test_a_constant_difference_has_the_p_of_the_sign_flip_test():
    effect = paired_effect([0.0] * 8, [0.25] * 8, higher_is_better=True)
    assert effect == Effect(0.25, 0.25, 0.25, 2 / 256, 8)


def test_a_constant_difference_of_two_pairs_is_no_evidence():
    assert paired_effect([0.0, 0.0], [0.1, 0.1], higher_is_better=True).p == 0.5


@pytest.mark.parametrize(
    ("before", "after"), [([1.0], [2.0]), ([], []), ([1.0, 2.0], [1.0]), ([1.0, math.nan], [1, 2])]
)
def test_too_few_unequal_or_non_finite_scores_are_refused(before, after):
    with pytest.raises(BadInput):
        paired_effect(before, after, higher_is_better=True)


def test_under_the_null_one_in_twenty_is_called_an_effect():
    random = np.random.default_rng(0)
    draws = random.normal(size=(3000, 2, 8))
    found = [paired_effect(a, b, higher_is_better=True).p <= 0.05 for a, b in draws.tolist()]
    assert np.mean(found) == pytest.approx(0.05, abs=0.014)  # 3.5 standard errors


def test_equal_steps_on_few_rows_leave_room_for_the_runs_that_were_not_made():
    # had 1 - 0.025^(1/8) = 0.369 of all runs differed by a step, 8 alike had a chance of 2.5 %
    effect = paired_effect([0.9] * 8, [0.9] * 8, higher_is_better=True, step=0.02)
    assert (effect.low, effect.high) == pytest.approx((-0.36942 * 0.02, 0.36942 * 0.02), rel=1e-4)
    assert effect.p == 1.0


def test_an_interval_wider_than_that_stays_as_it_is():
    before, after = [0.90, 0.88, 0.86, 0.9], [0.92, 0.96, 0.86, 0.98]
    plain = paired_effect(before, after, higher_is_better=True)
    assert paired_effect(before, after, higher_is_better=True, step=0.02) == plain


@pytest.mark.parametrize("pairs", range(2, 31))
def test_with_steps_too_the_interval_excludes_zero_just_where_p_is_below_five_percent(pairs):
    for moved in range(pairs + 1):
        after = [1.0] * moved + [0.0] * (pairs - moved)
        effect = paired_effect([0.0] * pairs, after, higher_is_better=True, step=1.0)
        assert (effect.p <= 0.05) == (effect.low > 0)


def test_a_negative_step_is_refused():
    with pytest.raises(ThresholdError, match="step"):
        paired_effect([0.0, 1.0], [1.0, 1.0], higher_is_better=True, step=-1.0)


@given(st.lists(st.integers(-40, 40), min_size=2, max_size=9))
def test_sign_flips_are_those_of_scipy(differences):
    oracle = permutation_test(
        (np.array(differences, dtype=float),),
        lambda x, axis: np.mean(x, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=2**10,
    )
    assert sign_flip_p(differences) == pytest.approx(min(1.0, oracle.pvalue))


def test_eight_differences_of_one_sign_have_the_smallest_p_there_is():
    assert sign_flip_p([0.1, 0.2, 0.3, 0.1, 0.4, 0.2, 0.1, 0.7]) == 2 / 2**8


def test_the_order_of_rounding_does_not_decide():
    assert sign_flip_p([0.1, 0.2, -0.3]) == 1.0


def test_of_many_pairs_signs_are_drawn_the_same_way_each_time():
    differences = np.random.default_rng(3).normal(0.4, 1, size=24).tolist()
    p = sign_flip_p(differences)
    assert p == sign_flip_p(differences)
    assert p != sign_flip_p(differences, seed=1)
    assert p == pytest.approx(ttest_rel(differences, [0.0] * 24).pvalue, rel=0.15)


@pytest.mark.parametrize("differences", [[], [1.0, math.inf]])
def test_signs_of_nothing_or_of_infinity_cannot_be_flipped(differences):
    with pytest.raises(BadInput, match="finite"):
        sign_flip_p(differences)


def test_repeated_splits_by_hand():
    effect = repeated_splits_effect(
        [1.0, 2.0, 3.0, 4.0],
        [2.0, 4.0, 4.0, 6.0],
        train_rows=80,
        test_rows=20,
        higher_is_better=True,
    )
    # differences 1 2 1 2: variance 1/3, times 1/4 + 20/80
    error = math.sqrt(0.5 / 3)
    assert effect.mean == 1.5
    assert effect.high - 1.5 == pytest.approx(student.ppf(0.975, 3) * error)
    assert effect.p == pytest.approx(2 * student.sf(1.5 / error, 3))


def test_a_test_set_of_no_weight_gives_the_plain_interval():
    before, after = [1.0, 2.0, 3.0, 4.0], [2.0, 4.0, 4.0, 6.0]
    corrected = repeated_splits_effect(
        before, after, train_rows=10**15, test_rows=1, higher_is_better=True
    )
    plain = paired_effect(before, after, higher_is_better=True)
    assert corrected.to_dict() == pytest.approx(plain.to_dict())


def test_ten_equal_gains_over_splits_of_the_same_rows_are_hardly_three_of_their_own():
    effect = repeated_splits_effect(
        [0.0] * 10, [0.5] * 10, train_rows=80, test_rows=20, higher_is_better=True
    )
    assert effect.p == pytest.approx(2 ** (1 - 1 / 0.35))


def test_a_split_without_rows_is_refused():
    with pytest.raises(BadInput, match="rows on both sides"):
        repeated_splits_effect([0, 1], [1, 1], train_rows=80, test_rows=0, higher_is_better=True)


def over_repeated_splits(random: np.random.Generator, correct: bool) -> bool:
    """Whether an effect is seen between two learners that are equally good.

    Each guesses the mean of its rows, the second from half of them and their noisy copies: what
    they gain over each other on one split depends on the luck of the rows, and all splits share it.
    """
    rows = random.normal(size=100)
    other = rows + random.normal(size=100) * 0.3
    gains: list[float] = []
    for _ in range(10):
        order = random.permutation(100)
        train, test = order[:80], order[80:]
        first = np.square(rows[test] - rows[train].mean()).mean()
        second = np.square(other[test] - other[train].mean()).mean() - 0.09 * (1 + 1 / 80)
        gains.append(float(first - second))
    nothing = [0.0] * 10
    if correct:
        effect = repeated_splits_effect(
            nothing, gains, train_rows=80, test_rows=20, higher_is_better=True
        )
    else:
        effect = paired_effect(nothing, gains, higher_is_better=True)
    return effect.p <= 0.05


def test_over_repeated_splits_the_correction_keeps_the_level_that_the_plain_interval_breaks():
    seen = {
        correct: np.mean(
            [over_repeated_splits(np.random.default_rng(seed), correct) for seed in range(200)]
        )
        for correct in (True, False)
    }
    assert seen[True] <= 0.12
    assert seen[False] >= 0.2
