from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import nct
from scipy.stats import t as student

from fitwell.errors import BadInput, ThresholdError
from fitwell.studies.statistics import minimum_detectable_effect, paired_effect


def power_of(effect: float, pairs: int, level: float) -> float:
    """Oracle: the noncentral t distribution; findings of the wrong sign are one in a million."""
    critical = student.ppf(1 - level / 2, pairs - 1)
    return float(nct.sf(critical, pairs - 1, effect * math.sqrt(pairs)))


@pytest.mark.parametrize("pairs", [3, 5, 8, 16, 30])
@pytest.mark.parametrize(("level", "power"), [(0.05, 0.8), (0.005, 0.8), (0.05, 0.95)])
def test_an_effect_of_that_size_is_found_with_that_power(pairs, level, power):
    effect = minimum_detectable_effect(1.0, pairs, level=level, power=power)
    assert power_of(effect, pairs, level) == pytest.approx(power, abs=1e-3)


def test_thirteen_pairs_see_one_and_a_third_of_a_deviation_less_often_than_eight_see_more():
    sizes = [minimum_detectable_effect(2.0, pairs) for pairs in (2, 5, 8, 13, 30)]
    assert sizes == sorted(sizes, reverse=True)
    assert minimum_detectable_effect(4.0, 8) == pytest.approx(2 * sizes[2])


def test_eight_in_ten_simulated_studies_see_it():
    effect = minimum_detectable_effect(0.5, 8)
    random = np.random.default_rng(0)
    draws = effect + 0.5 * random.normal(size=(1500, 8))
    seen = [paired_effect([0.0] * 8, d, higher_is_better=True).p <= 0.05 for d in draws.tolist()]
    assert np.mean(seen) == pytest.approx(0.8, abs=0.036)


def test_what_does_not_scatter_hides_nothing():
    assert minimum_detectable_effect(0.0, 8) == 0.0


@pytest.mark.parametrize(("deviation", "pairs"), [(1.0, 1), (-1.0, 8), (math.inf, 8)])
def test_what_has_no_power_at_all_is_refused(deviation, pairs):
    with pytest.raises(BadInput, match="at least 2 pairs"):
        minimum_detectable_effect(deviation, pairs)


@pytest.mark.parametrize("options", [{"level": 0.0}, {"power": 1.0}])
def test_a_level_or_a_power_out_of_range_is_refused(options):
    with pytest.raises(ThresholdError):
        minimum_detectable_effect(1.0, 8, **options)
