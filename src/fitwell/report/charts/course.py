"""Losses of a single run over its steps, with the noise that the run itself shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, final

from fitwell.errors import require
from fitwell.records import Quantity, Trace
from fitwell.report.charts.figure import Data, Figure, Panel, Spec
from fitwell.report.charts.vega import drawable, drawn, sized, tips
from fitwell.report.numbers import quantity
from fitwell.words import say

MOST_POINTS = 120
"""More points of a curve cannot be told apart."""
LEAST_NEAR = 4
"""Least number of readings on each side that the noise about a reading is taken from."""


@final
@dataclass(frozen=True)
class Reading:
    """A stretch of readings: their mean, and between what single readings would lie by noise."""

    step: int
    mean: float
    low: float
    high: float


def course_figure(trace: Trace) -> Figure | None:
    """Draw training and validation loss of one run; None where fewer than two were recorded."""
    train = readings(trace.series(Quantity.LOSS))
    validation = readings(trace.series(Quantity.LOSS, phase="validation"))
    if max(len(train), len(validation)) < 2:
        return None
    curves = [(say("training"), train), (say("validation"), validation)]
    caption: str = say(
        "How to read it: the lines are the losses that were recorded in this one run. The band is "
        "its own noise: two standard deviations of a reading about what its neighbours on both "
        "sides let expect. What other seeds would give it does not tell."
    )
    if train and validation:
        caption += " " + say(
            "The grey area is the gap between training and validation; a gap that keeps growing is "
            "overfitting."
        )
    return Figure(
        say("Loss over the steps"),
        (Panel(_heading(train, validation), _panel(curves)),),
        caption,
        " ".join(_words(name, points) for name, points in curves if points),
        Data(
            (say("curve"), say("step"), say("loss")),
            tuple(
                (name, f"{point.step:,}", quantity(point.mean))
                for name, points in curves
                for point in points[:: max(1, math.ceil(len(points) / 20))]
            ),
        ),
    )


def readings(series: Sequence[tuple[int, float]]) -> list[Reading]:
    """Pool a series into points that can be drawn, each with the noise of single readings.

    The noise about a reading is the root mean square of the second differences near it over the
    root of 6: that of independent noise, which a straight course does not add to.
    """
    known = [(step, value) for step, value in series if math.isfinite(value)]
    values = [value for _, value in known]
    bends = [a - 2 * b + c for a, b, c in zip(values, values[1:], values[2:], strict=False)]
    near = max(LEAST_NEAR, len(values) // 20)
    size = max(1, math.ceil(len(known) / MOST_POINTS))
    points = []
    for first in range(0, len(known), size):
        part = known[first : first + size]
        about = bends[max(0, first - near) : first + size + near]
        noise = math.sqrt(fmean(b * b for b in about) / 6) if about else 0.0
        mean = fmean(value for _, value in part)
        points.append(Reading(part[-1][0], mean, mean - 2 * noise, mean + 2 * noise))
    return points


def gap_between(
    train: Sequence[Reading], validation: Sequence[Reading]
) -> list[tuple[int, float, float]]:
    """Return (step, training, validation) where validation was read, training as last known."""
    found = []
    for point in validation:
        before = [other for other in train if other.step <= point.step]
        if before:
            found.append((point.step, before[-1].mean, point.mean))
    return found


def _panel(curves: Sequence[tuple[str, Sequence[Reading]]]) -> Spec:
    alt = require("altair")
    rows: list[Mapping[str, Any]] = [
        {"curve": str(name), "step": p.step, "loss": p.mean, "low": p.low, "high": p.high}
        for name, points in curves
        for p in points
    ]
    (_, train), (_, validation) = curves
    gap: list[Mapping[str, Any]] = [
        {"step": step, "loss": low, "other": high}
        for step, low, high in gap_between(train, validation)
    ]
    means = [point.mean for _, points in curves for point in points]
    scale = alt.Scale(domain=[min(0.0, *means), max(means)], nice=True)
    x = alt.X("step:Q", title=say("optimizer step"), axis=alt.Axis(tickCount=6, grid=False))
    y = alt.Y("loss:Q", title=say("loss"), scale=scale, axis=alt.Axis(tickCount=5, format="~g"))
    names = [str(name) for name, _ in curves]
    colour = alt.Color("curve:N", title=None, scale=alt.Scale(domain=names))
    base = alt.Chart(drawn(rows)).encode(x=x, color=colour)
    layers = [
        base.mark_area(style="band", clip=True).encode(y=alt.Y("low:Q", scale=scale), y2="high:Q"),
        base.mark_line(style="curve", clip=True).encode(
            y=y, tooltip=tips(alt, "curve", "step", "loss", "low", "high")
        ),
    ]
    if gap:
        between = alt.Chart(alt.Data(values=drawable(gap))).mark_area(style="gap", clip=True)
        layers.insert(0, between.encode(x=x, y=y, y2="other:Q"))
    return sized(alt.layer(*layers), 240)


def _heading(train: Sequence[Reading], validation: Sequence[Reading]) -> str:
    gaps = gap_between(train, validation)
    if not gaps:
        return say("the untreated network")
    _, low, high = gaps[-1]
    return say(
        "{arm}: {what}",
        arm=say("the untreated network"),
        what=say("gap at the end {gap}", gap=quantity(high - low)),
    )


def _words(name: str, points: Sequence[Reading]) -> str:
    return say(
        "The {curve} loss goes from {first} to {last} by step {step}.",
        curve=name,
        first=quantity(points[0].mean),
        last=quantity(points[-1].mean),
        step=f"{points[-1].step:,}",
    )
