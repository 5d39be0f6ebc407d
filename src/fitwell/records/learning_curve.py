"""What more rows would be worth: scores by number of rows, the law fitted to them, forecasts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, final

from fitwell.records.findings import RemedySpec
from fitwell.records.results import Effect
from fitwell.words import say, together, told


@final
@dataclass(frozen=True)
class CurvePoint:
    """The runs on one number of training rows.

    Args:
        rows: Training rows.
        share: Their share of all training rows.
        per_seed: The metric on validation of every run, in the order of the seeds.
    """

    rows: int
    share: float
    per_seed: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return fmean(self.per_seed)


@final
@dataclass(frozen=True)
class PowerLaw:
    """error(rows) = floor + scale × rows^(-exponent).

    The error is 1 minus the metric where 1 is the best there is, the metric itself where smaller
    is better, and the metric with its sign turned where it has no best.
    """

    floor: float
    scale: float
    exponent: float


@final
@dataclass(frozen=True)
class Forecast:
    """The score that a number of rows is expected to give, with its 95 % interval.

    Args:
        rows: Training rows.
        score: The metric on validation, mean over as many seeds as the curve has.
        low: Lower end of the interval.
        high: Upper end.
    """

    rows: int
    score: float
    low: float
    high: float


@final
@dataclass(frozen=True)
class BackTest:
    """The score on all rows, predicted from the smaller sizes alone, beside the measured one.

    Args:
        forecast: What the sizes up to ``largest`` predict for all rows.
        largest: Most rows that the prediction was made from.
        measured: Mean score on all rows.
        unchanged: The score at ``largest``: the guess that more rows change nothing.
        continued: The straight line over the logarithm of the rows, continued.
    """

    forecast: Forecast
    largest: int
    measured: float
    unchanged: float
    continued: float

    @property
    def error(self) -> float:
        """Measured minus predicted score."""
        return self.measured - self.forecast.score

    @property
    def inside(self) -> bool:
        """Whether the measured score lies in the interval."""
        return self.forecast.low <= self.measured <= self.forecast.high


@final
@dataclass(frozen=True)
class RowsWorth:
    """How many times the rows would give a gain, read off the curve, with its 95 % interval.

    None stands for more than the curve can tell of.
    """

    times: float | None
    low: float | None
    high: float | None


@final
@dataclass(frozen=True)
class Augmented:
    """Augmentation on all rows, against the untreated network on the same seeds.

    Args:
        remedy: The augmentation.
        per_seed: The metric on validation of every run.
        gain: Improvement, positive is better.
        cost: Training time as a multiple of the untreated network's, of the shortest runs.
        worth: The number of rows that would give as much; None where no gain was shown.
    """

    remedy: RemedySpec
    per_seed: tuple[float, ...]
    gain: Effect
    cost: float
    worth: RowsWorth | None


@final
@dataclass(frozen=True)
class LearningCurve:
    """Whether more data would help; made by :func:`fitwell.learning_curve`.

    All scores are of validation rows, at the best epoch.

    Args:
        task: Name of the task.
        metric: Name of the metric.
        higher_is_better: Which way it points.
        seeds: Seeds of the runs; each has subsets of its own.
        points: The measured sizes, the smallest first; the last holds all training rows.
        law: The best fit.
        line: The fitted scores from the smallest size to four times the rows, with their
            interval.
        forecasts: Twice and four times the rows.
        back_test: The same fit, tried on the larger half of the sizes.
        augmented: What augmentation gives instead; None where it cannot be applied.
        notes: What a reader should know, as sentences.
    """

    task: str
    metric: str
    higher_is_better: bool
    seeds: tuple[int, ...]
    points: tuple[CurvePoint, ...]
    law: PowerLaw
    line: tuple[Forecast, ...]
    forecasts: tuple[Forecast, ...]
    back_test: BackTest
    augmented: Augmented | None = None
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """All training rows."""
        return self.points[-1].rows

    @property
    def now(self) -> float:
        """Mean score on all training rows."""
        return self.points[-1].mean

    def tells(self, forecast: Forecast) -> bool:
        """Say whether a forecast can be told from the score that there is now."""
        return not forecast.low <= self.now <= forecast.high

    def to_dict(self) -> dict[str, Any]:
        """Return the curve as JSON-ready data."""
        data = asdict(self)
        for written, point in zip(data["points"], self.points, strict=True):
            written["mean"] = point.mean
        data["back_test"] |= {"error": self.back_test.error, "inside": self.back_test.inside}
        if self.augmented is not None:
            data["augmented"]["remedy"] = self.augmented.remedy.to_dict()
            data["augmented"]["gain"] = self.augmented.gain.to_dict()
        return data

    def __str__(self) -> str:
        return " ".join(curve_in_words(self, score=_score, gain=_gain))


def curve_in_words(
    curve: LearningCurve,
    *,
    score: Callable[[float], str],
    gain: Callable[[float], str],
    points: bool = False,
) -> tuple[str, str, str]:
    """Return what a curve says in three sentences: more rows, augmentation, how far to believe it.

    Args:
        curve: What was measured.
        score: Writes a score.
        gain: Writes an improvement, positive is better, with its sign.
        points: Whether an improvement is in points.
    """
    return _more_rows(curve, score), _instead(curve, gain, points=points), _checked(curve, score)


def _checked(curve: LearningCurve, score: Callable[[float], str]) -> str:
    test = curve.back_test
    of = {
        "largest": f"{test.largest:,}",
        "forecast": _forecast(test.forecast, score),
        "rows": f"{curve.rows:,}",
        "measured": score(test.measured),
    }
    if test.inside:
        return say(
            "Tried on itself: from at most {largest} rows it predicts {forecast} for all {rows}, "
            "and {measured} was measured.",
            **of,
        )
    return say(
        "Tried on itself: from at most {largest} rows it predicts {forecast} for all {rows}, and "
        "{measured} was measured, outside of the interval: do not rely on it.",
        **of,
    )


def _more_rows(curve: LearningCurve, score: Callable[[float], str]) -> str:
    twice, *further = curve.forecasts
    now = say(
        "{metric} on validation is {score} now",
        metric=told(curve.metric.replace("_", " ")),
        score=score(curve.now),
    )
    predicted = [
        say("with twice the rows {forecast} is predicted", forecast=_forecast(twice, score)),
        *(
            say(
                "with {times} times as many {forecast}",
                times=_times(f.rows / curve.rows),
                forecast=_forecast(f, score),
            )
            for f in further
        ),
    ]
    of = {"predicted": together(predicted, ", "), "now": now}
    clear = [f for f in curve.forecasts if curve.tells(f)]
    if twice in clear:
        return say("More data: {predicted} ({now}).", **of)
    if clear:
        return say("More data: {predicted} ({now}): twice the rows may change nothing.", **of)
    return say("More data: too uncertain to say whether it would help: {predicted} ({now}).", **of)


def _instead(curve: LearningCurve, gain: Callable[[float], str], *, points: bool) -> str:
    tried = curve.augmented
    if tried is None:
        return say("Augmentation could not be tried.")
    effect = tried.gain
    size = gain(effect.mean)
    measured = say(
        "{gain} [{low}, {high}] at {times} times the training time",
        gain=say("{number} points", number=size) if points else size,
        low=gain(effect.low),
        high=gain(effect.high),
        times=f"{tried.cost:.2g}",
    )
    if tried.worth is None:
        return say(
            "Augmentation gives {measured}: no gain beyond chance to set against more rows.",
            measured=measured,
        )
    return say(
        "Augmentation gives {measured}, {worth}.", measured=measured, worth=_worth(tried.worth)
    )


def _worth(worth: RowsWorth) -> str:
    if worth.low is None:
        return say("worth more rows than this curve can tell of")
    low = _times(worth.low)
    if worth.times is None:
        return say("as at least {low} times the rows would", low=low)
    times = _times(worth.times)
    if worth.high is None:
        return say("as {times} times the rows would (at least {low})", times=times, low=low)
    return say(
        "as {times} [{low}, {high}] times the rows would",
        times=times,
        low=low,
        high=_times(worth.high),
    )


def _forecast(forecast: Forecast, score: Callable[[float], str]) -> str:
    return f"{score(forecast.score)} [{score(forecast.low)}, {score(forecast.high)}]"


def _times(times: float) -> str:
    return f"{times:.2g}"


def _score(value: float) -> str:
    return f"{value:.3g}"


def _gain(value: float) -> str:
    return f"{value:+.2g}"
