"""Which epoch of a run is the best, and when a run has diverged."""

from __future__ import annotations

import math

import pytest
from torch import nn

from fitwell.records import Score
from fitwell.studies.standing import Standing, standing_of
from fitwell.tasks import Task

SEEN = Score(0.9, 0.1)


def stood(epochs, *, higher_is_better=True, rows=0):
    standing = Standing(higher_is_better=higher_is_better, rows=rows)
    better = [standing.note(SEEN, Score(*epoch), finite=True) for epoch in epochs]
    return standing, better


def test_without_noise_the_best_metric_is_kept_and_the_loss_decides_ties():
    standing, better = stood([(0.5, 1.0), (0.6, 2.0), (0.6, 1.5), (0.6, 1.5), (0.55, 0.1)])
    assert better == [True, True, True, False, False]
    assert standing.best_epoch == 2
    assert standing.best == Score(0.6, 1.5)


def test_a_metric_that_points_down_is_kept_at_its_lowest():
    standing, _ = stood([(3.0, 1.0), (2.0, 9.0), (2.5, 0.0)], higher_is_better=False)
    assert standing.best == Score(2.0, 9.0)


def test_within_a_standard_error_the_lower_loss_is_kept():
    # sqrt(0.8 * 0.2 / 100) = 0.04
    standing, better = stood([(0.80, 0.6), (0.765, 0.5), (0.755, 0.1)], rows=100)
    assert better == [True, True, False]
    assert standing.best == Score(0.765, 0.5)


def test_an_epoch_that_is_no_longer_as_good_gives_way_whatever_its_loss():
    standing, better = stood([(0.60, 0.5), (0.80, 0.9), (0.79, 0.8)], rows=100)
    assert better == [True, True, True]
    assert standing.best == Score(0.79, 0.8)


def test_a_later_epoch_with_the_best_metric_does_not_displace_a_lower_loss_within_noise():
    standing, better = stood([(0.80, 0.5), (0.82, 0.7)], rows=100)
    assert better == [True, False]
    assert standing.best_epoch == 0


@pytest.mark.parametrize("metric", [0.0, 1.0])
def test_where_all_or_none_are_right_the_noise_is_that_of_one_row(metric):
    # sqrt(0.01 * 0.99 / 100) = 0.00995, less than a row
    _, better = stood([(metric, 0.9), (metric, 0.5), (metric - 0.01, 0.1)], rows=100)
    assert better == [True, True, False]


@pytest.mark.parametrize("score", [(math.nan, 0.1), (0.9, math.inf)])
def test_an_epoch_that_is_not_finite_is_never_the_best_and_ends_the_run(score):
    standing, better = stood([(0.5, 0.7), score], rows=100)
    assert better == [True, False]
    assert standing.diverged
    assert standing.epochs == 2
    assert standing.best_epoch == 0


@pytest.mark.parametrize(
    ("loss", "metric", "kept"), [("cross_entropy", "accuracy", 1), ("mse", "r2", 0)]
)
def test_only_shares_of_rows_are_noisy(loss, metric, kept):
    rows = ([[float(i)] for i in range(100)], [i % 2 for i in range(100)])
    standing = standing_of(Task("any", lambda: nn.Linear(1, 2), rows, loss, metric))
    standing.note(SEEN, Score(0.80, 0.6), finite=True)
    standing.note(SEEN, Score(0.79, 0.5), finite=True)
    assert standing.best_epoch == kept
