from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwell.errors import BadInput
from fitwell.records import Effect
from fitwell.studies.statistics import holm, verdict


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
