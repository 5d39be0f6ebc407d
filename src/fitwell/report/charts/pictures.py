"""The pictures of a claim: curves, bars, histograms and tables of numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fitwell.errors import require
from fitwell.records import Bars, Heat, Histogram, Lines
from fitwell.report.charts.figure import Data, Figure, Panel, Spec
from fitwell.report.charts.vega import drawable, drawn, sized, tips
from fitwell.report.numbers import quantity
from fitwell.words import say, say_many, told

FEW = 16
"""Most points of a curve that are marked one by one."""
MOST_ROWS = 60
"""Most rows of a table under a picture; longer ones are thinned, the CSV holds them all."""
LONG_NAME = 14
"""Longest name of a category, in characters, that stands under its bars."""
BINS = 41
"""Bins of a histogram: an odd number, so that one lies around zero where values do."""
OUTLYING = 0.002
"""Share of the values at either end that the outermost bins take in."""


def lines_figure(picture: Lines) -> Figure:
    """Draw curves, with bands where they are known."""
    names = list(dict.fromkeys(told(row[0]) for row in picture.rows))
    caption: str = say("How to read it: each line is one curve, named above.")
    if any(len(row) == 5 for row in picture.rows):
        caption += " " + say("The band around a line is the range over the seeds.")
    caption += _scales(log_x=picture.log_x, log_y=picture.log_y)
    words = []
    for name in names:
        own = [row for row in picture.rows if told(row[0]) == name]
        words.append(
            say(
                "{name} goes from {first} to {last}.",
                name=name,
                first=quantity(own[0][2]),
                last=quantity(own[-1][2]),
            )
        )
    columns = (say("curve"), told(picture.x), told(picture.y))
    rows = tuple((told(row[0]), quantity(row[1]), quantity(row[2])) for row in picture.rows)
    return Figure(
        told(picture.title),
        (Panel(told(picture.y), _lines(picture, names)),),
        caption,
        " ".join(words),
        Data(columns, thinned(rows)),
    )


def bars_figure(picture: Bars) -> Figure:
    """Draw bars, one colour a group."""
    groups = list(dict.fromkeys(told(row[1]) for row in picture.rows))
    caption: str = say("How to read it: the longer the bar, the larger the value.")
    if len(groups) > 1:
        caption += " " + say("Bars of one colour belong together.")
    caption += _scales(log_y=picture.log_y)
    said = [
        say("{group} at {place}: {value}.", group=told(g), place=told(c), value=quantity(v))
        if len(groups) > 1
        else say("{place}: {value}.", place=told(c), value=quantity(v))
        for c, g, v in picture.rows
    ]
    rows = tuple((told(c), told(g), quantity(v)) for c, g, v in picture.rows)
    return Figure(
        told(picture.title),
        (Panel(told(picture.y), _bars(picture, groups)),),
        caption,
        " ".join(said[:12]),
        Data((told(picture.x), say("group"), told(picture.y)), thinned(rows)),
    )


def histogram_figure(picture: Histogram) -> Figure:
    """Draw how the values of each arm are spread; exact zeros are counted and drawn apart."""
    edges = _edges([v for values in picture.values.values() for v in values])
    spread = {told(arm): _binned(values, edges) for arm, values in picture.values.items()}
    zeros = {told(arm): values.count(0.0) for arm, values in picture.values.items()}
    sizes = {told(arm): len(values) for arm, values in picture.values.items()}
    said = [
        say_many(
            "{arm}: {zeros} of {number} value is exactly 0",
            "{arm}: {zeros} of {number} values are exactly 0",
            sizes[arm],
            arm=arm,
            zeros=f"{zeros[arm]:,}",
        )
        for arm in spread
    ]
    rows: tuple[tuple[str, ...], ...] = ()
    for arm, counts in spread.items():
        rows += ((arm, say("exactly 0"), f"{zeros[arm]:,}"),)
        rows += tuple(
            (
                arm,
                say("{low} to {high}", low=quantity(low), high=quantity(high)),
                f"{count:,}",
            )
            for low, high, count in zip(edges, edges[1:], counts, strict=False)
            if count
        )
    return Figure(
        told(picture.title),
        tuple(
            Panel(name, _histogram(picture, edges, counts, zeros[arm]))
            for name, (arm, counts) in zip(said, spread.items(), strict=True)
        ),
        say(
            "How to read it: the height of a bar is the number of values in its range; values that "
            "are exactly 0 are the bar of the other colour. All drawings have the same axis below; "
            "the few values beyond its ends are counted in the outermost bars."
        ),
        ". ".join(said) + ".",
        Data((say("arm"), told(picture.x), say("count")), rows),
    )


def heat_figure(picture: Heat) -> Figure:
    """Draw a table of numbers in colour, outlined where cells are taken together."""
    finite = [row for row in picture.rows if math.isfinite(row[2])]
    caption: str = say("How to read it: the brighter the cell, the larger its number.")
    if picture.cut == "rows":
        caption += " " + say("An outline stands around what is taken together: each row by itself.")
    if picture.cut == "columns":
        caption += " " + say(
            "An outline stands around what is taken together: each column by itself."
        )
    if picture.log:
        caption += " " + say("Every step of the colours is a constant factor.")
    words: str = ""
    if finite:
        low, high = min(finite, key=lambda row: row[2]), max(finite, key=lambda row: row[2])
        words = say(
            "The smallest number is {low} in {low_row}, {low_column}; the largest {high} in "
            "{high_row}, {high_column}.",
            low=quantity(low[2]),
            low_row=told(low[0]),
            low_column=told(low[1]),
            high=quantity(high[2]),
            high_row=told(high[0]),
            high_column=told(high[1]),
        )
    rows = tuple((told(r), told(c), quantity(value)) for r, c, value in picture.rows)
    heading = say(
        "{y} from top to bottom, {x} from left to right", y=told(picture.y), x=told(picture.x)
    )
    return Figure(
        told(picture.title),
        (Panel(heading, _heat(picture)),),
        caption,
        words,
        Data((told(picture.y), told(picture.x), say("value")), thinned(rows)),
    )


def thinned(rows: Sequence[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    """Return at most so many rows of a table, evenly taken."""
    return tuple(rows[:: max(1, math.ceil(len(rows) / MOST_ROWS))])


def short(value: float) -> float:
    """Return a number with the digits that a drawing can show."""
    return float(f"{value:.5g}") if math.isfinite(value) else value


def _lines(picture: Lines, names: Sequence[str]) -> Spec:
    alt = require("altair")
    rows: list[Mapping[str, Any]] = []
    for row in picture.rows:
        x, y, *ends = (short(value) for value in row[1:])
        lost = (picture.log_x and x <= 0) or (picture.log_y and y <= 0)
        band = dict(zip(("low", "high"), ends, strict=False))
        if picture.log_y and min(ends, default=1.0) <= 0:
            band = {}
        if not lost:
            rows.append({"curve": told(row[0]), "x": x, "y": y, **band})
    across, up = [row["x"] for row in rows], [row["y"] for row in rows]
    x_axis = alt.X(
        "x:Q",
        title=told(picture.x),
        scale=_scale(alt, log=picture.log_x, nice=False),
        axis=alt.Axis(grid=False, **ticks(across, log=picture.log_x)),
    )
    y_axis = alt.Y(
        "y:Q",
        title=None,
        scale=_scale(alt, log=picture.log_y),
        axis=alt.Axis(**ticks(up, log=picture.log_y)),
    )
    legend = (
        None if len(names) == 1 else alt.Legend(columns=3 if len(names) > 3 else 0, labelLimit=300)
    )
    domain = alt.Scale(domain=list(names))
    colour = alt.Color("curve:N", title=None, sort=None, scale=domain, legend=legend)
    dash = alt.StrokeDash("curve:N", title=None, sort=None, scale=domain, legend=legend)
    hints = [
        alt.Tooltip("curve:N", title=say("curve")),
        alt.Tooltip("x:Q", title=told(picture.x), format=".3~g"),
        alt.Tooltip("y:Q", title=told(picture.y), format=".3~g"),
    ]
    base = alt.Chart(drawn(rows)).encode(x=x_axis, color=colour)
    layers = []
    if any("low" in row for row in rows):
        band_area = base.transform_filter("isValid(datum.low)").mark_area(style="band")
        layers.append(band_area.encode(y=alt.Y("low:Q"), y2="high:Q"))
    layers.append(base.mark_line(style="curve").encode(y=y_axis, strokeDash=dash))
    if len({row["x"] for row in rows}) <= FEW:
        layers.append(base.mark_point(style="knot").encode(y=y_axis, tooltip=hints))
    return sized(alt.layer(*layers), 260)


def _bars(picture: Bars, groups: Sequence[str]) -> Spec:
    alt = require("altair")
    rows: list[Mapping[str, Any]] = [
        {"name": told(category), "group": told(group), "value": short(value)}
        for category, group, value in picture.rows
        if value > 0 or not picture.log_y
    ]
    lying = any(len(row["name"]) > LONG_NAME for row in rows)
    positive = [row["value"] for row in rows if 0 < row["value"] < math.inf]
    floor = 10.0 ** math.floor(math.log10(min(positive, default=1.0)) - 0.01)
    scale = (
        alt.Scale(type="log", domainMin=floor, nice=False)
        if picture.log_y
        else alt.Scale(zero=True)
    )
    size = alt.Axis(**ticks([row["value"] for row in rows], log=picture.log_y))
    category: dict[str, Any] = {"title": told(picture.x), "sort": None}
    axis = alt.Axis(labelAngle=0, labelOverlap=True, labelLimit=190, ticks=False, grid=False)
    band = alt.Scale(paddingInner=0.24, paddingOuter=0.12)
    value: dict[str, Any] = {"title": None, "scale": scale, "axis": size}
    several = len(groups) > 1
    encoding: dict[str, Any] = {"tooltip": tips(alt, "name", "value")}
    if several:
        encoding["tooltip"].insert(1, alt.Tooltip("group:N", title=say("group")))
        encoding["color"] = alt.Color(
            "group:N",
            title=None,
            sort=None,
            scale=alt.Scale(domain=list(groups)),
            legend=alt.Legend(symbolType="square"),
        )
        encoding["yOffset" if lying else "xOffset"] = (alt.YOffset if lying else alt.XOffset)(
            "group:N", sort=None
        )
    if lying:
        encoding["y"] = alt.Y("name:N", scale=band, axis=axis, **category)
        encoding["x"] = alt.X("value:Q", **value)
        ends = {"x2": alt.datum(floor)}
    else:
        encoding["x"] = alt.X("name:N", scale=band, axis=axis, **category)
        encoding["y"] = alt.Y("value:Q", **value)
        ends = {"y2": alt.datum(floor)}
    encoding |= ends if picture.log_y else {}
    height = max(120, 22 * len(rows) + 30) if lying else 240
    return sized(alt.Chart(drawn(rows)).mark_bar(style="bar").encode(**encoding), height)


def _histogram(
    picture: Histogram, edges: Sequence[float], counts: Sequence[int], zeros: int
) -> Spec:
    alt = require("altair")
    width = edges[1] - edges[0]
    rows: list[Mapping[str, Any]] = [
        {"low": short(low), "high": short(low + width), "count": count, "state": "spread"}
        for low, count in zip(edges, counts, strict=False)
        if count
    ]
    if zeros:
        rows.append({"low": -width / 2, "high": width / 2, "count": zeros, "state": "exactly zero"})
    base = alt.Chart(drawn(rows)).encode(
        x=alt.X(
            "low:Q",
            title=told(picture.x),
            scale=alt.Scale(domain=[edges[0], edges[-1]], nice=False),
            axis=alt.Axis(grid=False, **ticks(edges)),
        ),
        x2="high:Q",
        y=alt.Y(
            "count:Q", title=say("count"), axis=alt.Axis(tickCount=4, tickMinStep=1, format=",d")
        ),
        tooltip=tips(alt, "low", "high", "count"),
    )
    there = {row["state"] for row in rows}
    layers = [
        base.transform_filter(f"datum.state === '{state}'").mark_rect(style=style)
        for state, style in (("spread", "bin"), ("exactly zero", "exact"))
        if state in there or not there
    ]
    return sized(alt.layer(*layers), 190)


def _heat(picture: Heat) -> Spec:
    alt = require("altair")
    values = [v for _, _, v in picture.rows if math.isfinite(v) and (v > 0 or not picture.log)]
    low, high = min(values, default=0.0), max(values, default=1.0)
    rows: list[Mapping[str, Any]] = [
        {
            "row": told(row),
            "column": told(column),
            "value": short(value),
            "text": quantity(value),
            "state": _shade(value, low, high, log=picture.log),
        }
        for row, column, value in picture.rows
    ]
    apart = {"paddingInner": 0.16, "paddingOuter": 0.06}
    close = {"paddingInner": 0.0, "paddingOuter": 0.0}
    axis: dict[str, Any] = {"ticks": False, "domain": False, "labelOverlap": True}
    x = alt.X(
        "column:N",
        title=told(picture.x),
        sort=None,
        scale=alt.Scale(**(apart if picture.cut == "columns" else close)),
        axis=alt.Axis(labelAngle=0, **axis),
    )
    y = alt.Y(
        "row:N",
        title=told(picture.y),
        sort=None,
        scale=alt.Scale(**(apart if picture.cut == "rows" else close)),
        axis=alt.Axis(labelLimit=170, labelPadding=6, **axis),
    )
    colour = alt.Color(
        "value:Q",
        title=None,
        scale=alt.Scale(type="log") if picture.log else alt.Scale(zero=False),
        legend=None
        if picture.written
        else alt.Legend(
            orient="top", direction="horizontal", labelOverlap=True,
            **ticks(values, log=picture.log),
        ),
    )  # fmt: skip
    cells = alt.Chart(drawn(rows)).encode(x=x, y=y)
    there = cells.transform_filter("datum.state !== 'lost'")
    hints = [alt.Tooltip("row:N"), alt.Tooltip("column:N"), alt.Tooltip("text:N", title="value")]
    layers = [
        there.mark_rect(style="cell").encode(color=colour, tooltip=hints),
        cells.transform_filter("datum.state === 'lost'")
        .mark_rect(style="nothing")
        .encode(tooltip=hints),
    ]
    if picture.written:
        layers += [
            cells.transform_filter(f"datum.state === '{state}'")
            .mark_text(style=style)
            .encode(text="text:N")
            for state, style in (("dark", "on_dark"), ("bright", "on_bright"), ("lost", "name"))
        ]
    if picture.cut:
        field = "row" if picture.cut == "rows" else "column"
        groups = list(dict.fromkeys(row[field] for row in rows))
        group = alt.Chart(alt.Data(values=drawable([{field: name} for name in groups])))
        layers.append(
            group.mark_rect(style="outline").encode(y=y)
            if picture.cut == "rows"
            else group.mark_rect(style="outline").encode(x=x)
        )
    count = len({row["row"] for row in rows})
    return sized(alt.layer(*layers), max(90, min((46 if picture.written else 28) * count, 480)))


def _shade(value: float, low: float, high: float, *, log: bool) -> str:
    """Say whether a cell is dark, bright, or lost: not finite, or without a logarithm."""
    if not math.isfinite(value) or (log and value <= 0):
        return "lost"
    ends = (math.log(low), math.log(high), math.log(value)) if log else (low, high, value)
    span = ends[1] - ends[0]
    return "bright" if span and (ends[2] - ends[0]) / span > 0.46 else "dark"


def _edges(values: Sequence[float]) -> list[float]:
    """Return edges of equal bins over nearly all values, zero in the middle of one."""
    found = sorted(value for value in values if math.isfinite(value) and value != 0)
    if not found:
        return [-1.0, 1.0]
    cut = int(OUTLYING * len(found))
    low, high = min(0.0, found[cut]), max(0.0, found[-1 - cut])
    width = (high - low) / (BINS - 1)
    first = math.floor(low / width - 0.5) + 0.5
    last = math.ceil(high / width + 0.5) - 0.5
    return [width * (first + place) for place in range(round(last - first) + 1)]


def _binned(values: Sequence[float], edges: Sequence[float]) -> list[int]:
    """Count the values of each bin; exact zeros are left out, those beyond go to the ends."""
    counts = [0] * (len(edges) - 1)
    width = edges[1] - edges[0]
    for value in values:
        if value != 0 and math.isfinite(value):
            place = math.floor((value - edges[0]) / width)
            counts[max(0, min(place, len(counts) - 1))] += 1
    return counts


def _scale(alt: Any, *, log: bool, nice: bool = True) -> Any:
    return alt.Scale(type="log", nice=nice) if log else alt.Scale(zero=False, nice=nice)


def ticks(values: Sequence[float], *, log: bool = False) -> dict[str, Any]:
    """Return ticks of an axis: powers of ten on a logarithmic one that spans some."""
    sizes = [abs(v) for v in values if math.isfinite(v) and v != 0]
    low, high = min(sizes, default=1.0), max(sizes, default=1.0)
    if not log:
        return {"tickCount": 5, **({} if 1e-3 <= high < 1e6 else {"format": ".1~e"})}
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    form = "~g" if low >= 1e-3 and high < 1e6 else "~e"
    if len(powers) < 4:
        return {"tickCount": 5, "format": form}
    return {"values": [10.0**p for p in powers[:: math.ceil(len(powers) / 7)]], "format": form}


def _scales(*, log_x: bool = False, log_y: bool = False) -> str:
    if log_x and log_y:
        return " " + say("Both axes are logarithmic: equal distances are equal factors.")
    if log_x:
        return " " + say("The axis below is logarithmic: equal distances are equal factors.")
    if log_y:
        return " " + say("The upright axis is logarithmic: equal distances are equal factors.")
    return ""
