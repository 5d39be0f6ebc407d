"""Score by number of training rows: what was measured, the fitted law, and the forecast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fitwell.errors import require
from fitwell.records import Forecast, LearningCurve
from fitwell.report.charts.figure import Data, Figure, Panel, Spec
from fitwell.report.charts.vega import drawn, sized, tips
from fitwell.report.numbers import SHARES, mean, score
from fitwell.report.wording import curve_sentences, metric_title
from fitwell.words import say


def learning_figure(curve: LearningCurve) -> Figure:
    """Draw the score over the rows, from the fewest that were trained on to the forecasts."""
    name = metric_title(curve.metric)
    caption: str = say(
        "How to read it: every dot is one run, on rows drawn for its seed. The line is a power law "
        "fitted to the means, blue as far as it was measured and orange ahead of it; the band is "
        "its 95 % interval for a mean over as many seeds, the diamonds are the forecasts. On the "
        "axis below, equal distances are equal factors. All scores are of validation rows."
    )
    if curve.augmented is not None:
        caption += " " + say(
            "The dashed line is what augmentation gives with the rows that there are."
        )
    return Figure(
        say("The learning curve"),
        (
            Panel(
                say("{metric} on validation by number of training rows", metric=name), _panel(curve)
            ),
        ),
        caption,
        " ".join(curve_sentences(curve)),
        Data(
            (say("training rows"), say("what"), name, say("range or 95 % interval")), _rows(curve)
        ),
    )


def _panel(curve: LearningCurve) -> Spec:
    alt = require("altair")
    share = curve.metric in SHARES
    ticks = [*(p.rows for p in curve.points), *(f.rows for f in curve.forecasts)]
    x = alt.X(
        "rows:Q",
        title=say("training rows (logarithmic)"),
        scale=alt.Scale(type="log", nice=False, padding=14),
        axis=alt.Axis(values=ticks, format=",", grid=False),
    )
    y = alt.Y(
        "score:Q",
        title=_score_title(curve),
        scale=alt.Scale(zero=False),
        axis=alt.Axis(tickCount=5, **({"format": "~%"} if share else {})),
    )
    fitted, ahead = str(say("fitted")), str(say("forecast"))
    colour = alt.Color("curve:N", title=None, scale=alt.Scale(domain=[fitted, ahead]))
    base = alt.Chart(drawn(_drawn_rows(curve, fitted, ahead)))
    line = base.transform_filter("datum.what === 'line'").encode(x=x, color=colour)
    runs = base.transform_filter("datum.what === 'run'").encode(x=x)
    forecasts = base.transform_filter("datum.what === 'forecast'").encode(x=x)
    layers = [
        line.mark_area(style="band").encode(
            y=alt.Y("low:Q", scale=alt.Scale(zero=False)), y2="high:Q"
        ),
        line.mark_line(style="curve").encode(y=y),
        runs.mark_point(style="seed").encode(y=y, tooltip=tips(alt, "rows", "score", "seed")),
        forecasts.mark_rule(style="interval").encode(y="low:Q", y2="high:Q"),
        forecasts.mark_point(style="mean").encode(
            y=y, tooltip=tips(alt, "rows", "score", "low", "high")
        ),
    ]
    if curve.augmented is not None:
        given = base.transform_filter("datum.what === 'augmented'")
        named = [{"score": mean(curve.augmented.per_seed), "name": say("with augmentation")}]
        words = alt.Chart(alt.Data(values=named)).mark_text(style="name", dy=-9)
        layers = [
            given.mark_rule(style="kept").encode(y=y),
            *layers,
            words.encode(x=alt.value(4), y=y, text="name:N"),
        ]
    return sized(alt.layer(*layers), 280)


def _score_title(curve: LearningCurve) -> str:
    name = metric_title(curve.metric)
    if curve.metric in SHARES:
        return name
    if curve.higher_is_better:
        return say("{metric} (larger is better)", metric=name)
    return say("{metric} (smaller is better)", metric=name)


def _drawn_rows(curve: LearningCurve, fitted: str, ahead: str) -> list[Mapping[str, Any]]:
    """Return runs, points of the line, forecasts, and what augmentation gives.

    The point of the line at all rows belongs to both of its parts, so that they join.
    """
    parts = (
        (fitted, [point for point in curve.line if point.rows <= curve.rows]),
        (ahead, [point for point in curve.line if point.rows >= curve.rows]),
    )
    rows: list[Mapping[str, Any]] = [
        {"what": "run", "rows": point.rows, "score": value, "seed": seed}
        for point in curve.points
        for seed, value in zip(curve.seeds, point.per_seed, strict=True)
    ]
    rows += [_drawn("line", point, name) for name, points in parts for point in points]
    rows += [_drawn("forecast", forecast, ahead) for forecast in curve.forecasts]
    if curve.augmented is not None:
        rows.append({"what": "augmented", "score": mean(curve.augmented.per_seed)})
    return rows


def _drawn(what: str, forecast: Forecast, name: str) -> dict[str, Any]:
    return {
        "what": what,
        "curve": name,
        "rows": forecast.rows,
        "score": forecast.score,
        "low": forecast.low,
        "high": forecast.high,
    }


def _rows(curve: LearningCurve) -> tuple[tuple[str, ...], ...]:
    def told(value: float) -> str:
        return score(value, curve.metric)

    measured: list[tuple[int, str, float, float, float]] = [
        (p.rows, say("measured"), p.mean, min(p.per_seed), max(p.per_seed)) for p in curve.points
    ]
    ahead = [(f.rows, say("forecast"), f.score, f.low, f.high) for f in curve.forecasts]
    rows = [*measured, *ahead]
    if curve.augmented is not None:
        values = curve.augmented.per_seed
        rows.append((curve.rows, say("with augmentation"), mean(values), min(values), max(values)))
    return tuple(
        (f"{count:,}", what, told(value), say("{low} to {high}", low=told(low), high=told(high)))
        for count, what, value, low, high in rows
    )
