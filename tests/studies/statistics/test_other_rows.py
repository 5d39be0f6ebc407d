from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t as student

from fitwell.errors import BadInput
from fitwell.studies.statistics import other_rows_effect, paired_effect


def two_way(
    random: np.random.Generator, seeds: int, rows: int, *, deviations: tuple[float, float, float]
) -> np.ndarray:
    """Gains that scatter by seed, by row, and by neither alone."""
    of_seed, of_row, of_both = deviations
    return (
        of_seed * random.normal(size=(seeds, 1))
        + of_row * random.normal(size=(1, rows))
        + of_both * random.normal(size=(seeds, rows))
    )


def effect_of(gains: np.ndarray):
    return other_rows_effect(np.zeros_like(gains), gains, higher_is_better=True)


def test_where_only_rows_scatter_it_is_students_interval_over_rows():
    gains = two_way(np.random.default_rng(0), 6, 40, deviations=(0, 1, 0))
    error = gains[0].std(ddof=1) / math.sqrt(40)
    effect = effect_of(gains)
    assert effect.high - effect.mean == pytest.approx(student.ppf(0.975, 39) * error, rel=0.06)


def test_where_only_seeds_scatter_it_is_students_interval_over_seeds():
    gains = two_way(np.random.default_rng(1), 12, 40, deviations=(1, 0, 0))
    by_seed = gains[:, 0].tolist()
    plain = paired_effect([0.0] * 12, by_seed, higher_is_better=True)
    assert effect_of(gains).high == pytest.approx(plain.high, abs=0.08 * (plain.high - plain.low))


@pytest.mark.parametrize("deviations", [(0.1, 1, 0.3), (0.1, 0.3, 1), (0.3, 0.5, 0.5)])
def test_about_nineteen_in_twenty_intervals_hold_the_truth(deviations):
    random = np.random.default_rng(2)
    effects = [effect_of(two_way(random, 8, 30, deviations=deviations)) for _ in range(80)]
    held = np.mean([effect.low <= 0 <= effect.high for effect in effects])
    assert 0.88 <= held <= 1.0


def test_the_way_of_the_metric_turns_it_around():
    gains = two_way(np.random.default_rng(3), 5, 20, deviations=(1, 1, 1))
    up = other_rows_effect(gains * 0, gains, higher_is_better=True)
    down = other_rows_effect(gains * 0, gains, higher_is_better=False)
    assert (down.mean, down.low, down.high) == pytest.approx((-up.mean, -up.high, -up.low))
    assert down.p == up.p


def test_p_and_interval_say_the_same():
    random = np.random.default_rng(4)
    for shift in np.linspace(0, 1, 12):
        effect = effect_of(shift + two_way(random, 8, 30, deviations=(0.4, 1, 1)))
        if abs(effect.p - 0.05) > 0.002:
            assert (effect.p < 0.05) == (effect.low > 0 or effect.high < 0)


def test_equal_rows_in_all_runs_are_no_effect_with_p_one():
    scores = np.full((4, 9), 0.3)
    effect = other_rows_effect(scores, scores, higher_is_better=True)
    assert (effect.mean, effect.low, effect.high, effect.p, effect.pairs) == (0, 0, 0, 1, 4)


def test_equal_hits_leave_room_for_the_rows_that_were_not_there():
    # had 1 - 0.025^(1/9) = 0.336 of all rows differed, 9 alike had a chance of 2.5 %
    hits = np.ones((4, 9))
    effect = other_rows_effect(hits, hits, higher_is_better=True)
    assert (effect.low, effect.high) == pytest.approx((-0.33627, 0.33627), abs=1e-4)


@pytest.mark.parametrize("shape", [(1, 5), (5, 1)])
def test_one_seed_or_one_row_is_refused(shape):
    with pytest.raises(BadInput, match="at least 2 rows and 2 pairs"):
        effect_of(np.ones(shape))


def test_other_rows_in_one_run_are_refused():
    with pytest.raises(BadInput, match="same rows"):
        other_rows_effect([[0, 1], [1, 1]], [[0, 1], [1, 1, 1]], higher_is_better=True)


def test_a_row_that_is_not_finite_is_refused():
    with pytest.raises(BadInput, match="not finite"):
        effect_of(np.array([[1.0, math.nan], [1.0, 1.0]]))
