"""From scores of a metric to a power law and back: forecasts, and what they are tested with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from fitwell.records import BackTest, CurvePoint, Forecast
from fitwell.studies.power_law import Fit, fit_power_law

HALF = 0.5
"""Largest share that the back-test predicts from."""
SHARE_METRICS = frozenset({"accuracy"})
"""Metrics that are a share of the rows, and so move in steps of one row."""
BEST_IS_ONE = frozenset({"accuracy", "balanced_accuracy", "macro_f1", "r2"})
BEST_IS_ZERO = frozenset({"mae", "mse", "rmse"})


@final
@dataclass(frozen=True)
class Scale:
    """Turns scores of a metric into errors, which fall with more rows, and back.

    Args:
        metric: Name of the metric.
        higher_is_better: Which way it points.
        validation_rows: Rows that a score is taken over.
    """

    metric: str
    higher_is_better: bool
    validation_rows: int

    def error(self, score: float) -> float:
        """Return the error of a score, or the score of an error: both ways are the same."""
        best = 1.0 if self.metric in BEST_IS_ONE else 0.0
        return best - score if self.higher_is_better else score

    def fit(self, points: Sequence[CurvePoint]) -> Fit:
        """Fit a power law to the errors at these sizes."""
        errors = [[self.error(score) for score in point.per_seed] for point in points]
        known = self.metric in BEST_IS_ONE | BEST_IS_ZERO
        return fit_power_law(
            [point.rows for point in points],
            errors,
            bounded=known and min(map(min, errors)) >= 0,  # a user's own may share the name
            step=1 / self.validation_rows if self.metric in SHARE_METRICS else 0.0,
        )

    def forecast(self, fit: Fit, rows: int, unit: int) -> Forecast:
        """Return the score that a fit expects; ``unit`` is the most rows that it has seen."""
        found = fit.at(rows / unit)
        ends = sorted((self.error(found.low), self.error(found.high)))
        return Forecast(rows, self.error(found.value), ends[0], ends[1])


def back_test(scale: Scale, points: Sequence[CurvePoint], *, most: float = HALF) -> BackTest:
    """Predict the last point from those with at most a share of its rows, two at least."""
    whole = points[-1]
    smaller = [point for point in points if point.share <= most]
    largest = smaller[-1]
    slope, offset = np.polyfit(
        np.log([point.rows for point in smaller]), [point.mean for point in smaller], 1
    )
    return BackTest(
        forecast=scale.forecast(scale.fit(smaller), whole.rows, largest.rows),
        largest=largest.rows,
        measured=whole.mean,
        unchanged=largest.mean,
        continued=float(offset + slope * math.log(whole.rows)),
    )
