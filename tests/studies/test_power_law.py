from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import least_squares

from fitwell.errors import BadInput
from fitwell.studies.power_law import (
    SPREAD,
    USUAL_EXPONENT,
    Law,
    deviations,
    fit_power_law,
)

ROWS = (62, 125, 250, 500)


def runs(
    law: tuple[float, float, float], deviation: float, *, seed: int = 0, count: int = 3
) -> list[list[float]]:
    """Errors of runs around floor + scale × (rows / 500)^(-exponent)."""
    floor, scale, exponent = law
    random = np.random.default_rng(seed)
    return [
        (floor + scale * (n / 500) ** -exponent) * (1 + deviation * random.standard_normal(count))
        for n in ROWS
    ]


def test_a_law_without_noise_is_found_and_continued():
    fit = fit_power_law(ROWS, runs((0.05, 0.1, 0.5), 0.0), bounded=True)
    assert fit.best.floor.item() == pytest.approx(0.05, abs=0.005)
    assert fit.best.exponent.item() == pytest.approx(0.5, rel=0.03)
    assert fit.at(2.0).value == pytest.approx(0.05 + 0.1 * 2**-0.5, abs=0.002)
    assert fit.at(4.0).value == pytest.approx(0.05 + 0.1 * 4**-0.5, abs=0.004)


@pytest.mark.parametrize("seed", range(8))
def test_the_best_fit_is_the_one_that_scipy_finds(seed):
    errors = np.array(runs((0.05, 0.1, 0.8), 0.08, seed=seed))
    fit = fit_power_law(ROWS, errors, bounded=True)
    sizes, means = np.array(ROWS) / 500, errors.mean(1)
    spread = deviations(errors, bounded=True, step=0.0) / math.sqrt(3)

    def misfit(parameters):
        floor, scale, logarithm = parameters
        fitted = floor + scale * sizes ** -math.exp(logarithm)
        prior = (logarithm - math.log(USUAL_EXPONENT)) / SPREAD
        return np.append((means - fitted) / spread, prior)

    starts = [(0.05, 0.1, math.log(c)) for c in (0.2, 0.5, 1.5)]
    bounds = ([0, 0, math.log(0.05)], [np.inf, np.inf, math.log(3)])
    found = min((least_squares(misfit, s, bounds=bounds) for s in starts), key=lambda r: r.cost)
    floor, scale, logarithm = found.x
    assert fit.best.exponent.item() == pytest.approx(math.exp(logarithm), rel=0.02)
    expected = floor + scale * 2 ** -math.exp(logarithm)
    assert fit.at(2.0).value == pytest.approx(expected, abs=0.15 * float(spread[-1]))


def test_an_error_that_cannot_be_negative_is_never_foretold_to_be():
    steep = [[0.8, 0.81], [0.5, 0.49], [0.25, 0.25], [0.02, 0.02]]
    bounded = fit_power_law(ROWS, steep, bounded=True)
    assert bounded.best.floor.item() == 0
    assert bounded.at(4.0).low >= 0
    assert fit_power_law(ROWS, steep, bounded=False).best.floor.item() < 0


def test_scores_that_get_worse_with_rows_are_a_flat_curve():
    fit = fit_power_law(ROWS, [[0.1, 0.11], [0.11, 0.12], [0.12, 0.13], [0.13, 0.14]], bounded=True)
    assert fit.best.scale.item() == 0
    assert fit.at(2.0).value == pytest.approx(fit.at(1.0).value)


def test_the_interval_is_as_wide_as_the_runs_are_far_apart_and_wider_further_ahead():
    still = fit_power_law(ROWS, runs((0.05, 0.1, 0.5), 0.02, seed=1), bounded=True)
    noisy = fit_power_law(ROWS, runs((0.05, 0.1, 0.5), 0.2, seed=1), bounded=True)

    def width(found):
        return found.high - found.low

    assert width(noisy.at(2.0)) > 3 * width(still.at(2.0))
    assert width(still.at(4.0)) > width(still.at(2.0)) > 0
    for times in (0.125, 1.0, 2.0, 4.0):
        assert still.at(times).low <= still.at(times).value <= still.at(times).high


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    random, hits, count = np.random.default_rng(5), 0, 100
    for trial in range(count):
        law = (random.uniform(0, 0.1), random.uniform(0.05, 0.2), random.uniform(0.2, 1.2))
        errors = runs(law, random.uniform(0.02, 0.15), seed=trial)
        found = fit_power_law(ROWS, errors, bounded=True).at(2.0)
        hits += found.low <= law[0] + law[1] * 2 ** -law[2] <= found.high
    assert hits / count >= 0.93


def test_the_deviation_at_one_size_is_drawn_towards_that_of_all():
    scores = np.array([[0.40, 0.44, 0.48], [0.2, 0.2, 0.2], [0.10, 0.11, 0.12]])
    found = deviations(scores, bounded=True, step=0.0)
    own = scores.std(axis=1, ddof=1)
    assert own[1] < 1e-12 < 0.005 < found[1]
    assert found[0] < own[0]


def test_runs_that_agree_are_not_believed_beyond_the_steps_of_the_metric():
    same = np.full((4, 3), 0.05)
    assert deviations(same, bounded=False, step=1 / 36) == pytest.approx(1 / 36 / math.sqrt(12))
    fit = fit_power_law(ROWS, same, bounded=True, step=1 / 36)
    assert fit.at(2.0).high > 0.06


def test_no_error_at_all_is_fitted_by_nothing():
    fit = fit_power_law(ROWS, np.zeros((4, 3)), bounded=True)
    assert fit.at(4.0).value == 0


def test_a_gain_is_worth_the_rows_that_the_law_needs_for_it():
    fit = fit_power_law(ROWS, runs((0.02, 0.1, 0.5), 0.002), bounded=True)
    gain = 0.1 - 0.1 * 3**-0.5
    found = fit.worth(gain, 0.0005, 3)
    assert found.value == pytest.approx(3.0, rel=0.1)
    assert 1 <= found.low <= found.value <= found.high


def test_a_gain_below_the_floor_is_worth_more_than_any_rows():
    fit = fit_power_law(ROWS, runs((0.05, 0.1, 0.5), 0.002), bounded=True)
    assert fit.worth(0.14, 0.001, 3).value == math.inf


def test_a_law_tells_which_multiple_of_the_rows_gives_an_error():
    law = Law(np.array([0.1, 0.1, 0.1]), np.array([0.2, 0.2, 0.0]), np.array([0.5, 0.5, 0.5]))
    times = law.times_for(np.array([0.2, 0.05, 0.2]))
    assert times.tolist() == pytest.approx([4.0, math.inf, math.inf])
    assert law.at(4.0)[0] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("rows", "errors"),
    [((10,), [[0.1, 0.2]]), ((10, 20), [[0.1], [0.2]]), ((10, 20, 30), [[0.1, 0.2], [0.1, 0.2]])],
)
def test_too_few_sizes_or_runs_are_refused(rows, errors):
    with pytest.raises(BadInput, match="at least 2 runs"):
        fit_power_law(rows, errors, bounded=True)


def test_an_error_that_is_not_finite_is_refused():
    with pytest.raises(BadInput, match="not finite"):
        fit_power_law((10, 20), [[0.1, math.nan], [0.1, 0.2]], bounded=True)


def test_the_same_runs_give_the_same_interval():
    errors = runs((0.05, 0.1, 0.5), 0.1)
    first, again = (fit_power_law(ROWS, errors, bounded=True).at(2.0) for _ in range(2))
    assert (first.low, first.high) == (again.low, again.high)
