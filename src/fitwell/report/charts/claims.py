"""The figures of a claim: pictures of the idea, then what was measured, seed by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fitwell.errors import require
from fitwell.records import (
    Answer,
    Arrows,
    Bars,
    ClaimRecord,
    Heat,
    Histogram,
    Images,
    Lines,
    Picture,
    Units,
)
from fitwell.report.charts.figure import Data, Figure, Panel, Spec
from fitwell.report.charts.pictures import (
    bars_figure,
    heat_figure,
    histogram_figure,
    lines_figure,
    short,
    ticks,
)
from fitwell.report.charts.sketches import arrows_figure, images_figure, units_figure
from fitwell.report.charts.vega import drawable, drawn, sized, tips
from fitwell.report.claims_wording import answer_effect, outcome_words
from fitwell.report.numbers import mean, quantity
from fitwell.words import say, told

ROW = 54
"""Height of one arm or expectation, in pixels: its name stands above its marks."""
WIDE = 50.0
"""Largest ratio of positive values of a measure that a linear axis can show."""


def picture_figure(picture: Picture) -> Figure:
    """Draw a picture of any kind."""
    if isinstance(picture, Lines):
        return lines_figure(picture)
    if isinstance(picture, Bars):
        return bars_figure(picture)
    if isinstance(picture, Histogram):
        return histogram_figure(picture)
    if isinstance(picture, Heat):
        return heat_figure(picture)
    if isinstance(picture, Units):
        return units_figure(picture)
    if isinstance(picture, Arrows):
        return arrows_figure(picture)
    if isinstance(picture, Images):
        return images_figure(picture)
    raise TypeError(f"no figure draws a {type(picture).__name__}")


def evidence_figure(record: ClaimRecord, measure: str) -> Figure:
    """Draw every seed of each arm, and the effects with their interval and where they should lie.

    Args:
        record: The claim.
        measure: One of its measures, which at least one answer is about.
    """
    answers = [answer for answer in record.answers if answer.measure == measure]
    arms = {told(arm): values for arm, values in record.measured.values[measure].items()}
    name = told(measure)
    rows = [
        (arm, quantity(mean(values)), quantity(min(values)), quantity(max(values)))
        for arm, values in arms.items()
    ]
    return Figure(
        say("The evidence: {measure}", measure=name),
        (
            Panel(
                say("{measure}, every seed", measure=name),
                _seeds_panel(name, record.seeds, arms),
            ),
            Panel(
                say("the effect, with 95 % interval"),
                _effects_panel(record, answers, min(len(arms), 2 * len(answers))),
            ),
        ),
        say(
            "How to read it: in the first drawing every dot is one seed and the upright bar the "
            "mean. In the second every dot is the difference on one seed; the diamond is their "
            "mean, the line its 95 % interval, and the shaded side is where the claim expects it. "
            "The claim is supported if the whole interval lies in the shade."
        ),
        " ".join(
            say(
                "{expected}: {effect}, {outcome}.",
                expected=told(answer.expected),
                effect=answer_effect(answer),
                outcome=outcome_words(answer.outcome),
            )
            for answer in answers
        ),
        Data((say("arm"), say("mean"), say("smallest"), say("largest")), tuple(rows)),
    )


def _seeds_panel(measure: str, seeds: Sequence[int], arms: Mapping[str, Sequence[float]]) -> Spec:
    alt = require("altair")
    rows: list[Mapping[str, Any]] = [
        {"name": arm, "place": place, "seed": seed, "value": short(value)}
        for place, (arm, values) in enumerate(arms.items())
        for seed, value in zip(seeds, values, strict=True)
    ]
    found = [row["value"] for row in rows if math.isfinite(row["value"])]
    log = bool(found) and min(found) > 0 and max(found) / min(found) > WIDE
    means = [{"name": arm, "mean": short(mean(values))} for arm, values in arms.items()]
    y = _name_axis(alt, list(arms))
    x = alt.X(
        "value:Q",
        title=say("{measure} (logarithmic)", measure=measure) if log else measure,
        axis=alt.Axis(**ticks(found, log=log)),
        scale=alt.Scale(type="log", padding=12) if log else alt.Scale(zero=False, padding=12),
    )
    runs = alt.Chart(drawn(rows))
    layers = _names(alt, list(arms))
    if len(arms) == 2:
        pairs = runs.mark_line(style="pair").encode(y=y, x=x, detail="seed:N", order="place:Q")
        layers.insert(0, pairs)
    layers += [
        runs.mark_point(style="seed").encode(y=y, x=x, tooltip=tips(alt, "name", "seed", "value")),
        alt.Chart(alt.Data(values=drawable(means)))
        .mark_tick(style="average")
        .encode(y=y, x="mean:Q"),
    ]
    return sized(alt.layer(*layers), ROW * len(arms))


def _effects_panel(record: ClaimRecord, answers: Sequence[Answer], height: int) -> Spec:
    """Return the effects, at least so many rows high, so that both drawings begin alike."""
    alt = require("altair")
    names = [told(answer.expected) for answer in answers]
    rows: list[Mapping[str, Any]] = []
    for name, answer in zip(names, answers, strict=True):
        effect = answer.effect
        rows.append(
            {
                "name": name,
                "mean": short(effect.mean),
                "low": short(effect.low),
                "high": short(effect.high),
                "p": short(effect.p),
            }
        )
        rows += [
            {"name": name, "seed": seed, "value": short(value)}
            for seed, value in zip(record.seeds, _differences(record, answer), strict=True)
        ]
    low, high = _domain(rows, answers)
    shade = [
        {"name": name, "from": max(low, answer.span[0]), "to": min(high, answer.span[1])}
        for name, answer in zip(names, answers, strict=True)
    ]
    y = _name_axis(alt, names)
    scale = alt.Scale(domain=[low, high], nice=False)
    x = alt.X("mean:Q", title=say("difference"), axis=alt.Axis(**ticks((low, high))), scale=scale)
    every = alt.Chart(drawn(rows)).encode(y=y)
    dots = every.transform_filter("isValid(datum.value)")
    whole = every.transform_filter("isValid(datum.mean)")
    expected = alt.Chart(alt.Data(values=drawable(shade))).mark_bar(
        style="expected", height={"band": 1}
    )
    zero = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(style="zero").encode(x="zero:Q")
    layers = [
        expected.encode(y=y, x=alt.X("from:Q", scale=scale), x2="to:Q"),
        zero,
        *_names(alt, names),
        dots.mark_point(style="seed").encode(x="value:Q", tooltip=tips(alt, "seed", "value")),
        whole.mark_rule(style="interval").encode(x="low:Q", x2="high:Q"),
        whole.mark_point(style="mean").encode(
            x=x, tooltip=tips(alt, "name", "mean", "low", "high", "p")
        ),
    ]
    return sized(alt.layer(*layers), ROW * max(height, len(answers)))


def _differences(record: ClaimRecord, answer: Answer) -> list[float]:
    arms = record.measured.values[answer.measure]
    own = arms[answer.arm]
    other = (
        arms[answer.other] if isinstance(answer.other, str) else (float(answer.other),) * len(own)
    )
    return [a - b for a, b in zip(own, other, strict=True)]


def _domain(rows: Sequence[Mapping[str, Any]], answers: Sequence[Answer]) -> tuple[float, float]:
    """Return ends that show zero, every seed, every interval, and the limit of the shade."""
    values = [row[key] for row in rows for key in ("mean", "low", "high", "value") if key in row]
    limits = [end for answer in answers for end in answer.span]
    found = [0.0, *(v for v in (*values, *limits) if math.isfinite(v))]
    low, high = min(found), max(found)
    margin = 0.08 * (high - low) or 1.0
    return low - margin, high + margin


def _name_axis(alt: Any, names: Sequence[str]) -> Any:
    return alt.Y("name:N", title=None, sort=None, scale=alt.Scale(domain=list(names)), axis=None)


def _names(alt: Any, names: Sequence[str]) -> list[Any]:
    rows = alt.Chart(alt.Data(values=[{"name": name} for name in names]))
    return [
        rows.mark_text(style=style, dy=-17, limit={"expr": "width"}).encode(
            y=_name_axis(alt, names), x=alt.value(1), text="name:N"
        )
        for style in ("halo", "name")
    ]
