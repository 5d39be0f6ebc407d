from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from fitwell.errors import BadInput
from fitwell.records import Effect
from fitwell.studies.statistics import holm, paired_effect, verdict

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
    draws = random.normal(size=(4000, 2, 8))
    found = [paired_effect(a, b, higher_is_better=True).p <= 0.05 for a, b in draws.tolist()]
    assert np.mean(found) == pytest.approx(0.05, abs=0.012)  # 3.5 standard errors


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))


def test_holm_of_nothing_is_nothing():
    assert holm([]) == ()


def test_holm_refuses_what_is_no_p():
    with pytest.raises(BadInput):
        holm([0.5, 1.5])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_lies_between_p_and_bonferroni(ps):
    adjusted = holm(ps)
    for p, q in zip(ps, adjusted, strict=True):
        assert p <= q <= min(1.0, p * len(ps)) or q == max(adjusted)
    order = sorted(range(len(ps)), key=lambda i: ps[i])
    assert [adjusted[i] for i in order] == sorted(adjusted)


@pytest.mark.parametrize(
    ("mean", "p", "outcome"),
    [
        (0.1, 0.05, "helps"),
        (0.1, 0.051, "no evidence"),
        (-0.1, 0.049, "hurts"),
        (0.0, 1.0, "no evidence"),
    ],
)
def test_the_verdict_follows_the_adjusted_p_and_the_sign(mean, p, outcome):
    effect = Effect(mean, mean - 0.1, mean + 0.1, 0.01, 8)
    assert verdict("arm", effect, effect, p).outcome == outcome
