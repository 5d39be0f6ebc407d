"""Score by number of training rows: what was measured, the fitted law, and the forecast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fitwell.errors import require
from fitwell.records import Forecast, LearningCurve
from fitwell.report.charts.figure import Data, Figure, Panel, Spec
from fitwell.report.charts.vega import drawable, sized, tips
from fitwell.report.numbers import SHARES, mean, score
from fitwell.report.wording import curve_sentences, metric_title

MEASURED, AHEAD = "fitted", "forecast"


def learning_figure(curve: LearningCurve) -> Figure:
    """Draw the score over the rows, from the fewest that were trained on to the forecasts."""
    name = metric_title(curve.metric)
    caption = (
        "How to read it: every dot is one run, on rows drawn for its seed. The line is a power law "
        "fitted to the means, blue as far as it was measured and orange ahead of it; the band is "
        "its 95 % interval for a mean over as many seeds, the diamonds are the forecasts. On the "
        "axis below, equal distances are equal factors. All scores are of validation rows."
    )
    if curve.augmented is not None:
        caption += " The dashed line is what augmentation gives with the rows that there are."
    return Figure(
        "The learning curve",
        (Panel(f"{name} on validation by number of training rows", _panel(curve)),),
        caption,
        " ".join(curve_sentences(curve)),
        Data(("training rows", "what", name, "range or 95 % interval"), _rows(curve)),
    )


def _panel(curve: LearningCurve) -> Spec:
    alt = require("altair")
    share = curve.metric in SHARES
    ticks = [*(p.rows for p in curve.points), *(f.rows for f in curve.forecasts)]
    x = alt.X(
        "rows:Q",
        title="training rows (logarithmic)",
        scale=alt.Scale(type="log", nice=False, padding=14),
        axis=alt.Axis(values=ticks, format=",", grid=False),
    )
    better = "larger" if curve.higher_is_better else "smaller"
    y = alt.Y(
        "score:Q",
        title=metric_title(curve.metric) + ("" if share else f" ({better} is better)"),
        scale=alt.Scale(zero=False),
        axis=alt.Axis(tickCount=5, **({"format": "~%"} if share else {})),
    )
    colour = alt.Color("curve:N", title=None, scale=alt.Scale(domain=[MEASURED, AHEAD]))
    runs: list[Mapping[str, Any]] = [
        {"rows": point.rows, "score": value, "seed": seed}
        for point in curve.points
        for seed, value in zip(curve.seeds, point.per_seed, strict=True)
    ]
    line = alt.Chart(alt.Data(values=drawable(_line(curve)))).encode(x=x, color=colour)
    ahead: list[Mapping[str, Any]] = [_drawn(forecast, AHEAD) for forecast in curve.forecasts]
    forecasts = alt.Chart(alt.Data(values=drawable(ahead))).encode(x=x)
    layers = [
        line.mark_area(style="band").encode(
            y=alt.Y("low:Q", scale=alt.Scale(zero=False)), y2="high:Q"
        ),
        line.mark_line(style="curve").encode(y=y),
        alt.Chart(alt.Data(values=drawable(runs)))
        .mark_point(style="seed")
        .encode(x=x, y=y, tooltip=tips(alt, "rows", "score", "seed")),
        forecasts.mark_rule(style="interval").encode(y="low:Q", y2="high:Q"),
        forecasts.mark_point(style="mean").encode(
            y=y, tooltip=tips(alt, "rows", "score", "low", "high")
        ),
    ]
    if curve.augmented is not None:
        values = [{"score": mean(curve.augmented.per_seed), "name": "with augmentation"}]
        given = alt.Chart(alt.Data(values=values))
        words = given.mark_text(style="name", dy=-9).encode(x=alt.value(4), y=y, text="name:N")
        layers = [given.mark_rule(style="kept").encode(y=y), *layers, words]
    return sized(alt.layer(*layers), 280)


def _line(curve: LearningCurve) -> list[Mapping[str, Any]]:
    """Points of the line; that of all rows belongs to both parts, so that they join."""
    parts = (
        (MEASURED, [point for point in curve.line if point.rows <= curve.rows]),
        (AHEAD, [point for point in curve.line if point.rows >= curve.rows]),
    )
    return [_drawn(point, name) for name, points in parts for point in points]


def _drawn(forecast: Forecast, name: str) -> dict[str, Any]:
    return {
        "curve": name,
        "rows": forecast.rows,
        "score": forecast.score,
        "low": forecast.low,
        "high": forecast.high,
    }


def _rows(curve: LearningCurve) -> tuple[tuple[str, ...], ...]:
    def told(value: float) -> str:
        return score(value, curve.metric)

    measured = [
        (p.rows, "measured", p.mean, min(p.per_seed), max(p.per_seed)) for p in curve.points
    ]
    ahead = [(f.rows, "forecast", f.score, f.low, f.high) for f in curve.forecasts]
    rows = [*measured, *ahead]
    if curve.augmented is not None:
        values = curve.augmented.per_seed
        rows.append((curve.rows, "with augmentation", mean(values), min(values), max(values)))
    return tuple(
        (f"{count:,}", what, told(value), f"{told(low)} to {told(high)}")
        for count, what, value, low, high in rows
    )
